//! The console on the host, over bytes in memory, with a frozen model in a region that is only read.

// A test that fails may stop.
#![allow(clippy::indexing_slicing, clippy::panic)]

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use qdllm_app::{BoardConfig, Counters, End, LINE_BYTES, Layout, Memory, ReadOnly, run};
use qdllm_link::Fault;
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

impl Counters for Counter {
    fn start(&mut self) {
        self.started = true;
    }

    fn instructions(&mut self) -> u64 {
        if self.started { INSTRUCTIONS } else { 0 }
    }

    fn microseconds(&mut self) -> u64 {
        if self.started { 77 } else { 0 }
    }

    fn stack_bytes(&self) -> usize {
        321
    }

    fn static_bytes(&self) -> usize {
        20_000
    }
}

/// Runs on `region` and `input` until a call returns without an error; gives all lines sent, the
/// errors met, what ended it and why there was no model.
fn talk_with(
    region: &'static [u8],
    input: &[u8],
    reads: usize,
) -> (Vec<String>, usize, End, Option<Fault>) {
    let config = BoardConfig::new("test", Layout::single(region.len() as u32));
    let mut memory = Memory::new(Scratch::new());
    let mut counter = Counter { started: false };
    let mut port = Port { input, output: Vec::new(), reads };
    let mut errors = 0;
    let ended = loop {
        match run(&mut port, &mut ReadOnly(region), &mut counter, &mut memory, &config) {
            Ok(ended) => break ended,
            Err(_) => errors += 1,
        }
    };
    let text = String::from_utf8_lossy(&port.output).into_owned();
    let lines = text.split_terminator("\r\n").map(str::to_owned).collect();
    (lines, errors, ended.by, ended.fault)
}

fn talk(input: &[u8], reads: usize) -> Result<(Vec<String>, usize), Error> {
    let (lines, errors, _, fault) = talk_with(MODEL, input, reads);
    assert_eq!(fault, None);
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
        "{}\t{:.6}\t{INSTRUCTIONS}\t{}\t{}\tfound={}",
        model.label(prediction.class()),
        prediction.probability(),
        prediction.class(),
        all.join(","),
        prediction.found()
    );
    assert_eq!(lines, [expected]);
    Ok(())
}

#[test]
fn info_names_what_things_are_and_take() -> Result<(), Error> {
    let lines = answers(b":info\n")?;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let fields: Vec<&str> = line.split('\t').collect();
    let version = format!("version={}", env!("CARGO_PKG_VERSION"));
    let bytes = format!("model_bytes={}", MODEL.len());
    let ram = format!("classifier_ram_bytes={}", size_of::<Scratch>());
    let expected = [
        "info",
        &version,
        "board=test",
        "engine=statevector f32",
        "classes=3",
        &bytes,
        &ram,
        "static_ram_bytes=20000",
        "stack_bytes=321",
        "capacity=0",
        "sequence=0",
        "floor=0",
        "slot0=active",
        "slot1=!120",
    ];
    assert_eq!(fields, expected);
    Ok(())
}

#[test]
fn commands_are_answered() -> Result<(), Error> {
    let lines = answers(b":help\n:model\n:bench\nhelp\n?\n")?;
    let [help, model, bench, again, once_more] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!([again, once_more], [help, help]);
    for command in [":info", ":model", ":bench", ":quit"] {
        assert!(help.contains(command), "{help}");
    }
    let parsed = Model::parse(MODEL)?;
    let labels: Vec<&str> = (0..3).map(|class| parsed.label(class)).collect();
    assert!(model.ends_with(&format!("\tclasses=3\tlabels={}", labels.join(","))), "{model}");
    // The counter has no cycles: they are not shown as 0.
    assert_eq!(bench, "bench\truns=10\tinstructions=12345\tmicroseconds=77");
    Ok(())
}

#[test]
fn without_a_model_every_sentence_is_refused_and_the_console_stays() {
    let erased: &[u8] = &[0xff; 4096];
    let (lines, errors, by, fault) =
        talk_with(erased, b"hello\n:info\n:model\n:quit\n", usize::MAX);
    assert_eq!((errors, by, fault), (0, End::Quit, Some(Fault::SlotBlank)));
    let refused = "!120\tno model was ever written here";
    assert_eq!((&lines[0][..], &lines[1][..], &lines[3][..]), (refused, refused, refused));
    assert!(lines[2].starts_with("info\t"), "{lines:?}");
}

#[test]
fn a_damaged_bare_model_is_refused_with_its_number() {
    let mut bytes = MODEL.to_vec();
    bytes[40] ^= 1;
    let (lines, .., fault) = talk_with(bytes.leak(), b"", usize::MAX);
    assert_eq!(fault, Some(Error::BadChecksum.into()));
    assert!(lines[0].starts_with("!5\t"), "{lines:?}");
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
