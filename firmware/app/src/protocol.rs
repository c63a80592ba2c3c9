//! The protocol: a frame in, a frame out. `firmware/PROTOCOL.md` describes it byte by byte.

use crate::app::{App, End};
use crate::board::{Counters, SlotFlash};
use crate::engine::Engine;
use crate::transfer::{self, Transfer, id};
use embedded_io::Write;
use heapless::Vec;
use qdllm_link::Fault;
use qdllm_link::frame::{self, WIRE_BYTES};
use qdllm_link::message::{Class, Info, ModelId, Request, Response, Slot};
use qdllm_runtime::USUAL_CLASSES;

/// Room for the largest table of probabilities.
pub(crate) type Table = Vec<u8, { 4 * USUAL_CLASSES }>;

/// Room for one frame, received or to be sent.
type Frame = Vec<u8, WIRE_BYTES>;

/// The most classifications of one request.
const MAX_RUNS: u16 = 1000;

/// Answers the frame that lies at the front of `buffer`; says whether it ends the loop.
#[inline(never)]
pub(crate) fn answer<'m, P: Write, F: SlotFlash<'m>, M: Counters, E: Engine>(
    app: &mut App<'_, 'm, F, M, E>,
    (transfer, table): (&mut Option<Transfer>, &mut Table),
    buffer: &mut Frame,
    port: &mut P,
) -> Result<Option<End>, P::Error> {
    let (number, response) = match frame::open(buffer) {
        Ok((number, request)) => {
            let response = app.respond(transfer, request, table);
            (number, response.unwrap_or_else(|fault| refusal(fault, transfer.as_ref())))
        }
        Err((number, fault)) => (number, refusal(fault, None)),
    };
    send(number, &response, buffer, port)?;
    let reset = matches!(response, Response::Switched { reset: true });
    Ok(reset.then_some(End::Reset))
}

/// Answers what is no frame; request number 0.
#[inline(never)]
pub(crate) fn refuse<P: Write>(
    fault: Fault,
    buffer: &mut Frame,
    port: &mut P,
) -> Result<(), P::Error> {
    send(0, &refusal(fault, None), buffer, port)
}

fn refusal(fault: Fault, transfer: Option<&Transfer>) -> Response<'static> {
    let expected = transfer.map_or(0, |under_way| under_way.received);
    Response::Fault { number: fault.number(), expected }
}

/// Sends a response; every response of this program fits the buffer.
fn send<P: Write>(
    number: u16,
    response: &Response<'_>,
    buffer: &mut Frame,
    port: &mut P,
) -> Result<(), P::Error> {
    // As long as it can be.
    buffer.resize_default(buffer.capacity()).unwrap_or_default();
    if let Ok(frame) = frame::encode(number, response, buffer) {
        port.write_all(frame)?;
    }
    port.flush()
}

impl<'m, F: SlotFlash<'m>, M: Counters, E: Engine> App<'_, 'm, F, M, E> {
    fn respond<'r>(
        &'r mut self,
        transfer: &mut Option<Transfer>,
        request: Request<'_>,
        table: &'r mut Table,
    ) -> Result<Response<'r>, Fault> {
        Ok(match request {
            Request::Info => Response::Info(self.info()),
            Request::Slot(slot) => Response::Slot(self.slot(slot.into())?),
            Request::Classify(text) => Response::Class(self.class(text, table)?),
            Request::Begin(model) => Response::Received(self.begin(transfer, model, None)?),
            Request::Chunk { offset, data } => {
                Response::Received(self.chunk(transfer, offset, data)?)
            }
            Request::Finish(model) => Response::Received(self.finish(transfer, model)?),
            Request::Activate(model) => Response::Switched { reset: self.activate(model)? },
            Request::Rollback(model) => {
                self.rollback(model)?;
                Response::Switched { reset: true }
            }
            Request::Bench { runs } => Response::Bench(self.bench(runs.clamp(1, MAX_RUNS))?),
            Request::BeginSigned { model, announced } => {
                Response::Received(self.begin(transfer, model, Some(announced))?)
            }
        })
    }

    fn info(&self) -> Info<'static> {
        let config = self.slots.config;
        let active = self.boot.active.as_ref();
        Info {
            firmware: env!("CARGO_PKG_VERSION"),
            board: config.name,
            engine: E::NAME,
            capacity: self.slots.capacity(self.boot.spare()),
            ahead_bytes: config.ahead_bytes,
            max_classes: config.max_classes,
            engine_ram_bytes: size_of::<E>() as u32,
            static_ram_bytes: self.counters.static_bytes() as u32,
            stack_bytes: self.counters.stack_bytes() as u32,
            // The first bytes of the key that models must be signed for.
            #[cfg(feature = "signing")]
            key: config.key.and_then(|key| key.first_chunk().copied()),
            #[cfg(not(feature = "signing"))]
            key: None,
            floor: transfer::floor(&self.boot),
            // There are two slots and at most 64 classes.
            active: active.map(|found| found.slot as u8),
            model: active.map(|found| id(&found.header)),
            classes: active.map_or(0, |found| found.model.classes() as u8),
            version: active.map_or(0, |found| found.versions.version),
        }
    }

    fn slot(&self, slot: usize) -> Result<Slot, Fault> {
        self.slots.offset(slot)?;
        let fault = self.against(slot);
        let header = match &self.boot.active {
            Some(active) if active.slot == slot => Some(active.header),
            _ => self.slots.header(slot).ok().map(|(header, _)| header),
        };
        Ok(Slot {
            id: header.as_ref().map_or(ModelId { length: 0, checksum: 0 }, id),
            sequence: header.map_or(0, |header| header.sequence),
            fault: fault.map_or(0, Fault::number),
        })
    }

    fn class<'r>(&'r mut self, text: &str, table: &'r mut Table) -> Result<Class<'r>, Fault> {
        let (model, prediction, cost) = self.classify(text)?;
        let all = prediction.probabilities();
        table.clear();
        for probability in all {
            table.extend_from_slice(&probability.to_le_bytes()).unwrap_or_default();
        }
        let class = prediction.class();
        Ok(Class {
            label: model.label(class),
            class: class as u8,
            probability: prediction.probability(),
            rejected: prediction.is_rejected(),
            found: prediction.found(),
            probabilities: table,
            cost,
        })
    }
}
