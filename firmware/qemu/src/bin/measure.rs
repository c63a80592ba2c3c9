//! Classifies one sentence with each back end that is built in and says what it cost: the images whose
//! sizes and counts are the budgets.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_io::Write;
use qdllm_board::hardware::{exit, model_region, stack_high_water_bytes, static_ram_bytes};
use qdllm_board::meter::SysTickMeter;
use qdllm_board::uart::Uart;
use qdllm_runtime::{Error, Model, Prediction};

/// The sentence: twelve words.
const SENTENCE: &str = "please turn on the lamp in the hallway and the kitchen now";

/// The core's peripherals were taken twice, which the start-up code rules out.
const EXIT_NO_PERIPHERALS: u8 = 120;

/// All memory that the back ends write beside the stack.
struct Memory {
    #[cfg(feature = "statevector")]
    f32: qdllm_runtime::Scratch,
    #[cfg(feature = "statevector-i16")]
    i16: qdllm_runtime::ScratchI16,
    #[cfg(feature = "polynomial")]
    compiled: qdllm_runtime::Probabilities,
}

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory {
        #[cfg(feature = "statevector")]
        f32: qdllm_runtime::Scratch::new(),
        #[cfg(feature = "statevector-i16")]
        i16: qdllm_runtime::ScratchI16::new(),
        #[cfg(feature = "polynomial")]
        compiled: qdllm_runtime::Probabilities::new(),
    };
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        exit(EXIT_NO_PERIPHERALS);
    };
    let mut bench = Bench { meter: SysTickMeter::new(peripherals.SYST), uart: Uart::start() };
    match Model::from_region(model_region()) {
        Ok(model) => {
            #[cfg(feature = "statevector")]
            bench.run("statevector", || model.classify(SENTENCE, &mut MEMORY.f32));
            #[cfg(feature = "statevector-i16")]
            bench.run("statevector-i16", || model.classify_i16(SENTENCE, &mut MEMORY.i16));
            #[cfg(feature = "polynomial")]
            bench
                .run("polynomial", || model.classify_by_polynomial(SENTENCE, &mut MEMORY.compiled));
            let _ = &model;
            exit(0)
        }
        Err(error) => exit(error as u8),
    }
}

/// Where results go.
struct Bench {
    meter: SysTickMeter,
    uart: Uart,
}

impl Bench {
    /// One line: `measured`, then `name=value` fields separated by tabs.
    fn run<'s>(&mut self, backend: &str, classify: impl FnOnce() -> Result<Prediction<'s>, Error>) {
        self.meter.start();
        let prediction = classify();
        let instructions = self.meter.instructions();
        match prediction {
            Ok(prediction) => {
                self.text("measured\tbackend=");
                self.text(backend);
                self.field("instructions", instructions as u32);
                self.field("static_bytes", static_ram_bytes() as u32);
                self.field("stack_bytes", stack_high_water_bytes() as u32);
                self.field("class", prediction.class() as u32);
                self.field("probability_bits", prediction.probability().to_bits());
                self.text("\r\n");
            }
            Err(error) => exit(error as u8),
        }
    }

    fn field(&mut self, name: &str, value: u32) {
        self.text("\t");
        self.text(name);
        self.text("=");
        // Without the formatter, which would weigh as much as a back end.
        let mut digits = [0; 10];
        let mut left = value;
        let mut at = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            at -= 1;
            if left == 0 {
                break;
            }
        }
        let Ok(()) = self.uart.write_all(digits.get(at..).unwrap_or_default());
    }

    fn text(&mut self, text: &str) {
        let Ok(()) = self.uart.write_all(text.as_bytes());
    }
}
