//! `qdllm-hw board`: talks to a board over its serial port or TCP.

mod args;
mod console;
mod output;
mod replace;
mod show;

use crate::board::{BoardError, Client, Port};
use anyhow::{Context, Result};
pub use args::{Action, BoardArgs};
use console::console;
use output::{Done, finish, json};
use qdllm_host::files::read;
use qdllm_link::Fault;
use qdllm_link::message::Request;
use replace::{send, switch, waiting};
use show::{classify, info, shown};
use std::time::{Duration, Instant};

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
        Action::Info => info(args, &mut client, &about, out),
        Action::Classify { texts } => classify(args, &mut client, texts, out),
        Action::Put { model, activate } => {
            let bytes = read(model)?;
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
