//! The firmware's life on a chip: serve for ever, reset when another model was chosen.

use cortex_m::peripheral::SCB;
use embedded_io::{Read, Write};
use qdllm_app::{About, End, Engine, Memory, Meter, SlotFlash, run};

/// Answers what comes over `port`. One that reports an error, such as a wrong stop bit, is simply
/// served again.
pub fn serve<P, F, M, E>(
    about: &About,
    mut port: P,
    mut flash: F,
    mut meter: M,
    memory: &mut Memory<E>,
) -> !
where
    P: Read + Write,
    F: SlotFlash<'static>,
    M: Meter,
    E: Engine,
{
    loop {
        if let Ok(ended) = run(&mut port, &mut flash, &mut meter, memory, about)
            && ended.by == End::Reset
        {
            SCB::sys_reset()
        }
    }
}
