//! `qdllm-hw board`: talks to a board over its serial port or TCP.

mod show;

use crate::board::console::console;
use crate::board::transfer::{send_again, switch, waiting};
use crate::board::{BoardError, Client, Port};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use qdllm_host::files::read;
use qdllm_link::Fault;
use qdllm_link::message::Request;
use show::{Done, classify, info, json, shown};
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
    let out = std::io::stdout();
    answer(args, &mut out.lock())
}

pub fn answer(args: &BoardArgs, out: &mut impl std::io::Write) -> Result<()> {
    let mut connect = || -> Result<Client<Port>, BoardError> {
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
            let bytes = read(model)?;
            let name = || model.display().to_string();
            qdllm_runtime::Model::parse(&bytes).with_context(name)?;
            let started = Instant::now();
            let (client, id) = send_again(client, &about, &bytes, args.json, &mut connect)?;
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
            done.print(args.json, &format!("{}: {what}", name()), out)
        }
        Action::Activate => {
            let id = waiting(&mut client, &about)?;
            let after = switch(client, &Request::Activate(id), Some(id), &mut connect)?;
            Done::of(&after).print(args.json, "activated", out)
        }
        Action::Rollback => {
            let id = about.model.ok_or(BoardError::Refused(Fault::SlotBlank))?;
            let after = switch(client, &Request::Rollback(id), None, &mut connect)?;
            Done::of(&after).print(args.json, "gone back to the model before", out)
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
