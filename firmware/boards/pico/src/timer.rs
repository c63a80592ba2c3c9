//! Time by the chip's microsecond timer, and cycles by its relation to the core's clock.

use qdllm_app::Counters;
use qdllm_chips::memory;
use rp2040_hal::Timer;

pub struct TimerCounter {
    timer: Timer,
    since_us: u64,
    core_hz: u32,
}

impl TimerCounter {
    /// A meter by the chip's timer, of a core that runs at `core_hz`.
    pub fn new(timer: Timer, core_hz: u32) -> Self {
        Self { timer, since_us: 0, core_hz }
    }
}

impl Counters for TimerCounter {
    fn start(&mut self) {
        self.since_us = self.timer.get_counter().ticks();
    }

    /// The core has no counter of instructions.
    fn instructions(&mut self) -> u64 {
        0
    }

    /// To within one microsecond's worth of them.
    fn cycles(&mut self) -> u64 {
        self.microseconds() * u64::from(self.core_hz / 1_000_000)
    }

    fn microseconds(&mut self) -> u64 {
        self.timer.get_counter().ticks() - self.since_us
    }

    fn stack_bytes(&self) -> usize {
        memory::stack_high_water_bytes()
    }

    fn static_bytes(&self) -> usize {
        memory::static_ram_bytes()
    }
}
