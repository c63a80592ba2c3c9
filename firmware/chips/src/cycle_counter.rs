//! Cycles of the core's clock by its own counter, as Cortex-M3 and larger cores have it.

use crate::memory;
use cortex_m::peripheral::{DCB, DWT};
use qdllm_app::Counters;

/// The counter; it wraps after 2^32 cycles, 25 seconds at the fastest of our clocks.
pub struct CycleCounter {
    counter: DWT,
    core_mhz: u32,
}

impl CycleCounter {
    /// Lets the counter of a core at `core_mhz` run.
    pub fn new(mut trace: DCB, mut counter: DWT, core_mhz: u32) -> Self {
        trace.enable_trace();
        counter.enable_cycle_counter();
        Self { counter, core_mhz: core_mhz.max(1) }
    }
}

impl Counters for CycleCounter {
    fn start(&mut self) {
        self.counter.set_cycle_count(0);
    }

    fn instructions(&mut self) -> u64 {
        0
    }

    fn cycles(&mut self) -> u64 {
        DWT::cycle_count().into()
    }

    fn microseconds(&mut self) -> u64 {
        self.cycles() / u64::from(self.core_mhz)
    }

    fn stack_bytes(&self) -> usize {
        memory::stack_high_water_bytes()
    }

    fn static_bytes(&self) -> usize {
        memory::static_ram_bytes()
    }
}
