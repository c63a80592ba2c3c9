//! Counts instructions with the core's `SysTick` timer, calibrated against loops of known length, and
//! cycles by the core's own counter.

#[cfg(feature = "app")]
use crate::memory::{stack_high_water_bytes, static_ram_bytes};
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::syst::SystClkSource;
#[cfg(all(feature = "app", target_has_atomic = "32"))]
use cortex_m::peripheral::{DCB, DWT};
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;

/// Ticks from one wrap to the next. The timer has 24 bits; a shorter period makes wrapping an
/// everyday event, several in one classification, so that it cannot go wrong unseen.
const PERIOD: u32 = 1 << 14;

/// Rounds of the shorter calibration loop; the longer one runs twice as many. Both span wraps.
const CALIBRATION: u32 = 1_000_000;

/// Instructions in one round of `cortex_m::asm::delay`: a subtraction and a branch.
const INSTRUCTIONS_PER_ROUND: u32 = 2;

/// More instructions than this in a tick are no count.
const MOST: u32 = 1000;

/// How far one tick may be from a whole number of instructions, in 1/1000.
const TOLERANCE: u32 = 2;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // The only writer beside `start`, which has the timer off: the smallest cores add no other way.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The instruction counter.
///
/// QEMU's `-icount shift=0` lets every instruction take one nanosecond of the emulated clock, so
/// `SysTick`, at 25 MHz, moves once in 40 instructions. Without that option time is real time and
/// no count of instructions exists; the calibration then finds no steady ratio and 0 is reported.
pub struct InstructionCounter {
    timer: SYST,
    instructions_per_tick: u32,
}

impl InstructionCounter {
    pub fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(PERIOD - 1);
        timer.enable_interrupt();
        let mut counters = Self { timer, instructions_per_tick: 0 };
        counters.instructions_per_tick = counters.calibrate();
        counters
    }

    /// Instructions per tick, or 0 when that is no steady whole number.
    fn calibrate(&mut self) -> u32 {
        let short = self.time_loop(CALIBRATION);
        let long = self.time_loop(2 * CALIBRATION);
        // What surrounds the loops, the same in both, cancels in the difference.
        let ticks = long.saturating_sub(short);
        if ticks == 0 {
            return 0;
        }
        let instructions = CALIBRATION * INSTRUCTIONS_PER_ROUND;
        // The nearest whole ratio, without the division that the smallest cores would link for it.
        let mut ratio = 0;
        while (ratio + 1) * ticks <= instructions + ticks / 2 && ratio < MOST {
            ratio += 1;
        }
        let off = ratio.saturating_mul(ticks).abs_diff(instructions);
        if off > instructions / 1000 * TOLERANCE { 0 } else { ratio }
    }

    fn time_loop(&mut self, rounds: u32) -> u32 {
        self.start();
        cortex_m::asm::delay(rounds);
        ticks()
    }

    /// Sets the timer back, its position within a tick too: the same work gives the same count.
    pub fn start(&mut self) {
        self.timer.disable_counter();
        self.timer.clear_current();
        SCB::clear_pendst();
        WRAPS.store(0, Ordering::Relaxed);
        self.timer.enable_counter();
    }

    /// Instructions executed since [`start`](Self::start); 0 without a steady ratio.
    pub fn instructions(&mut self) -> u64 {
        u64::from(ticks()) * u64::from(self.instructions_per_tick)
    }
}

#[cfg(feature = "app")]
impl qdllm_app::Counters for InstructionCounter {
    fn start(&mut self) {
        self.start();
    }

    fn instructions(&mut self) -> u64 {
        self.instructions()
    }

    fn stack_bytes(&self) -> usize {
        stack_high_water_bytes()
    }

    fn static_bytes(&self) -> usize {
        static_ram_bytes()
    }
}

/// Ticks since the last start, the wraps included.
fn ticks() -> u32 {
    loop {
        let wraps = WRAPS.load(Ordering::Relaxed);
        let left = SYST::get_current();
        // A wrap between the two reads shows in the count, or is still waiting to be counted.
        if !SCB::is_pendst_pending() && WRAPS.load(Ordering::Relaxed) == wraps {
            // The timer counts down and raises its exception on reaching 0, not on leaving it: a
            // period begins with the value 0.
            let into = PERIOD.wrapping_sub(left) % PERIOD;
            return wraps.wrapping_mul(PERIOD).wrapping_add(into);
        }
    }
}

/// Cycles of the core's clock by its own counter, as Cortex-M3 and larger cores have it: a Cortex-M0 has
/// none, nor atomic exchanges, by which the compiler knows it. Wraps after 2^32 cycles, 25 seconds at
/// the fastest of our clocks.
#[cfg(all(feature = "app", target_has_atomic = "32"))]
pub struct CycleCounter {
    counter: DWT,
    core_mhz: u32,
}

#[cfg(all(feature = "app", target_has_atomic = "32"))]
impl CycleCounter {
    /// Lets the counter of a core at `core_mhz` run.
    pub fn new(mut trace: DCB, mut counter: DWT, core_mhz: u32) -> Self {
        trace.enable_trace();
        counter.enable_cycle_counter();
        Self { counter, core_mhz: core_mhz.max(1) }
    }
}

#[cfg(all(feature = "app", target_has_atomic = "32"))]
impl qdllm_app::Counters for CycleCounter {
    fn start(&mut self) {
        self.counter.set_cycle_count(0);
    }

    fn cycles(&mut self) -> u64 {
        DWT::cycle_count().into()
    }

    fn microseconds(&mut self) -> u64 {
        self.cycles() / u64::from(self.core_mhz)
    }

    fn stack_bytes(&self) -> usize {
        stack_high_water_bytes()
    }

    fn static_bytes(&self) -> usize {
        static_ram_bytes()
    }
}
