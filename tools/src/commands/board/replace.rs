//! Another model on the board: sent over as many connections as it takes, then waited for.

use super::args::BoardArgs;
use crate::board::client::About;
use crate::board::{BoardError, Client, Port, transfer};
use anyhow::Result;
use qdllm_host::terminal::Progress;
use qdllm_link::Fault;
use qdllm_link::message::{ModelId, Request};
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
    let mut progress = Progress::new(args.json);
    progress.stage("sending", file.len() as u64);
    let mut again = 0;
    loop {
        match transfer::send_model(&mut client, about, file, &mut |bytes| progress.at(bytes.into()))
        {
            Ok(id) => {
                progress.done();
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
    Ok(transfer::restarted(client, connect, expected)?.1)
}
