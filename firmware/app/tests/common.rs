//! What the tests of slots and protocol share: models, a port with a script, frames.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use embedded_io::{ErrorType, Read, Write};
use qdllm_app::mock::MockFlash;
use qdllm_app::{BoardConfig, Counters, End, Ended, Layout, Memory, run};
use qdllm_link::frame;
use qdllm_link::message::{Announced, ModelId, Request, Response};
use qdllm_link::slot::{HEADER_BYTES, Header, Mark, UNIT, factory};
use qdllm_runtime::format::signature::ModelSignature;
use qdllm_runtime::{Scratch, format};
use std::convert::Infallible;

/// The frozen model; its first class is `light`.
pub const OLD: &[u8] = include_bytes!("../../../tests/vectors/words_v1.qdm");

/// A sentence that the frozen model knows.
pub const TEXT: &str = "turn on the porch light";

/// The frozen model with its first class renamed: another model of the same length.
pub fn new_model() -> Vec<u8> {
    renamed(b"LIGHT")
}

/// The frozen model with another name for its first class.
pub fn renamed(name: &[u8; 5]) -> Vec<u8> {
    let mut bytes = OLD.to_vec();
    let at = bytes.windows(5).position(|window| window == b"light").unwrap();
    bytes[at..at + 5].copy_from_slice(name);
    sealed(bytes)
}

/// A model file with its checksum made right again.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 4;
    let checksum = format::checksum(&bytes[..body]);
    bytes[body..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub fn id(model: &[u8]) -> ModelId {
    let checksum = u32::from_le_bytes(*model.last_chunk().unwrap());
    ModelId { length: model.len() as u32, checksum }
}

/// A port whose other end has said everything.
pub struct Script {
    pub input: Vec<u8>,
    pub at: usize,
    pub output: Vec<u8>,
}

impl ErrorType for Script {
    type Error = Infallible;
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let rest = &self.input[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A board that counts nothing.
pub struct NoCounters;

impl Counters for NoCounters {
    fn start(&mut self) {}

    fn instructions(&mut self) -> u64 {
        0
    }

    fn stack_bytes(&self) -> usize {
        0
    }

    fn static_bytes(&self) -> usize {
        0
    }
}

/// The wire bytes of requests, numbered from 1.
pub fn frames(requests: &[Request<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, request) in requests.iter().enumerate() {
        bytes.extend(framed(i as u16 + 1, request));
    }
    bytes
}

/// The wire bytes of one request.
pub fn framed(number: u16, request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; frame::WIRE_BYTES];
    frame::encode(number, request, &mut buffer).unwrap().to_vec()
}

/// Every frame among the bytes that a board sent, decoded from COBS; console lines are left out.
pub fn sealed_frames(output: &[u8]) -> Vec<Vec<u8>> {
    let parts = output.split(|&byte| byte == 0).map(<[u8]>::to_vec);
    let decode = |mut part: Vec<u8>| frame::decode(&mut part).map(|bytes| bytes.to_vec());
    parts.filter_map(decode).filter(|bytes| frame::open::<Response<'_>>(bytes).is_ok()).collect()
}

/// The responses, shown as text without what differs from run to run.
pub fn responses(output: &[u8]) -> Vec<String> {
    let shown = |bytes: &Vec<u8>| {
        let (_, response) = frame::open::<Response<'_>>(bytes).unwrap();
        match response {
            Response::Class(class) => format!("class {}", class.label),
            other => format!("{other:?}"),
        }
    };
    sealed_frames(output).iter().map(shown).collect()
}

/// What begins to put a model: with what the file itself has to say, if it is signed.
pub fn begin(model: &[u8]) -> Request<'_> {
    let container = format::Container::parse(model);
    let signed = container.ok().and_then(|all| Some((all, ModelSignature::of(&all).ok()??)));
    match signed.and_then(|(all, signed)| signed.announcement(&all).unwrap()) {
        None => Request::Begin(id(model)),
        Some(format::signature::Announcement { body, version, minimum, signature, .. }) => {
            let announced = Announced { body, version, minimum, signature };
            Request::BeginSigned { model: id(model), announced }
        }
    }
}

/// A put from beginning to end, in chunks of `size`, and the activation.
pub fn update(model: &[u8], size: usize) -> Vec<Request<'_>> {
    let mut requests = vec![begin(model)];
    for (i, data) in model.chunks(size).enumerate() {
        requests.push(Request::Chunk { offset: (i * size) as u32, data });
    }
    requests.push(Request::Finish(id(model)));
    requests.push(Request::Activate(id(model)));
    requests
}

/// Writes a model as the factory does.
pub fn provision<const W: usize, const E: usize>(
    flash: &mut MockFlash<'_, W, E>,
    at: u32,
    model: &[u8],
    sequence: u32,
) {
    provision_until(flash, at, model, sequence, Mark::Confirmed);
}

/// Writes a model that came as far as `last`; places that stay erased are not written.
pub fn provision_until<const W: usize, const E: usize>(
    flash: &mut MockFlash<'_, W, E>,
    at: u32,
    model: &[u8],
    sequence: u32,
    last: Mark,
) {
    use embedded_storage::nor_flash::NorFlash;
    let header = Header::of(model, sequence, 0).unwrap();
    let region = factory(&header);
    for (i, unit) in region.chunks(UNIT).enumerate().take(last as usize + 1) {
        flash.write(at + (i * UNIT) as u32, unit).unwrap();
    }
    let mut bytes = model.to_vec();
    bytes.resize(bytes.len().next_multiple_of(W), 0xff);
    flash.write(at + HEADER_BYTES as u32, &bytes).unwrap();
}

/// A board with its flash; every [`start`](Self::start) is a reset.
pub struct Board<'m, const W: usize, const E: usize> {
    pub flash: MockFlash<'m, W, E>,
    pub config: BoardConfig,
}

impl<'m, const W: usize, const E: usize> Board<'m, W, E> {
    pub fn new(flash: MockFlash<'m, W, E>, slot_bytes: u32) -> Self {
        Self { flash, config: BoardConfig::new("mock", Layout::pair(0, slot_bytes)) }
    }

    /// Resets and hears `input` until it ends or the board wants another reset.
    pub fn start(&mut self, input: &[u8]) -> (Ended, Vec<u8>) {
        let mut port = Script { input: input.to_vec(), at: 0, output: Vec::new() };
        let mut memory = Memory::new(Scratch::new());
        let Ok(ended) = run(&mut port, &mut self.flash, &mut NoCounters, &mut memory, &self.config);
        (ended, port.output)
    }

    /// Resets as often as the board wants while it hears `input`.
    pub fn hear(&mut self, input: &[u8]) -> Vec<u8> {
        let mut port = Script { input: input.to_vec(), at: 0, output: Vec::new() };
        loop {
            let mut memory = Memory::new(Scratch::new());
            let Ok(ended) =
                run(&mut port, &mut self.flash, &mut NoCounters, &mut memory, &self.config);
            if ended.by != End::Reset {
                return port.output;
            }
        }
    }

    /// The requests' answers, over as many resets as they cause.
    pub fn ask(&mut self, requests: &[Request<'_>]) -> Vec<String> {
        responses(&self.hear(&frames(requests)))
    }

    /// What the board calls [`TEXT`] after a reset.
    pub fn label(&mut self) -> String {
        self.ask(&[Request::Classify(TEXT)]).join(" ")
    }
}
