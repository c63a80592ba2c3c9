//! The loop: starts with a model or without, then answers lines and frames until something ends it.

use crate::app::{App, End};
use crate::board::{BoardConfig, Counters, SlotFlash};
use crate::boot::boot;
use crate::console;
use crate::engine::Engine;
use crate::input::{Buffer, Input};
use crate::protocol::{self, Table};
use crate::slots::Slots;
use crate::transfer::Transfer;
use embedded_io::{Read, Write};
use qdllm_link::Fault;

/// All RAM of the app beside the stack: the engine's memory, room for one line or frame and for the probabilities of an answer, and the
/// transfer under way; a board keeps one in a static.
#[derive(Debug)]
pub struct Memory<E> {
    pub(crate) engine: E,
    pub(crate) buffer: Buffer,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) begun: u8,
    pub(crate) table: Table,
}

impl<E> Memory<E> {
    /// Memory in its first state, around a fresh engine.
    pub const fn new(engine: E) -> Self {
        Self { engine, buffer: Buffer::new(), transfer: None, begun: 0, table: Table::new() }
    }
}

/// Why [`run`] returned. Its answer has left the port by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What ended it.
    pub by: End,
    /// Why there was no model; none if there was one.
    pub fault: Option<Fault>,
}

/// Chooses a model from the slots, says `ready` or why there is none, and answers what comes over
/// `port`: lines as the console, frames as the protocol.
///
/// # Errors
/// Those of the port. Nothing is lost by calling again, a transfer under way included.
pub fn run<'m, P: Read + Write, F: SlotFlash<'m>, M: Counters, E: Engine>(
    port: &mut P,
    flash: &mut F,
    counters: &mut M,
    memory: &mut Memory<E>,
    config: &BoardConfig,
) -> Result<Ended, P::Error> {
    let Memory { engine, buffer, transfer, begun, table } = memory;
    let mut slots = Slots { flash, config };
    let boot = boot(&mut slots, engine);
    let fault = boot.active.is_none().then(|| boot.fault());
    let mut app = App { slots, boot, counters, engine, begun };
    console::ready(&app, port)?;
    loop {
        let by = match buffer.read(port)? {
            Input::Closed => Some(End::Closed),
            Input::Line => console::answer(&mut app, buffer.line(), port)?,
            Input::Frame => {
                let end = protocol::answer(&mut app, (transfer, table), &mut buffer.bytes, port)?;
                if end.is_some() {
                    *transfer = None;
                }
                end
            }
            Input::Bad(fault @ (Fault::FrameDamaged | Fault::FrameTooLong)) => {
                protocol::refuse(fault, &mut buffer.bytes, port)?;
                None
            }
            Input::Bad(fault) => {
                console::refuse(fault, port)?;
                None
            }
        };
        if let Some(by) = by {
            return Ok(Ended { by, fault });
        }
    }
}
