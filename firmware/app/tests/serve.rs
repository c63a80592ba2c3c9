//! The whole loop on the host, over bytes in memory, with a frozen model.

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use qdllm_app::{LINE_BYTES, Memory, Meter, serve};
use qdllm_runtime::{Error, Model, Scratch};

const MODEL: &[u8] = include_bytes!("../../../tests/vectors/words_v1.qdm");

/// What the board's counters read here.
const INSTRUCTIONS: u64 = 12_345;

/// A serial line whose other end has already said everything.
struct Port<'a> {
    input: &'a [u8],
    output: Vec<u8>,
    /// Reads that still succeed; a line that breaks down in the middle is tested with it.
    reads: usize,
}

impl ErrorType for Port<'_> {
    type Error = ErrorKind;
}

impl Read for Port<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.reads == 0 {
            self.reads = usize::MAX;
            return Err(ErrorKind::Other);
        }
        self.reads -= 1;
        let Ok(count) = self.input.read(buffer);
        Ok(count)
    }
}

impl Write for Port<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.output.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Counter {
    started: bool,
}

impl Meter for Counter {
    fn start(&mut self) {
        self.started = true;
    }

    fn instructions(&mut self) -> u64 {
        if self.started { INSTRUCTIONS } else { 0 }
    }

    fn stack_bytes(&self) -> usize {
        321
    }

    fn static_bytes(&self) -> usize {
        20_000
    }
}

/// Serves `input` until a call returns without an error; gives all lines sent and the errors met.
fn talk(input: &[u8], reads: usize) -> Result<(Vec<String>, usize), Error> {
    let model = Model::parse(MODEL)?;
    let mut memory = Memory::new();
    let mut counter = Counter { started: false };
    let mut port = Port { input, output: Vec::new(), reads };
    let mut errors = 0;
    while serve(&model, &mut memory, &mut port, &mut counter).is_err() {
        errors += 1;
    }
    let text = String::from_utf8_lossy(&port.output).into_owned();
    let lines = text.split_terminator("\r\n").map(str::to_owned).collect();
    Ok((lines, errors))
}

fn answers(input: &[u8]) -> Result<Vec<String>, Error> {
    let (mut lines, _) = talk(input, usize::MAX)?;
    assert!(lines.remove(0).starts_with("ready\t"));
    Ok(lines)
}

#[test]
fn an_answer_is_what_the_runtime_says() -> Result<(), Error> {
    let text = "turn on the porch light";
    let lines = answers(b"turn on the porch light\n")?;
    let model = Model::parse(MODEL)?;
    let mut scratch = Scratch::new();
    let prediction = model.classify(text, &mut scratch)?;
    let all: Vec<String> = prediction.probabilities().iter().map(|p| format!("{p:.6}")).collect();
    let expected = format!(
        "{}\t{:.6}\t{INSTRUCTIONS}\t{}\t{}",
        model.label(prediction.class()),
        prediction.probability(),
        prediction.class(),
        all.join(",")
    );
    assert_eq!(lines, [expected]);
    Ok(())
}

#[test]
fn info_names_what_things_take() -> Result<(), Error> {
    let expected = format!(
        "info\tversion={}\tclasses=3\tmodel_bytes={}\tclassifier_ram_bytes={}\tstatic_ram_bytes=20000\tstack_bytes=321",
        env!("CARGO_PKG_VERSION"),
        MODEL.len(),
        size_of::<Scratch>()
    );
    assert_eq!(answers(b":info\n")?, [expected]);
    Ok(())
}

#[test]
fn quit_ends_and_the_rest_is_not_read() -> Result<(), Error> {
    assert_eq!(answers(b"a\n:quit\nb\n")?.len(), 1);
    Ok(())
}

#[test]
fn bad_lines_are_refused_with_their_numbers() -> Result<(), Error> {
    let mut input = vec![b'x'; LINE_BYTES + 1];
    input.extend(b"\n\xff\n:infos\n\n");
    let lines = answers(&input)?;
    let starts: Vec<&str> = lines.iter().filter_map(|line| line.split('\t').next()).collect();
    // `:infos` is a text like any other, and so is an empty line.
    assert!(
        matches!(starts[..], ["!100", "!101", a, b] if !a.starts_with('!') && !b.starts_with('!'))
    );
    Ok(())
}

#[test]
fn a_broken_line_ends_the_call_and_the_next_call_goes_on() -> Result<(), Error> {
    let (lines, errors) = talk(b"turn on the porch light\nset timer\n", 30)?;
    assert_eq!(errors, 1);
    assert_eq!(lines.iter().filter(|line| line.starts_with("ready\t")).count(), 2);
    assert_eq!(lines.len(), 4, "{lines:?}");
    Ok(())
}
