//! `qdllm-hw board`: talks to a board over its serial port or TCP.

use crate::board::client::{About, Answer};
use crate::board::{BoardError, Client, Link as _, Port, put};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qdllm_link::Fault;
use qdllm_link::message::{Cost, ModelId, Request};
use serde::Serialize;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Talk to a board: classify, replace its model, go back
///
/// Examples:
///   qdllm-hw board --port /dev/ttyACM0 info
///   qdllm-hw board --port /dev/ttyACM0 classify "turn on the light"
///   qdllm-hw board --port tcp:127.0.0.1:4444 put model.qdm --activate
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct BoardArgs {
    /// Serial device, such as /dev/ttyACM0 or COM3, or tcp:HOST:PORT
    #[arg(long, global = true, default_value = "", value_name = "PORT")]
    pub port: String,
    /// Speed of a serial line; USB ignores it
    #[arg(long, global = true, default_value_t = 115_200)]
    pub baud: u32,
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the board.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// Say what the board is and what its slots hold
    Info,
    /// Classify texts on the board
    Classify {
        /// The texts
        #[arg(required = true)]
        texts: Vec<String>,
    },
    /// Send a model into the slot that is not in use; goes on where an earlier transfer broke off
    Put {
        /// The model file (.qdm)
        model: PathBuf,
        /// Then use it
        #[arg(long)]
        activate: bool,
    },
    /// Use the model that was put; the board resets and tries it, and goes back if it fails
    Activate,
    /// Give up the model in use and go back to the one before
    Rollback,
    /// Say what a classification takes on the board
    Bench {
        /// Classifications to take the mean of
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        runs: u16,
    },
    /// Type sentences; end with Ctrl-D
    Console,
}

/// A slot as it is printed.
#[derive(Debug, Serialize)]
struct SlotShown {
    slot: u8,
    state: String,
    fault: u8,
    sequence: u32,
    bytes: u32,
    checksum: String,
}

/// What `put`, `activate` and `rollback` did.
#[derive(Debug, Serialize)]
struct Done {
    bytes: Option<u32>,
    seconds: Option<f64>,
    bytes_per_second: Option<f64>,
    active_slot: Option<u8>,
    checksum: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// [`BoardError`], or a file that cannot be read.
pub fn run(args: &BoardArgs) -> Result<()> {
    let out = std::io::stdout();
    answer(args, &mut out.lock())
}

/// Runs the command and writes what it prints to `out`.
///
/// # Errors
/// As [`run`].
pub fn answer(args: &BoardArgs, out: &mut impl std::io::Write) -> Result<()> {
    let mut connect = || -> Result<Client<Port>, BoardError> {
        Ok(Client::new(Port::open(&args.port, args.baud)?, &args.port))
    };
    let mut client = connect()?;
    let about = client.info()?;
    match &args.action {
        Action::Info => info(args, &mut client, &about, out),
        Action::Classify { texts } => classify(args, &mut client, texts, out),
        Action::Put { model, activate } => {
            let bytes = std::fs::read(model)
                .with_context(|| format!("{}: cannot be read", model.display()))?;
            let name = || model.display().to_string();
            qdllm_runtime::Model::parse(&bytes).with_context(name)?;
            let started = Instant::now();
            let (client, id) = send(args, client, &about, &bytes, &mut connect)?;
            let seconds = started.elapsed().as_secs_f64();
            let mut done = Done {
                bytes: Some(id.length),
                seconds: Some(seconds),
                bytes_per_second: Some(f64::from(id.length) / seconds),
                active_slot: about.active_slot,
                checksum: Some(format!("{:08x}", id.checksum)),
            };
            if *activate {
                let after = switch(client, &Request::Activate(id), Some(id), &mut connect)?;
                done.active_slot = after.active_slot;
            }
            let what = if *activate { "sent and in use" } else { "sent; activate it to use it" };
            finish(args, &done, &format!("{}: {what}", name()), out)
        }
        Action::Activate => {
            let id = waiting(&mut client, &about)?;
            let after = switch(client, &Request::Activate(id), Some(id), &mut connect)?;
            finish(args, &Done::of(&after), "activated", out)
        }
        Action::Rollback => {
            let id = about.model.ok_or(BoardError::Refused(Fault::SlotBlank))?;
            let after = switch(client, &Request::Rollback(id), None, &mut connect)?;
            finish(args, &Done::of(&after), "gone back to the model before", out)
        }
        Action::Bench { runs } => {
            let cost = client.bench(*runs)?;
            if args.json {
                return json(&cost, out);
            }
            writeln!(out, "{}: {} a classification", about.board, shown(&cost))?;
            Ok(())
        }
        Action::Console => console(client.into_link(), out),
    }
}

fn json(value: &impl Serialize, out: &mut impl std::io::Write) -> Result<()> {
    writeln!(out, "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

impl Done {
    fn of(about: &About) -> Self {
        Self {
            bytes: about.model.map(|model| model.length),
            seconds: None,
            bytes_per_second: None,
            active_slot: about.active_slot,
            checksum: about.model.map(|model| format!("{:08x}", model.checksum)),
        }
    }
}

fn finish(args: &BoardArgs, done: &Done, what: &str, out: &mut impl std::io::Write) -> Result<()> {
    if args.json {
        return json(done, out);
    }
    let slot = done.active_slot.map_or("none".to_owned(), |slot| slot.to_string());
    let speed = done.seconds.map_or(String::new(), |seconds| format!(" in {seconds:.1} s"));
    writeln!(out, "{what}{speed}; slot in use: {slot}")?;
    Ok(())
}

fn info(
    args: &BoardArgs,
    client: &mut Client<Port>,
    about: &About,
    out: &mut impl std::io::Write,
) -> Result<()> {
    #[derive(Serialize)]
    struct All<'a> {
        #[serde(flatten)]
        about: &'a About,
        slots: Vec<SlotShown>,
    }
    let mut slots = Vec::new();
    for number in 0..2 {
        let slot = match client.slot(number) {
            Ok(slot) => slot,
            // A board with one slot.
            Err(BoardError::Refused(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let state = match Fault::from_number(slot.fault) {
            Some(fault) => fault.to_string(),
            None if about.active_slot == Some(number) => "in use".to_owned(),
            None => "usable".to_owned(),
        };
        slots.push(SlotShown {
            slot: number,
            state,
            fault: slot.fault,
            sequence: slot.sequence,
            bytes: slot.id.length,
            checksum: format!("{:08x}", slot.id.checksum),
        });
    }
    if args.json {
        return json(&All { about, slots }, out);
    }
    writeln!(out, "board      {} (firmware {}, {})", about.board, about.firmware, about.engine)?;
    match about.model {
        Some(model) => writeln!(
            out,
            "model      {} bytes, {} classes, checksum {:08x}, version {}",
            model.length, about.classes, model.checksum, about.version
        )?,
        None => writeln!(out, "model      none: put one (qdllm-hw board put MODEL --activate)")?,
    }
    writeln!(
        out,
        "memory     {} bytes of RAM for the back end, {} of statics, {} of stack",
        about.engine_ram_bytes, about.static_ram_bytes, about.stack_bytes
    )?;
    match (about.capacity_bytes, &about.key) {
        (0, _) => writeln!(out, "takes      no model over this port")?,
        (bytes, None) => writeln!(out, "takes      models up to {bytes} bytes")?,
        (bytes, Some(key)) => writeln!(
            out,
            "takes      models up to {bytes} bytes, signed for {key}, version {} or later",
            about.lowest_version
        )?,
    }
    for slot in &slots {
        writeln!(out, "slot {}     {} ({} bytes)", slot.slot, slot.state, slot.bytes)?;
    }
    Ok(())
}

fn classify(
    args: &BoardArgs,
    client: &mut Client<Port>,
    texts: &[String],
    out: &mut impl std::io::Write,
) -> Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        text: &'a str,
        #[serde(flatten)]
        answer: &'a Answer,
    }
    for text in texts {
        let answer = client.classify(text)?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&Line { text, answer: &answer })?)?;
            continue;
        }
        let rejected = if answer.rejected { "  (below the threshold)" } else { "" };
        let cost = shown(&answer.cost);
        writeln!(out, "{:.4}  {}{rejected}  [{cost}]", answer.probability, answer.label)?;
    }
    Ok(())
}

/// What the board could count.
fn shown(cost: &Cost) -> String {
    let parts =
        [(cost.instructions, "instructions"), (cost.cycles, "cycles"), (cost.microseconds, "us")];
    let parts = parts.iter().filter(|(value, _)| *value > 0);
    let parts: Vec<String> = parts.map(|(value, unit)| format!("{value} {unit}")).collect();
    if parts.is_empty() { "the board counts nothing".to_owned() } else { parts.join(", ") }
}

/// How often a broken transfer is taken up again by itself.
const AGAIN: u32 = 3;

/// Sends a model, over new connections where one breaks.
fn send(
    args: &BoardArgs,
    mut client: Client<Port>,
    about: &About,
    file: &[u8],
    connect: &mut dyn FnMut() -> Result<Client<Port>, BoardError>,
) -> Result<(Client<Port>, ModelId)> {
    let bar = progress_bar(file.len() as u64, args.json);
    let mut quarter = 0;
    let mut hear = |bytes: u32| {
        bar.set_position(bytes.into());
        let now = 4 * u64::from(bytes) / (file.len() as u64).max(1);
        if bar.is_hidden() && now > quarter && !args.json {
            quarter = now;
            eprintln!("{bytes} of {} bytes", file.len());
        }
    };
    let mut again = 0;
    loop {
        match put::put(&mut client, about, file, &mut hear) {
            Ok(id) => {
                bar.finish_and_clear();
                return Ok((client, id));
            }
            Err(error @ BoardError::Lost { .. }) if again < AGAIN => {
                again += 1;
                std::thread::sleep(Duration::from_millis(500));
                match connect() {
                    Ok(new) => client = new,
                    Err(_) if again < AGAIN => {}
                    Err(_) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn progress_bar(bytes: u64, quiet: bool) -> ProgressBar {
    let on_terminal = std::io::stderr().is_terminal() && !quiet;
    let target =
        if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(bytes), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// The model in the slot that is not in use.
fn waiting(client: &mut Client<Port>, about: &About) -> Result<ModelId, BoardError> {
    let spare = about.active_slot.map_or(0, |slot| 1 - slot.min(1));
    let slot = client.slot(spare)?;
    match Fault::from_number(slot.fault) {
        Some(Fault::SlotInactive) => Ok(slot.id),
        // Without a fault it is the model before the one in use.
        None | Some(Fault::SlotBlank | Fault::SlotIncomplete | Fault::SlotHeader) => {
            Err(BoardError::NothingPut)
        }
        Some(fault) => Err(BoardError::Refused(fault)),
    }
}

/// Asks for another model and waits for the board to come back with it.
fn switch(
    mut client: Client<Port>,
    request: &Request<'_>,
    expected: Option<ModelId>,
    connect: &mut dyn FnMut() -> Result<Client<Port>, BoardError>,
) -> Result<About> {
    match client.switch(request) {
        Ok(_) => {}
        // The answer may be lost in the reset: the board says below what it has.
        Err(BoardError::Lost { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(put::restarted(client, connect, expected)?.1)
}

/// Lines to the board and what it says back, until the input ends.
fn console(mut port: Port, out: &mut impl std::io::Write) -> Result<()> {
    let mut listening = port.try_clone()?;
    if std::io::stdin().is_terminal() {
        eprintln!("type a sentence; :help lists the commands; Ctrl-D ends");
    }
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = listening.receive(&mut buffer, Duration::from_millis(50)) {
            if said.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let (typed, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    // After the last line the board has a moment to answer it.
    let mut ended: Option<Instant> = None;
    loop {
        match heard.recv_timeout(Duration::from_millis(20)) {
            Ok(bytes) => {
                out.write_all(&bytes)?;
                out.flush()?;
                if !bytes.is_empty() && ended.is_some() {
                    ended = Some(Instant::now());
                }
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                return Err(
                    BoardError::Lost { name: "the board".into(), during: String::new() }.into()
                );
            }
        }
        match lines.try_recv() {
            Ok(line) => port.send(format!("{line}\n").as_bytes())?,
            Err(std::sync::mpsc::TryRecvError::Empty) => {}
            Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                let since = *ended.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(1) {
                    return Ok(());
                }
            }
        }
    }
}
