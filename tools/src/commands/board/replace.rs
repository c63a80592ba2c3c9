//! Another model on the board: sent over as many connections as it takes, then waited for.

use super::BoardArgs;
use crate::board::client::About;
use crate::board::{BoardError, Client, Port, put};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qdllm_link::Fault;
use qdllm_link::message::{ModelId, Request};
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often a broken transfer is taken up again by itself.
const AGAIN: u32 = 3;

/// Sends a model, over new connections where one breaks.
pub fn send(
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
            Err(error @ BoardError::Lost { .. }) => {
                // What this transfer came to is said, not what a dead connection gives after it.
                let mut new = None;
                while new.is_none() && again < AGAIN {
                    again += 1;
                    std::thread::sleep(Duration::from_millis(500));
                    new = connect().ok();
                }
                match new {
                    Some(new) => client = new,
                    None => return Err(error.into()),
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
pub fn waiting(client: &mut Client<Port>, about: &About) -> Result<ModelId, BoardError> {
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
pub fn switch(
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
