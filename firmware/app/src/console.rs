//! The console: a typed line in, one line out.

use crate::LINE_BYTES;
use crate::app::{App, End};
use crate::board::{Counters, SlotFlash};
use crate::engine::Engine;
use crate::line_writer::LineWriter;
use embedded_io::Write;
use qdllm_link::Fault;
use qdllm_link::message::Cost;
use qdllm_runtime::{Model, Prediction};

const BENCH_RUNS: u16 = 10;

const HELP: &str = "help\ttype a sentence to classify it, or a command: \
    :info (board and memory), :model (classes), :bench (time of a classification), :quit";

/// The first line: `ready` with the fields of `:info`, or why there is no model.
#[inline(never)]
pub(crate) fn ready<'m, P: Write, F: SlotFlash<'m>, M: Counters, E: Engine>(
    app: &App<'_, 'm, F, M, E>,
    port: &mut P,
) -> Result<(), P::Error> {
    match app.model() {
        Ok(_) => info("ready", app.boot.faults, app, port),
        Err(fault) => refuse(fault, port),
    }
}

/// The answer to a line, and whether it ends the loop.
#[inline(never)]
pub(crate) fn answer<'m, P: Write, F: SlotFlash<'m>, M: Counters, E: Engine>(
    app: &mut App<'_, 'm, F, M, E>,
    line: &str,
    port: &mut P,
) -> Result<Option<End>, P::Error> {
    let answered = match line {
        ":quit" => return Ok(Some(End::Quit)),
        ":info" => Ok(info("info", [0, 1].map(|slot| app.against(slot)), app, port)),
        // Who needs help does not know the colon yet.
        ":help" | "help" | "?" => Ok(LineWriter::new(port).text(HELP).end()),
        ":model" => app.model().map(|model| describe(&model, port)),
        ":bench" => app.bench(BENCH_RUNS).map(|cost| bench(cost, port)),
        text => app.classify(text).map(|(model, found, cost)| class(&model, &found, cost, port)),
    };
    answered.unwrap_or_else(|fault| refuse(fault, port)).map(|()| None)
}

/// Sends the answer to what cannot be done: `!`, a number, and what is wrong.
pub(crate) fn refuse<P: Write>(fault: Fault, port: &mut P) -> Result<(), P::Error> {
    let answer = LineWriter::new(port).text("!").number(fault.number().into()).text("\t");
    match fault {
        Fault::LineTooLong => answer.text("line longer than ").number(LINE_BYTES as u64),
        other => answer.shown(other),
    }
    .end()
}

/// Label, probability, instructions, class, all probabilities, n-grams found, whether it is rejected.
fn class<P: Write>(
    model: &Model<'_>,
    prediction: &Prediction<'_>,
    cost: Cost,
    port: &mut P,
) -> Result<(), P::Error> {
    let mut answer = LineWriter::new(port)
        .name(model.label(prediction.class()))
        .text("\t")
        .probability(prediction.probability())
        .text("\t")
        .number(cost.instructions)
        .text("\t")
        .number(prediction.class() as u64);
    let mut separator = "\t";
    for &probability in prediction.probabilities() {
        answer = answer.text(separator).probability(probability);
        separator = ",";
    }
    answer = answer.text("\tfound=").number(prediction.found().into());
    if prediction.is_rejected() {
        answer = answer.text("\trejected");
    }
    answer.end()
}

/// What the board, its slots and its memory are, after `word`; `faults` stand against the slots.
fn info<'m, P: Write, F: SlotFlash<'m>, M: Counters, E: Engine>(
    word: &str,
    faults: [Option<Fault>; 2],
    app: &App<'_, 'm, F, M, E>,
    port: &mut P,
) -> Result<(), P::Error> {
    let model = app.model().ok();
    let active = app.boot.active.as_ref();
    let fields = [
        ("\tclasses=", model.map_or(0, |model| model.classes())),
        ("\tmodel_bytes=", model.map_or(0, |model| model.len_bytes())),
        ("\tclassifier_ram_bytes=", size_of::<E>()),
        ("\tstatic_ram_bytes=", app.counters.static_bytes()),
        ("\tstack_bytes=", app.counters.stack_bytes()),
        ("\tcapacity=", app.slots.capacity(app.boot.spare()) as usize),
        ("\tsequence=", active.map_or(0, |found| found.header.sequence as usize)),
        ("\tfloor=", crate::transfer::floor(&app.boot) as usize),
    ];
    let mut answer = LineWriter::new(port)
        .text(word)
        .text("\tversion=")
        .text(env!("CARGO_PKG_VERSION"))
        .text("\tboard=")
        .text(app.slots.config.name)
        .text("\tengine=")
        .text(E::NAME);
    for (name, value) in fields {
        answer = answer.text(name).number(value as u64);
    }
    for (slot, fault) in faults.into_iter().enumerate() {
        answer = answer.text("\tslot").number(slot as u64).text("=");
        answer = match fault {
            Some(fault) => answer.text("!").number(fault.number().into()),
            None if active.is_some_and(|found| found.slot == slot) => answer.text("active"),
            None => answer.text("usable"),
        };
    }
    answer.end()
}

/// The model in use and its classes.
fn describe<P: Write>(model: &Model<'_>, port: &mut P) -> Result<(), P::Error> {
    let checksum = model.container().bytes().last_chunk().copied().unwrap_or_default();
    let mut answer = LineWriter::new(port)
        .text("model\tbytes=")
        .number(model.len_bytes() as u64)
        .text("\tchecksum=")
        .number(u32::from_le_bytes(checksum).into())
        .text("\tclasses=")
        .number(model.classes() as u64);
    let mut separator = "\tlabels=";
    for class in 0..model.classes() {
        answer = answer.text(separator).name(model.label(class));
        separator = ",";
    }
    answer.end()
}

/// What one classification takes; only what the board can count.
fn bench<P: Write>(cost: Cost, port: &mut P) -> Result<(), P::Error> {
    let mut answer = LineWriter::new(port).text("bench\truns=").number(BENCH_RUNS.into());
    for (name, value) in [
        ("\tinstructions=", cost.instructions),
        ("\tcycles=", cost.cycles),
        ("\tmicroseconds=", cost.microseconds),
    ] {
        if value != 0 {
            answer = answer.text(name).number(value);
        }
    }
    answer.end()
}
