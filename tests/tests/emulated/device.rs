//! The firmware on the emulated board: does it answer as specified, whatever it is sent.

use super::{answer, image};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::PathBuf;
use xtask::answer::TOLERANCE;
use xtask::boards::BOARDS;
use xtask::emulator::{Device, Info};
use xtask::repo::{Repo, no_panics};

/// The most RAM that the classifier may take beside the stack.
const CLASSIFIER_RAM_BYTES: u64 = 17 * 1024;

/// The stack's region in the board's memory map.
const STACK_BYTES: u64 = 16 * 1024;

/// The longest line that the firmware takes.
const LINE_BYTES: usize = 1024;

/// What every test needs.
struct Bench {
    image: PathBuf,
    /// A frozen model; beside it lie the answers that it gave when it was frozen.
    model: PathBuf,
}

impl Bench {
    fn new() -> Result<Option<Self>> {
        Self::of("words_v1.qdm")
    }

    fn of(model: &str) -> Result<Option<Self>> {
        let Some(image) = image(&BOARDS[0])? else { return Ok(None) };
        Ok(Some(Self { image, model: Repo::find()?.root.join("tests/vectors").join(model) }))
    }
}

/// A board that has said that it is ready.
fn ready(bench: &Bench) -> Result<Device> {
    let mut device = Device::boot(&BOARDS[0], &bench.image, Some(&bench.model))?;
    Info::parse("ready", &device.line()?)?;
    Ok(device)
}

/// Ends a board and expects code 0.
fn quit(mut device: Device) -> Result<()> {
    device.send(b":quit\n")?;
    let code = device.code()?;
    ensure!(code == 0, "the board ended with code {code}");
    Ok(())
}

#[test]
fn no_panic_is_linked_in() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    no_panics(&bench.image)
}

/// The lines `text|class|found|rejected|probabilities` beside the frozen model.
#[test]
fn frozen_answers_come_back() -> Result<()> {
    for model in ["words_v1.qdm", "words_rules3_v1.qdm"] {
        let Some(bench) = Bench::of(model)? else { return Ok(()) };
        answers_come_back(&bench)?;
    }
    Ok(())
}

fn answers_come_back(bench: &Bench) -> Result<()> {
    let mut device = ready(bench)?;
    for line in fs::read_to_string(bench.model.with_extension("txt"))?.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [text, class, known, rejected, probabilities] = fields[..] else {
            bail!("{line:?} does not have 5 fields");
        };
        let said = device.ask(text)?;
        let found = answer(&said)?;
        ensure!(
            found.class == class.parse::<usize>()?,
            "{text:?}: {said:?} instead of class {class}"
        );
        ensure!(
            (found.found, found.rejected) == (known.parse()?, rejected.parse()?),
            "{text:?}: {said:?}, n-grams found {known}, rejected {rejected}"
        );
        let wanted =
            probabilities.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        ensure!(
            found.probabilities.len() == wanted.len(),
            "{text:?}: {said:?} instead of {probabilities}"
        );
        for (got, wanted) in found.probabilities.iter().zip(wanted) {
            ensure!(
                (got - wanted).abs() <= TOLERANCE,
                "{text:?}: {said:?} instead of {probabilities}"
            );
        }
    }
    quit(device)
}

#[test]
fn a_bad_line_is_refused_and_the_next_one_answered() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    let mut device = ready(bench)?;
    let good = device.ask("set timer for 10 minutes")?;
    answer(&good)?;
    let longest = "x".repeat(LINE_BYTES);
    answer(&device.ask(&longest)?)?;
    let cases: [(Vec<u8>, &str); 4] = [
        (format!("{longest}x").into_bytes(), "!100\t"),
        ("long ".repeat(20_000).into_bytes(), "!100\t"),
        (b"caf\xc3".to_vec(), "!101\t"),
        (b"\xff\xfe\x01".to_vec(), "!101\t"),
    ];
    for (bytes, refusal) in cases {
        device.send(&bytes)?;
        let said = device.ask("")?;
        ensure!(said.starts_with(refusal), "{said:?} instead of {refusal:?}");
        let again = device.ask("set timer for 10 minutes")?;
        let (again, good) = (answer(&again)?, answer(&good)?);
        ensure!(again.probabilities == good.probabilities, "another answer after a refusal");
    }
    quit(device)
}

/// Lines of arbitrary bytes, except the zero that begins a frame: each gets exactly one answer of a known form.
#[test]
fn no_bytes_stop_the_loop() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    let mut device = ready(bench)?;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        // Xorshift: any fixed stream of bytes serves.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 32
    };
    for round in 0..150 {
        let length = next() % 1100;
        // Every other line is printable text, which reaches the classifier more often.
        let byte = |value: u64| {
            if round % 2 == 0 { value as u8 } else { b' ' + (value % 95) as u8 }
        };
        let line: Vec<u8> = (0..length)
            .map(|_| byte(next()))
            .filter(|byte| !matches!(byte, 0 | b'\n' | b'\r'))
            .collect();
        device.send(&line)?;
        let said = device.ask("")?;
        let refused = said.starts_with("!100\t") || said.starts_with("!101\t");
        ensure!(refused || answer(&said).is_ok(), "line {round}: {said:?}");
    }
    quit(device)
}

#[test]
fn instruction_counts_repeat() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    let texts = ["turn on the porch light", "", "set a timer for ten minutes"];
    let mut counts = Vec::new();
    for _ in 0..2 {
        let mut device = ready(bench)?;
        for text in texts {
            counts.push(answer(&device.ask(text)?)?.instructions);
        }
        quit(device)?;
    }
    let (first, second) = counts.split_at(texts.len());
    ensure!(first.iter().all(|&count| count > 0), "the board does not count: {first:?}");
    ensure!(first == second, "{first:?} and then {second:?}");
    Ok(())
}

#[test]
fn memory_stays_within_its_limits() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    let mut device = ready(bench)?;
    device.ask("turn on the porch light")?;
    let info = Info::parse("info", &device.ask(":info")?)?;
    let length = fs::metadata(&bench.model)?.len();
    ensure!(
        info.model_bytes == length,
        "{} bytes of model, the file has {length}",
        info.model_bytes
    );
    ensure!(info.classifier_ram_bytes <= CLASSIFIER_RAM_BYTES, "{info:?}");
    ensure!(info.classifier_ram_bytes <= info.static_ram_bytes, "{info:?}");
    ensure!(info.stack_bytes > 0 && info.stack_bytes < STACK_BYTES, "{info:?}");
    quit(device)
}

#[test]
fn no_model_is_refused() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    refused(Device::boot(&BOARDS[0], &bench.image, None)?)
}

/// Copies that are cut short, changed by one bit, or no model at all.
#[test]
fn a_damaged_model_is_refused() -> Result<()> {
    let Some(bench) = Bench::new()? else { return Ok(()) };
    let bench = &bench;
    let good = fs::read(&bench.model)?;
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let copies = [
        ("the first byte", flip(0)),
        ("the version", flip(4)),
        ("the middle", flip(good.len() / 2)),
        ("the last byte", flip(good.len() - 1)),
        ("half a file", good[..good.len() / 2].to_vec()),
        ("erased flash", vec![0xff; 64 * 1024]),
    ];
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("damaged.qdm");
    for (what, bytes) in copies {
        fs::write(&file, bytes)?;
        refused(Device::boot(&BOARDS[0], &bench.image, Some(&file))?).context(what)?;
    }
    Ok(())
}

/// Expects `!number` at the start and for a sentence, and the same number as exit code.
fn refused(mut device: Device) -> Result<()> {
    let said = device.line()?;
    let number =
        said.strip_prefix('!').and_then(|rest| rest.split('\t').next()).map(str::parse::<i32>);
    let Some(Ok(number)) = number else {
        bail!("{said:?} is no refusal");
    };
    let again = device.ask("turn on the light")?;
    ensure!(again == said, "{said:?} at the start and {again:?} for a sentence");
    device.send(b":quit\n")?;
    let code = device.code()?;
    ensure!(number > 0 && code == number, "{said:?}, then exit code {code}");
    Ok(())
}
