//! The boards that run under an emulator: how each is built, started, and where its flash is kept.

use anyhow::{Context, Result};

#[derive(Debug)]
pub struct Board {
    pub name: &'static str,
    pub target: &'static str,
    pub core: &'static str,
    /// The back end that its image is built with.
    pub engine: Engine,
    pub emulator: Emulator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    F32,
    I16,
}

/// How an emulator keeps a board's flash in a file.
#[derive(Debug)]
pub enum Emulator {
    /// QEMU maps the file as the board's whole memory of so many bytes; slots come first in it.
    Mapped { machine: &'static str, memory_bytes: u64, slots_bytes: u64 },
    /// The program reads and writes the file by semihosting.
    Semihosting { machine: &'static str, slots_bytes: u64 },
    /// The Pico's emulator: the file is the whole flash chip; slots begin at `slots`.
    Chip { bytes: u64, slots: u64 },
}

/// All of them. The first is the one that tests of the firmware itself use.
pub const BOARDS: [Board; 4] = [
    Board {
        name: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        core: "Cortex-M4F",
        engine: Engine::F32,
        emulator: Emulator::Mapped {
            machine: "mps2-an386",
            memory_bytes: 16 << 20,
            slots_bytes: 256 << 10,
        },
    },
    Board {
        name: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        core: "Cortex-M33",
        engine: Engine::F32,
        emulator: Emulator::Mapped {
            machine: "mps2-an505",
            memory_bytes: 16 << 20,
            slots_bytes: 256 << 10,
        },
    },
    Board {
        name: "lm3s6965evb",
        target: "thumbv7m-none-eabi",
        core: "Cortex-M3",
        engine: Engine::I16,
        emulator: Emulator::Semihosting { machine: "lm3s6965evb", slots_bytes: 32 << 10 },
    },
    Board {
        name: "pico",
        target: "thumbv6m-none-eabi",
        core: "Cortex-M0+",
        engine: Engine::I16,
        emulator: Emulator::Chip { bytes: 2 << 20, slots: 1 << 20 },
    },
];

impl Board {
    /// Whether it takes QEMU to run it.
    pub fn is_qemu(&self) -> bool {
        !matches!(self.emulator, Emulator::Chip { .. })
    }
}

pub fn named(name: &str) -> Result<&'static Board> {
    let found = BOARDS.iter().find(|board| board.name == name);
    let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
    found.with_context(|| {
        format!("no emulated board is called {name:?}; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = named("pica").expect_err("no board");
        assert!(error.to_string().contains("mps2-an386, mps2-an505, lm3s6965evb, pico"));
    }
}
