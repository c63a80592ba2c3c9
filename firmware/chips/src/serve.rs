//! The firmware's main loop, on a chip and in an emulator.

use crate::counters::InstructionCounter;
use crate::exit::{exit, peripherals};
use core::convert::Infallible;
use cortex_m::peripheral::SCB;
use embedded_io::{Read, Write};
use qdllm_app::{BoardConfig, Counters, End, Engine, Fault, Memory, SlotFlash, run};

/// Answers what comes over `port` for ever and resets when another model was chosen. A port that
/// reports an error, such as a wrong stop bit, is served again.
pub fn on_chip<P: Read + Write, F: SlotFlash<'static>, M: Counters, E: Engine>(
    config: &BoardConfig,
    mut port: P,
    mut flash: F,
    mut counters: M,
    memory: &mut Memory<E>,
) -> ! {
    loop {
        if let Ok(ended) = run(&mut port, &mut flash, &mut counters, memory, config)
            && ended.by == End::Reset
        {
            SCB::sys_reset()
        }
    }
}

/// Answers what comes over `port` until it ends. The emulator's exit code is 0, or, where there was no
/// model, the number of the fault.
pub fn in_emulator<P: Read<Error = Infallible> + Write, F: SlotFlash<'static>, E: Engine>(
    config: &BoardConfig,
    mut port: P,
    mut flash: F,
    memory: &mut Memory<E>,
) -> ! {
    let mut counters = InstructionCounter::new(peripherals().SYST);
    let Ok(ended) = run(&mut port, &mut flash, &mut counters, memory, config);
    match ended.by {
        End::Reset => SCB::sys_reset(),
        End::Quit | End::Closed => exit(ended.fault.map_or(0, Fault::number)),
    }
}
