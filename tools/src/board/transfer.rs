//! Sends a model to a board: chunks ahead of their answers as far as the board allows, again where one
//! was lost, and on from where the board stands after a broken link.

use super::client::{About, Client};
use super::{BoardError, Link};
use anyhow::{Context as _, Result, bail, ensure};
use qdllm_host::hex::encode as hex;
use qdllm_host::terminal::Progress;
use qdllm_link::message::{Announced, ModelId, Request, Response};
use qdllm_link::{Fault, frame};
use qdllm_runtime::Model;
use qdllm_runtime::format::signature::{Announcement, ModelSignature};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Times that chunks are sent again without any progress before the link counts as lost.
const TRIES: u32 = 6;

/// How long a board may take from its reset to its first answer, a trial of the model included.
const RESTART: Duration = Duration::from_secs(20);

pub fn id(file: &[u8]) -> Result<ModelId, qdllm_runtime::Error> {
    let model = Model::parse(file)?;
    let bytes = model.container().bytes();
    let checksum = bytes.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    // The format's own length field has 32 bits.
    Ok(ModelId { length: bytes.len() as u32, checksum })
}

/// Refuses a model that this board cannot take, before anything is sent; gives what a board with a public key is
/// told of it first.
pub fn check<'f>(about: &About, file: &'f [u8]) -> Result<(ModelId, Option<Announcement<'f>>)> {
    let refused = |error: qdllm_runtime::Error| BoardError::Refused(error.into());
    let model = Model::parse(file).map_err(refused)?;
    let (bytes, capacity) = (file.len() as u64, about.capacity_bytes);
    ensure!(
        capacity > 0,
        "this board takes no model over its port: write one into its flash (qdllm-hw image, \
         qdllm-hw flash)"
    );
    ensure!(
        bytes <= capacity.into(),
        "the model has {bytes} bytes and a slot of this board takes {capacity}: train one with fewer \
         rows (qdllm distill --help), or compile it to a smaller back end (qdllm compile)"
    );
    let (classes, most) = (model.classes(), about.max_classes);
    ensure!(classes <= most.into(), "the model has {classes} classes and this board takes {most}");
    let mut announcement = None;
    if let Some(key) = &about.key {
        let signed = ModelSignature::of(model.container()).map_err(refused)?;
        let signed = signed.with_context(|| {
            format!(
                "this board takes only models signed for the key that begins with {key}: sign it with \
                 qdllm-hw sign"
            )
        })?;
        ensure!(hex(signed.key) == *key, BoardError::Refused(Fault::OtherKey));
        ensure!(signed.version >= about.lowest_version, BoardError::Refused(Fault::TooOld));
        announcement = signed.announcement(model.container()).map_err(refused)?;
    }
    Ok((id(file).map_err(refused)?, announcement))
}

/// Sends a model until the board has found it whole and usable. `progress` hears how many bytes the
/// board has. After [`BoardError::Lost`] calling again goes on from there.
pub fn send_model<L: Link>(
    client: &mut Client<L>,
    about: &About,
    file: &[u8],
    progress: &mut dyn FnMut(u32),
) -> Result<ModelId, BoardError> {
    let (model, announcement) = check(about, file)?;
    if let Some(announcement) = announcement {
        announce(client, model, &announcement)?;
    }
    let mut sent = 0;
    let done = send(client, about, file, model, &mut |bytes| {
        sent = bytes;
        progress(bytes);
    });
    match done.and_then(|()| client.received(&Request::Finish(model))) {
        Err(BoardError::Lost { .. }) => {
            Err(client.lost(&format!(" after {sent} of {} bytes", model.length)))
        }
        done => done.map(|_| model),
    }
}

/// Begins a transfer by what the file's signer says of it; afterwards the model's id is enough. A board that was
/// built before there were announcements does not know the request and begins without.
fn announce<L: Link>(
    client: &mut Client<L>,
    model: ModelId,
    announcement: &Announcement<'_>,
) -> Result<(), BoardError> {
    let Announcement { body, version, minimum, signature, .. } = *announcement;
    let announced = Announced { body, version, minimum, signature };
    match client.received(&Request::BeginSigned { model, announced }) {
        Ok(_) | Err(BoardError::Refused(Fault::UnknownMessage)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn send<L: Link>(
    client: &mut Client<L>,
    about: &About,
    file: &[u8],
    model: ModelId,
    progress: &mut dyn FnMut(u32),
) -> Result<(), BoardError> {
    // Number and length on the wire of what is not answered yet. The first chunks follow begin at
    // once, so that the first erasure takes no time of the line; where a transfer is taken up again
    // they are there already, and left alone.
    let mut open = VecDeque::from([(client.send(&Request::Begin(model))?, ENVELOPE)]);
    let mut acknowledged = None;
    let mut next = 0;
    let mut tries = 0;
    while acknowledged < Some(model.length) {
        while let Some(data) = chunk(file, next) {
            // The board works on the first; the others lie in its port meanwhile.
            let waiting: usize = open.iter().skip(1).map(|(_, length)| length).sum();
            let length = data.len() + ENVELOPE;
            if !open.is_empty() && waiting + length > usize::from(about.ahead_bytes) {
                break;
            }
            open.push_back((client.send(&Request::Chunk { offset: next, data })?, length));
            next += data.len() as u32;
        }
        match answer(client, &mut open)? {
            Some(bytes) if Some(bytes) > acknowledged => {
                acknowledged = Some(bytes);
                next = next.max(bytes);
                tries = 0;
                progress(bytes);
            }
            Some(_) => {}
            None => {
                tries += 1;
                if tries > TRIES {
                    return Err(client.silent());
                }
                // The board says where it stands.
                open.clear();
                next = client.received(&Request::Begin(model))?;
                acknowledged = Some(next);
            }
        }
    }
    Ok(())
}

/// Bytes of a chunk's frame beside its data, at most.
const ENVELOPE: usize = frame::ENCODED_BYTES + 3 - frame::CHUNK_BYTES;

fn chunk(file: &[u8], offset: u32) -> Option<&[u8]> {
    file.get(offset as usize..)?.chunks(frame::CHUNK_BYTES).next()
}

/// How much the board has received; `None` when a chunk or its answer was lost.
fn answer<L: Link>(
    client: &mut Client<L>,
    open: &mut VecDeque<(u16, usize)>,
) -> Result<Option<u32>, BoardError> {
    let until = Instant::now() + client.patience;
    while let Some(sealed) = client.frame(until)? {
        let Ok((number, response)) = frame::open::<Response<'_>>(&sealed) else { continue };
        let place = open.iter().position(|(open, _)| *open == number);
        match (place, response) {
            (Some(place), Response::Received(bytes)) => {
                // Answers come in order: one that is missing is not needed any more.
                open.drain(..=place);
                return Ok(Some(bytes));
            }
            (Some(_), Response::Fault { number, .. }) => match Fault::from_number(number) {
                Some(Fault::OutOfOrder | Fault::NoTransfer) => return Ok(None),
                _ => return Err(BoardError::refused(number)),
            },
            // A frame that came damaged: the board cannot say which.
            (None, Response::Fault { number: 110 | 111, .. }) => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

/// Waits for the board after its reset; gives what it then is, or an error when it uses another model than
/// `expected`. `connect` opens the port anew: a board with USB disappears during its reset.
pub fn restarted<L: Link>(
    client: Client<L>,
    connect: &mut dyn FnMut() -> Result<Client<L>>,
    expected: Option<ModelId>,
) -> Result<(Client<L>, About)> {
    let until = Instant::now() + RESTART;
    let mut current = Some(client);
    let (mut client, about) = loop {
        let answer = current.take().map_or_else(&mut *connect, Ok).and_then(|mut client| {
            client.patience = Duration::from_secs(2);
            let about = client.info()?;
            Ok((client, about))
        });
        match answer {
            Ok(answer) => break answer,
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(250)),
        }
    };
    if expected.is_none() || about.model == expected {
        return Ok((client, about));
    }
    let tried = 1 - about.active_slot.unwrap_or(1).min(1);
    let fault = client.slot(tried).map_or(0, |slot| slot.fault);
    let fault = Fault::from_number(fault).unwrap_or(Fault::SlotRejected);
    bail!(
        "the board tried the model after its reset and went back to the one before ({fault}, number {}): \
         the model does not run there, check it on this machine (qdllm classify)",
        fault.number()
    )
}

/// How often a broken transfer is taken up again by itself.
const AGAIN: u32 = 3;

/// Sends a model, over new connections where one breaks.
pub fn send_again<L: Link>(
    mut client: Client<L>,
    about: &About,
    file: &[u8],
    quiet: bool,
    connect: &mut dyn FnMut() -> Result<Client<L>>,
) -> Result<(Client<L>, ModelId)> {
    let mut progress = Progress::new(quiet);
    let announced = check(about, file)?.1;
    if about.model.is_some() && announced.is_some_and(|said| said.minimum > about.lowest_version) {
        progress.say(
            "note: once this model is in use, the board cannot go back to the one that it has (number 153): \
             its --minimum is higher",
        );
    }
    progress.stage("sending", file.len() as u64);
    let mut again = 0;
    loop {
        let sent = send_model(&mut client, about, file, &mut |bytes| progress.at(bytes.into()));
        let error = match sent {
            Ok(id) => {
                progress.done();
                return Ok((client, id));
            }
            Err(error @ BoardError::Lost { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        let connected = (again..AGAIN).find_map(|_| {
            again += 1;
            std::thread::sleep(Duration::from_millis(500));
            connect().ok()
        });
        // What this transfer came to is said, not what a dead connection gives after it.
        client = connected.ok_or(error)?;
    }
}

/// The model that was put and waits to be activated.
pub fn waiting<L: Link>(client: &mut Client<L>, about: &About) -> Result<ModelId> {
    let spare = about.active_slot.map_or(0, |slot| 1 - slot.min(1));
    let slot = client.slot(spare)?;
    match Fault::from_number(slot.fault) {
        Some(Fault::SlotInactive) => Ok(slot.id),
        // Without a fault it is the model before the one in use.
        None | Some(Fault::SlotBlank | Fault::SlotIncomplete | Fault::SlotHeader) => bail!(
            "the other slot holds no new model: put one first (qdllm-hw board put MODEL), or go back to \
             the one before (qdllm-hw board rollback)"
        ),
        Some(fault) => Err(BoardError::Refused(fault).into()),
    }
}

/// Asks for another model and waits for the board to come back with it.
pub fn switch<L: Link>(
    mut client: Client<L>,
    request: &Request<'_>,
    expected: Option<ModelId>,
    connect: &mut dyn FnMut() -> Result<Client<L>>,
) -> Result<About> {
    match client.switch(request) {
        // The answer may be lost in the reset: the board says below what it has.
        Ok(_) | Err(BoardError::Lost { .. }) => Ok(restarted(client, connect, expected)?.1),
        Err(error) => Err(error.into()),
    }
}
