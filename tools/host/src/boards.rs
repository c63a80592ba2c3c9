//! The boards that firmware is there for: `boards.toml`, read once.

use serde::Deserialize;
use std::sync::LazyLock;

/// All boards, in the table's order: emulated ones first.
pub static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table {
        board: Vec<Board>,
    }
    let table: Table = toml::from_str(include_str!("../boards.toml")).unwrap_or_else(|error| {
        panic!("boards.toml, which is part of this program, is damaged: {error}")
    });
    table.board
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub name: String,
    pub core: String,
    /// The core's clock.
    pub mhz: u32,
    pub target: String,
    pub engine: Engine,
    /// Where flash and slots lie, for boards whose flash is written from outside.
    pub flash: Option<Flash>,
    /// What probe-rs calls the chip; none: an emulator, which no probe reaches.
    pub probe: Option<String>,
    /// Its boot loader's drive, where it has one that takes UF2 files.
    pub drive: Option<Drive>,
    pub emulator: Option<Emulator>,
    /// What writes it, where images of this program do not.
    pub tool: Option<String>,
}

impl Board {
    /// Whether it takes QEMU to run it.
    pub fn is_qemu(&self) -> bool {
        matches!(self.emulator, Some(Emulator::Mapped { .. } | Emulator::Semihosting { .. }))
    }
}

/// The back end that an image is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    F32,
    I16,
}

impl Engine {
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "statevector f32",
            Self::I16 => "statevector i16",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// Where flash begins, and with it the firmware.
    pub start: u32,
    /// Where the first model slot begins; the firmware ends before it.
    pub slots: u32,
    /// Length of each of the two slots.
    pub slot_bytes: u32,
}

impl Flash {
    pub fn slot(&self, slot: u8) -> Option<u32> {
        (slot < 2).then(|| self.slots + u32::from(slot) * self.slot_bytes)
    }
}

/// A boot loader that shows itself as a drive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// The family of UF2 blocks that it takes.
    pub family: u32,
    /// What `Board-ID` in the drive's `INFO_UF2.TXT` begins with.
    pub board_id: String,
    pub how: String,
}

/// How an emulator keeps a board's flash in a file.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Emulator {
    /// QEMU maps the file as the board's whole memory of so many bytes; slots come first in it.
    Mapped { machine: String, memory_bytes: u64, slots_bytes: u64 },
    /// The program reads and writes the file by semihosting.
    Semihosting { machine: String, slots_bytes: u64 },
    /// The Pico's emulator: the file is the whole flash chip; slots begin at `slots`.
    Chip { bytes: u64, slots: u64 },
}

/// The boards that an emulator runs. The first is the one that tests of the firmware itself use.
pub fn emulated() -> impl Iterator<Item = &'static Board> {
    BOARDS.iter().filter(|board| board.emulator.is_some())
}

/// The boards that images are made for, real ones first, each with its flash.
pub fn with_flash() -> Vec<(&'static Board, &'static Flash)> {
    let mut all: Vec<_> = BOARDS.iter().filter_map(|b| Some((b, b.flash.as_ref()?))).collect();
    all.sort_by_key(|(board, _)| board.probe.is_none());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_slots_of_emulators_are_those_of_the_memory_map() {
        assert_eq!(BOARDS.len(), 9);
        for board in emulated() {
            let slots = 2 * u64::from(board.flash.as_ref().unwrap().slot_bytes);
            match board.emulator.as_ref().unwrap() {
                Emulator::Mapped { slots_bytes, .. }
                | Emulator::Semihosting { slots_bytes, .. } => {
                    assert_eq!(*slots_bytes, slots, "{}", board.name);
                }
                Emulator::Chip { bytes, slots: start } => {
                    assert_eq!(bytes - start, slots, "{}", board.name);
                }
            }
        }
        assert_eq!(with_flash()[0].0.name, "pico");
        assert!(BOARDS.iter().all(|board| board.flash.is_some() != board.tool.is_some()));
    }
}
