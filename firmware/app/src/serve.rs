//! The loop: a line in, an answer out, until the port closes or `:quit` comes.

use crate::answer::{Answer, refuse};
use crate::line::{LINE_BYTES, Line, LineBuffer};
use crate::meter::Meter;
use embedded_io::{Read, Write};
use qdllm_runtime::{Model, Scratch};

/// The line is longer than [`LINE_BYTES`].
const TOO_LONG: u8 = 100;
/// The line is not UTF-8.
const NOT_UTF8: u8 = 101;

/// All RAM of the firmware beside the stack; a board keeps one in a static.
pub struct Memory {
    scratch: Scratch,
    line: LineBuffer,
}

impl Memory {
    /// Memory in its first state.
    pub const fn new() -> Self {
        Self { scratch: Scratch::new(), line: LineBuffer::new() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Says `ready` and answers every line of `port`; ends at `:quit` and where the port closes.
///
/// # Errors
/// Those of the port. Nothing is lost by calling again.
pub fn serve<P, M>(
    model: &Model<'_>,
    memory: &mut Memory,
    port: &mut P,
    meter: &mut M,
) -> Result<(), P::Error>
where
    P: Read + Write,
    M: Meter,
{
    let Memory { scratch, line } = memory;
    describe("ready", model, port, meter)?;
    loop {
        match line.read(port)? {
            Line::Closed | Line::Text(":quit") => return Ok(()),
            Line::Text(":info") => describe("info", model, port, meter)?,
            Line::Text(text) => classify(text, model, scratch, port, meter)?,
            Line::TooLong => {
                refuse(port, TOO_LONG, format_args!("line longer than {LINE_BYTES} bytes"))?;
            }
            Line::NotUtf8 => refuse(port, NOT_UTF8, "line is not UTF-8")?,
        }
    }
}

/// The answer to a text.
fn classify<P: Write, M: Meter>(
    text: &str,
    model: &Model<'_>,
    scratch: &mut Scratch,
    port: &mut P,
    meter: &mut M,
) -> Result<(), P::Error> {
    meter.start();
    let prediction = model.classify(text, scratch);
    let instructions = meter.instructions();
    let prediction = match prediction {
        Ok(prediction) => prediction,
        Err(error) => return refuse(port, error as u8, error),
    };
    let mut answer = Answer::new(port)
        .name(model.label(prediction.class()))
        .text("\t")
        .probability(prediction.probability())
        .text("\t")
        .number(instructions)
        .text("\t")
        .number(prediction.class() as u64);
    let mut separator = "\t";
    for &probability in prediction.probabilities() {
        answer = answer.text(separator).probability(probability);
        separator = ",";
    }
    if prediction.is_rejected() {
        answer = answer.text("\trejected");
    }
    answer.end()
}

/// What the model and this image take, after `word`.
fn describe<P: Write, M: Meter>(
    word: &str,
    model: &Model<'_>,
    port: &mut P,
    meter: &M,
) -> Result<(), P::Error> {
    let fields = [
        ("\tclasses=", model.classes()),
        ("\tmodel_bytes=", model.len_bytes()),
        ("\tclassifier_ram_bytes=", size_of::<Scratch>()),
        ("\tstatic_ram_bytes=", meter.static_bytes()),
        ("\tstack_bytes=", meter.stack_bytes()),
    ];
    let mut answer =
        Answer::new(port).text(word).text("\tversion=").text(env!("CARGO_PKG_VERSION"));
    for (name, value) in fields {
        answer = answer.text(name).number(value as u64);
    }
    answer.end()
}
