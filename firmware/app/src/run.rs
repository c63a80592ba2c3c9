//! The loop: starts with a model or without, then answers lines and frames until something ends it.

use crate::board_config::BoardConfig;
use crate::boot::{Boot, boot};
use crate::console;
use crate::counters::Counters;
use crate::engine::Engine;
use crate::flash::SlotFlash;
use crate::input::Input;
use crate::memory::Memory;
use crate::protocol;
use crate::slots::Slots;
use embedded_io::{Read, Write};
use qdllm_link::Fault;

/// Why [`run`] returned. Its answer has left the port by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What ended it.
    pub by: End,
    /// Why there was no model; none if there was one.
    pub fault: Option<Fault>,
}

/// What ends [`run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Another model was chosen: the board must reset now, or call [`run`] again.
    Reset,
    /// The line `:quit`. A board without an outside that could see an exit code calls [`run`] again.
    Quit,
    /// The port gives no more bytes.
    Closed,
}

pub(crate) struct App<'f, 'm, F, M, E> {
    pub(crate) slots: Slots<'f, F>,
    pub(crate) boot: Boot<'m>,
    pub(crate) counters: &'f mut M,
    pub(crate) engine: &'f mut E,
}

/// Chooses a model from the slots, says `ready` or why there is none, and answers what comes over
/// `port`: lines as the console, frames as the protocol.
///
/// # Errors
/// Those of the port. Nothing is lost by calling again, a transfer under way included.
pub fn run<'m, P, F, M, E>(
    port: &mut P,
    flash: &mut F,
    counters: &mut M,
    memory: &mut Memory<E>,
    config: &BoardConfig,
) -> Result<Ended, P::Error>
where
    P: Read + Write,
    F: SlotFlash<'m>,
    M: Counters,
    E: Engine,
{
    let Memory { engine, buffer, transfer, table } = memory;
    let mut slots = Slots { flash, config };
    let boot = boot(&mut slots, engine);
    let fault = boot.active.is_none().then(|| boot.fault());
    let mut app = App { slots, boot, counters, engine };
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
