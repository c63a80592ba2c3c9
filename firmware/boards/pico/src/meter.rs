//! Time by the chip's microsecond timer.

use qdllm_app::Meter;
use qdllm_chips::memory;
use rp2040_hal::Timer;

/// Microseconds since the last start.
pub struct TimerMeter {
    timer: Timer,
    since_us: u64,
}

impl TimerMeter {
    /// A meter by the chip's timer.
    pub fn new(timer: Timer) -> Self {
        Self { timer, since_us: 0 }
    }
}

impl Meter for TimerMeter {
    fn start(&mut self) {
        self.since_us = self.timer.get_counter().ticks();
    }

    fn instructions(&mut self) -> u64 {
        self.timer.get_counter().ticks() - self.since_us
    }

    fn stack_bytes(&self) -> usize {
        memory::stack_high_water_bytes()
    }

    fn static_bytes(&self) -> usize {
        memory::static_ram_bytes()
    }
}
