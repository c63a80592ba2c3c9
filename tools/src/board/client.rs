//! The host's end of the protocol: requests with numbers, answers, and asking again.

use super::{BoardError, Link};
use anyhow::anyhow;
use qdllm_host::hex::encode as hex;
use qdllm_link::message::{Cost, Info, ModelId, Request, Response, Slot};
use qdllm_link::{Fault, frame};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::time::{Duration, Instant};

/// How often a request is sent before the link counts as lost.
const TRIES: u32 = 4;

/// The longest that a board may take for an answer, the erasure of a large sector included.
const PATIENCE: Duration = Duration::from_secs(4);

const SILENT: &str = "nothing answers";

/// Takes one kind of response and passes over the others.
macro_rules! only {
    ($kind:pat => $value:expr) => {
        |response| match response {
            $kind => Some($value),
            _ => None,
        }
    };
}

#[derive(Debug)]
pub struct Client<L> {
    pub link: L,
    name: String,
    number: u16,
    heard: Vec<u8>,
    /// Why it is no board of ours; `None` once a frame came.
    strange: Option<&'static str>,
    pub patience: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    pub firmware: String,
    pub board: String,
    pub engine: String,
    /// Bytes of the longest model that can be put.
    pub capacity_bytes: u32,
    /// How far a sender may run ahead, in bytes.
    pub ahead_bytes: u16,
    pub max_classes: u8,
    /// RAM of the back end beside the stack.
    pub engine_ram_bytes: u32,
    /// RAM of all statics; 0 if unknown.
    pub static_ram_bytes: u32,
    /// The deepest stack so far; 0 if unknown.
    pub stack_bytes: u32,
    /// The first 8 bytes of the public key, in hex.
    pub key: Option<String>,
    pub lowest_version: u32,
    pub active_slot: Option<u8>,
    #[serde(serialize_with = "shown")]
    pub model: Option<ModelId>,
    pub classes: u8,
    pub version: u32,
}

/// A model's id as length and checksum in hex.
fn shown<S: Serializer>(id: &Option<ModelId>, to: S) -> Result<S::Ok, S::Error> {
    let checksum = |id: &ModelId| format!("{:08x}", id.checksum);
    id.map(|id| json!({"bytes": id.length, "checksum": checksum(&id)})).serialize(to)
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub label: String,
    pub class: u8,
    pub probability: f32,
    /// Below the model's threshold.
    pub rejected: bool,
    pub found: u32,
    pub probabilities: Vec<f32>,
    pub cost: Cost,
}

impl<L: Link> Client<L> {
    /// A client over a link that the user knows as `name`.
    pub fn new(link: L, name: &str) -> Self {
        let (name, heard, strange) = (name.to_owned(), Vec::new(), Some(SILENT));
        Self { link, name, number: 0, heard, strange, patience: PATIENCE }
    }

    /// What the board is and has; [`BoardError::NotOurs`] when nothing that answers is a qdllm board.
    pub fn info(&mut self) -> Result<About, BoardError> {
        self.ask(&Request::Info, only!(Response::Info(info) => About::of(&info)))
    }

    pub fn slot(&mut self, slot: u8) -> Result<Slot, BoardError> {
        self.ask(&Request::Slot(slot), only!(Response::Slot(slot) => slot))
    }

    /// Classifies a text; [`BoardError::Refused`] without a model, or when the text is longer than a frame.
    pub fn classify(&mut self, text: &str) -> Result<Answer, BoardError> {
        let floats =
            |bytes: &[u8]| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        self.ask(
            &Request::Classify(text),
            only!(Response::Class(class) => Answer {
                label: class.label.to_owned(),
                class: class.class,
                probability: class.probability,
                rejected: class.rejected,
                found: class.found,
                probabilities: floats(class.probabilities),
                cost: class.cost,
            }),
        )
    }

    /// Time of one classification, the mean of `runs`.
    pub fn bench(&mut self, runs: u16) -> Result<Cost, BoardError> {
        let usual = self.patience;
        self.patience = usual + Duration::from_millis(500) * runs.into();
        let cost = self.ask(&Request::Bench { runs }, only!(Response::Bench(cost) => cost));
        self.patience = usual;
        cost
    }

    /// Begins a transfer, finishes it, or does nothing else than say where it stands.
    pub(super) fn received(&mut self, request: &Request<'_>) -> Result<u32, BoardError> {
        self.ask(request, only!(Response::Received(offset) => offset))
    }

    /// Activates or rolls back; says whether a reset follows.
    pub fn switch(&mut self, request: &Request<'_>) -> Result<bool, BoardError> {
        self.ask(request, only!(Response::Switched { reset } => reset))
    }

    fn ask<T>(
        &mut self,
        request: &Request<'_>,
        take: impl Fn(Response<'_>) -> Option<T>,
    ) -> Result<T, BoardError> {
        for _ in 0..TRIES {
            let number = self.send(request)?;
            let until = Instant::now() + self.patience;
            while let Some(sealed) = self.frame(until)? {
                match frame::open::<Response<'_>>(&sealed) {
                    Ok((_, Response::Fault { number: 112, .. })) => {
                        return Err(self.other_version());
                    }
                    Ok((to, response)) if to == number => match response {
                        // Damaged on its way there, and said so: ask again at once.
                        Response::Fault { number: 110 | 111, .. } => break,
                        Response::Fault { number, .. } => return Err(BoardError::refused(number)),
                        other => {
                            if let Some(taken) = take(other) {
                                return Ok(taken);
                            }
                        }
                    },
                    Ok((0, Response::Fault { number: 110 | 111, .. })) => break,
                    Err((_, Fault::ProtocolVersion)) => {
                        return Err(self.other_version());
                    }
                    _ => {}
                }
            }
        }
        Err(self.silent())
    }

    pub(super) fn send(&mut self, request: &Request<'_>) -> Result<u16, BoardError> {
        self.number = self.number.wrapping_add(1).max(1);
        let mut buffer = [0; frame::WIRE_BYTES];
        let bytes =
            frame::encode(self.number, request, &mut buffer).map_err(BoardError::Refused)?;
        self.link.send(bytes).map_err(|_| self.lost(""))?;
        Ok(self.number)
    }

    /// The next frame before `until`, without COBS; console lines are passed over.
    pub(super) fn frame(&mut self, until: Instant) -> Result<Option<Vec<u8>>, BoardError> {
        loop {
            while let Some(end) = self.heard.iter().position(|&byte| byte == 0) {
                let mut part: Vec<u8> = self.heard.drain(..=end).collect();
                part.pop();
                let decoded = frame::decode(&mut part).filter(|frame| frame.len() >= 5);
                let Some(sealed) = decoded.map(|frame| frame.to_vec()) else { continue };
                let opened = frame::open::<Response<'_>>(&sealed).map(drop);
                match opened {
                    Err((_, Fault::FrameDamaged)) => {}
                    // Not an answer, although whole: a port that sends back what it is sent does this.
                    Err((_, Fault::UnknownMessage)) => {
                        self.strange = self.strange.and(Some("it only sends back what it is sent"));
                    }
                    _ => {
                        self.strange = None;
                        return Ok(Some(sealed));
                    }
                }
            }
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(None);
            }
            let mut buffer = [0; 4096];
            let count = self.link.receive(&mut buffer, wait).map_err(|_| self.lost(""))?;
            if count > 0 && self.strange == Some(SILENT) {
                self.strange = Some("what it sends is nothing that a qdllm board says");
            }
            self.heard.extend_from_slice(&buffer[..count]);
        }
    }

    /// What silence means: a board that answered before is lost, another never was one.
    pub(super) fn silent(&self) -> BoardError {
        match self.strange {
            Some(what) => BoardError::NotOurs { name: self.name.clone(), what },
            None => self.lost(""),
        }
    }

    fn other_version(&self) -> BoardError {
        let what = "speaks another version of the protocol: update its firmware or use the qdllm-hw of its release";
        anyhow!("the board at {} {what}", self.name).into()
    }

    pub(super) fn lost(&self, during: &str) -> BoardError {
        BoardError::Lost { name: self.name.clone(), during: during.to_owned() }
    }
}

impl About {
    fn of(info: &Info<'_>) -> Self {
        Self {
            firmware: info.firmware.to_owned(),
            board: info.board.to_owned(),
            engine: info.engine.to_owned(),
            capacity_bytes: info.capacity,
            ahead_bytes: info.ahead_bytes,
            max_classes: info.max_classes,
            engine_ram_bytes: info.engine_ram_bytes,
            static_ram_bytes: info.static_ram_bytes,
            stack_bytes: info.stack_bytes,
            key: info.key.map(hex),
            lowest_version: info.floor,
            active_slot: info.active,
            model: info.model,
            classes: info.classes,
            version: info.version,
        }
    }
}
