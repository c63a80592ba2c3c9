//! `qdllm-hw board`: talks to a board over its serial port or TCP.

use crate::board::client::{About, Answer};
use crate::board::transfer::{send_again, switch, waiting};
use crate::board::{BoardError, Client, Port, console};
use anyhow::Result;
use clap::{Args, Subcommand};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::read;
use qdllm_host::terminal::output;
use qdllm_host::values::within;
use qdllm_link::Fault;
use qdllm_link::message::{Cost, ModelId, Request};
use serde::Serialize;
use std::io::Write;
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
    #[arg(long, global = true, default_value_t = 115_200, value_parser = within(1_u32..))]
    pub baud: u32,
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

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

/// How long the first answer may take; it is asked for several times.
const FIRST: Duration = Duration::from_secs(1);

pub fn run(args: &BoardArgs) -> Result<()> {
    let mut out = output();
    answer(args, &mut out)?;
    Ok(out.flush()?)
}

pub fn answer(args: &BoardArgs, out: &mut impl Write) -> Result<()> {
    // A file comes before the port.
    let mut bytes = Vec::new();
    if let Action::Put { model, .. } = &args.action {
        bytes = read(model)?;
        qdllm_runtime::Model::parse(&bytes).of_file(model)?;
    }
    let mut connect = || -> Result<Client<Port>> {
        Ok(Client::new(Port::open(&args.port, args.baud)?, &args.port))
    };
    let mut client = connect()?;
    // Nothing is erased yet: a board that says nothing now is none, and that is soon said.
    let usual = std::mem::replace(&mut client.patience, FIRST);
    let about = client.info()?;
    client.patience = usual;
    match &args.action {
        Action::Info => info(args.json, &mut client, &about, out),
        Action::Classify { texts } => classify(args.json, &mut client, texts, out),
        Action::Put { model, activate } => {
            let started = Instant::now();
            let (client, id) = send_again(client, &about, &bytes, args.json, &mut connect)?;
            let seconds = Some(started.elapsed().as_secs_f64());
            let (mut slot, mut what) = (about.active_slot, "sent; activate it to use it");
            if *activate {
                let after = switch(client, &Request::Activate(id), Some(id), &mut connect)?;
                (slot, what) = (after.active_slot, "sent and in use");
            }
            let what = format!("{}: {what}", model.display());
            Done::of(Some(id), slot, seconds).print(args.json, &what, out)
        }
        Action::Activate => {
            let id = waiting(&mut client, &about)?;
            let after = switch(client, &Request::Activate(id), Some(id), &mut connect)?;
            let done = Done::of(after.model, after.active_slot, None);
            done.print(args.json, "activated", out)
        }
        Action::Rollback => {
            let id = about.model.ok_or(BoardError::Refused(Fault::SlotBlank))?;
            let after = switch(client, &Request::Rollback(id), None, &mut connect)?;
            let done = Done::of(after.model, after.active_slot, None);
            done.print(args.json, "gone back to the model before", out)
        }
        Action::Bench { runs } => {
            let cost = client.bench(*runs)?;
            if args.json {
                return json(&cost, out);
            }
            writeln!(out, "{}: {} a classification", about.board, shown(&cost))?;
            Ok(())
        }
        Action::Console => console(client.link, out),
    }
}

fn json(value: &impl Serialize, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

#[derive(Debug, Serialize)]
struct SlotShown {
    slot: u8,
    state: String,
    fault: u8,
    sequence: u32,
    bytes: u32,
    checksum: String,
}

fn info(
    as_json: bool,
    client: &mut Client<Port>,
    about: &About,
    out: &mut impl Write,
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
    if as_json {
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
    as_json: bool,
    client: &mut Client<Port>,
    texts: &[String],
    out: &mut impl Write,
) -> Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        text: &'a str,
        #[serde(flatten)]
        answer: &'a Answer,
    }
    for text in texts {
        let answer = client.classify(text)?;
        if as_json {
            writeln!(out, "{}", serde_json::to_string(&Line { text, answer: &answer })?)?;
            out.flush()?;
            continue;
        }
        let rejected = match answer.found {
            0 => "  (rejected: nothing of it is known)",
            _ if answer.rejected => "  (rejected: below the threshold)",
            _ => "",
        };
        let cost = shown(&answer.cost);
        writeln!(out, "{:.4}  {}{rejected}  [{cost}]", answer.probability, answer.label)?;
        out.flush()?;
    }
    Ok(())
}

fn shown(cost: &Cost) -> String {
    let parts =
        [(cost.instructions, "instructions"), (cost.cycles, "cycles"), (cost.microseconds, "us")];
    let parts = parts.iter().filter(|(value, _)| *value > 0);
    let parts: Vec<String> = parts.map(|(value, unit)| format!("{value} {unit}")).collect();
    if parts.is_empty() { "the board counts nothing".to_owned() } else { parts.join(", ") }
}

#[derive(Debug, Serialize)]
struct Done {
    bytes: Option<u32>,
    seconds: Option<f64>,
    bytes_per_second: Option<f64>,
    active_slot: Option<u8>,
    checksum: Option<String>,
}

impl Done {
    fn of(model: Option<ModelId>, active_slot: Option<u8>, seconds: Option<f64>) -> Self {
        let bytes = model.map(|model| model.length);
        let checksum = model.map(|model| format!("{:08x}", model.checksum));
        let speed = bytes.zip(seconds);
        let bytes_per_second = speed.map(|(bytes, seconds)| f64::from(bytes) / seconds);
        Self { bytes, seconds, bytes_per_second, active_slot, checksum }
    }

    fn print(&self, as_json: bool, what: &str, out: &mut impl Write) -> Result<()> {
        if as_json {
            return json(self, out);
        }
        let slot = self.active_slot.map_or("none".to_owned(), |slot| slot.to_string());
        let speed = self.seconds.map_or(String::new(), |seconds| format!(" in {seconds:.1} s"));
        writeln!(out, "{what}{speed}; slot in use: {slot}")?;
        Ok(())
    }
}
