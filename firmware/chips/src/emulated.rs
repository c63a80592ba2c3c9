//! The firmware's life on an emulated board: serve, reset when another model was chosen, end on request.

use crate::exit::exit;
use crate::instruction_counter::SysTickMeter;
use cortex_m::peripheral::{SCB, SYST};
use embedded_io::{Read, Write};
use qdllm_app::{About, End, Engine, Memory, SlotFlash, run};

/// Answers what comes over `port` until it ends; the emulator ends with 0, or with the number of what
/// stood against a model where there was none.
pub fn serve<P, F, E>(
    about: &About,
    mut port: P,
    mut flash: F,
    timer: SYST,
    memory: &mut Memory<E>,
) -> !
where
    P: Read<Error = core::convert::Infallible> + Write,
    F: SlotFlash<'static>,
    E: Engine,
{
    let mut meter = SysTickMeter::new(timer);
    let Ok(ended) = run(&mut port, &mut flash, &mut meter, memory, about);
    match ended.by {
        End::Reset => SCB::sys_reset(),
        End::Quit | End::Closed => match ended.fault {
            Some(fault) => exit(fault.number()),
            None => exit(0),
        },
    }
}
