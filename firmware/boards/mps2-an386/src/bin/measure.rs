//! Classifies one sentence with each back end that is built in and says what it cost: the images whose
//! sizes and counts are the budgets. With the feature `depth` also how deep the stack was, in the check of the
//! model file (with `signature` of its signature, too) and in a classification, and what the longest text cost.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use embedded_io::Write;
use qdllm_chips::counters::InstructionCounter;
use qdllm_chips::exit::{self, exit};
#[cfg(feature = "depth")]
use qdllm_chips::memory::repaint_stack;
use qdllm_chips::memory::{model_region, stack_high_water_bytes, static_ram_bytes};
use qdllm_chips::uart::Cmsdk;
#[cfg(feature = "tensor-train")]
use qdllm_runtime::compiled::tensor_train::Work;
use qdllm_runtime::{Error, Model, Prediction};

const SENTENCE: &str = "please turn on the lamp in the hallway and the kitchen now";

/// As long as the console takes one, of the words that cost most.
#[cfg(feature = "depth")]
const LONGEST: &str = include_str!("longest.txt");

/// The board's first serial port, with its interrupt.
type Uart = qdllm_chips::uart::Uart<Cmsdk, 0x4000_4000, 0>;

#[entry]
fn main() -> ! {
    #[cfg(feature = "statevector")]
    static mut F32: qdllm_runtime::Scratch = qdllm_runtime::Scratch::new();
    #[cfg(feature = "statevector-i16")]
    static mut I16: qdllm_runtime::ScratchI16 = qdllm_runtime::ScratchI16::new();
    #[cfg(feature = "tensor-train")]
    static mut WORK: Work = Work::new();
    #[cfg(any(feature = "polynomial", feature = "tensor-train"))]
    static mut COMPILED: qdllm_runtime::Probabilities = qdllm_runtime::Probabilities::new();
    let counters = InstructionCounter::new(exit::peripherals().SYST);
    let mut bench = Bench { counters, uart: Uart::start() };
    match &Model::from_region(model_region()) {
        Ok(model) => {
            #[cfg(feature = "signature")]
            check_signature(model.container().bytes());
            #[cfg(feature = "depth")]
            bench.parsed();
            // Written out for each text: in a loop it would weigh half a kilobyte more.
            macro_rules! all {
                ($text:ident) => {
                    #[cfg(feature = "statevector")]
                    bench.run("statevector", || model.classify($text, F32));
                    #[cfg(feature = "statevector-i16")]
                    bench.run("statevector-i16", || model.classify_i16($text, I16));
                    #[cfg(feature = "polynomial")]
                    bench.run("polynomial", || model.classify_by_polynomial($text, COMPILED));
                    #[cfg(feature = "tensor-train")]
                    bench.run("tensor-train", || {
                        model.classify_by_tensor_train($text, WORK, COMPILED)
                    });
                };
            }
            all!(SENTENCE);
            #[cfg(feature = "depth")]
            all!(LONGEST);
            let _ = &model;
            exit(0)
        }
        Err(error) => exit(*error as u8),
    }
}

struct Bench {
    counters: InstructionCounter,
    uart: Uart,
}

impl Bench {
    /// One line: `name=value` fields separated by tabs, numbers in hexadecimal.
    fn run<'s>(&mut self, backend: &str, classify: impl FnOnce() -> Result<Prediction<'s>, Error>) {
        self.counters.start();
        let prediction = classify();
        let instructions = self.counters.instructions();
        match prediction {
            Ok(prediction) => {
                self.text("backend=");
                self.text(backend);
                self.field("\tinstructions=", instructions as u32);
                self.field("\tstatic=", static_ram_bytes() as u32);
                self.field("\tstack=", stack_high_water_bytes() as u32);
                self.field("\tclass=", prediction.class() as u32);
                self.text("\r\n");
                #[cfg(feature = "depth")]
                repaint_stack();
            }
            Err(error) => exit(error as u8),
        }
    }

    /// A line with the deepest stack so far; what comes after it counts anew.
    #[cfg(feature = "depth")]
    fn parsed(&mut self) {
        self.field("parse=", stack_high_water_bytes() as u32);
        self.text("\r\n");
        repaint_stack();
    }

    fn field(&mut self, name: &str, value: u32) {
        self.text(name);
        // Hexadecimal: neither the formatter, which would weigh as much as a back end, nor a division.
        for place in (0..8).rev() {
            let digit = (value >> (4 * place)) as u8 & 15;
            let letter = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
            let Ok(()) = self.uart.write_all(&[letter]);
        }
    }

    fn text(&mut self, text: &str) {
        let Ok(()) = self.uart.write_all(text.as_bytes());
    }
}

/// Checks a signature as the firmware does: that of RFC 8032's first example, which is of other bytes. It does not
/// hold, and costs as much.
#[cfg(feature = "signature")]
fn check_signature(file: &[u8]) {
    use ed25519_compact::{PublicKey, Signature};

    const EXAMPLE: &[u8; 96] = include_bytes!("signature.bin");
    let Some((key, signature)) = EXAMPLE.split_first_chunk() else { return };
    let Ok(signature) = Signature::from_slice(signature) else { return };
    let held = PublicKey::new(*key).verify_incremental(&signature).and_then(|mut state| {
        state.absorb(file);
        state.verify()
    });
    core::hint::black_box(held.is_ok());
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    exit::panicked(&mut Uart::start(), info)
}

#[allow(unsafe_code)]
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    exit::faulted(&mut Uart::start())
}
