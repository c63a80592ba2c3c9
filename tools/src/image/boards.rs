//! The boards: where their flash and their model slots lie, and how they are programmed.

use super::ImageError;

/// A board that firmware is there for.
#[derive(Debug)]
pub struct Board {
    /// Its name, which is that of its folder under `firmware/boards`.
    pub name: &'static str,
    /// Where flash begins, and with it the firmware.
    pub flash_start: u32,
    /// Where the first model slot begins; the firmware ends before it.
    pub slots_start: u32,
    /// Length of each of the two slots.
    pub slot_bytes: u32,
    /// What probe-rs calls the chip; none: an emulator, which no probe reaches.
    pub chip: Option<&'static str>,
    /// Its boot loader's drive, where it has one that takes UF2 files.
    pub drive: Option<Drive>,
}

/// A boot loader that shows itself as a drive.
#[derive(Debug)]
pub struct Drive {
    /// The family of UF2 blocks that it takes.
    pub family: u32,
    /// What `Board-ID` in the drive's `INFO_UF2.TXT` begins with.
    pub board_id: &'static str,
    /// How a person brings it up.
    pub how: &'static str,
}

const BOOTSEL: &str = "hold BOOTSEL while you plug the board in";

/// All of them. The addresses are those of each board's memory.x, which a test compares.
pub const BOARDS: [Board; 8] = [
    Board {
        name: "pico",
        flash_start: 0x1000_0000,
        slots_start: 0x1010_0000,
        slot_bytes: 512 << 10,
        chip: Some("RP2040"),
        drive: Some(Drive { family: 0xe48b_ff56, board_id: "RPI-RP2", how: BOOTSEL }),
    },
    Board {
        name: "pico2",
        flash_start: 0x1000_0000,
        slots_start: 0x1020_0000,
        slot_bytes: 1 << 20,
        chip: Some("RP235x"),
        drive: Some(Drive { family: 0xe48b_ff59, board_id: "RP2350", how: BOOTSEL }),
    },
    Board {
        name: "nrf52840-dk",
        flash_start: 0,
        slots_start: 0x8_0000,
        slot_bytes: 256 << 10,
        chip: Some("nRF52840_xxAA"),
        drive: None,
    },
    Board {
        name: "microbit-v2",
        flash_start: 0,
        slots_start: 0x4_0000,
        slot_bytes: 128 << 10,
        chip: Some("nRF52833_xxAA"),
        drive: None,
    },
    Board {
        name: "nucleo-f446",
        flash_start: 0x0800_0000,
        slots_start: 0x0804_0000,
        slot_bytes: 128 << 10,
        chip: Some("STM32F446RETx"),
        drive: None,
    },
    Board {
        name: "mps2-an386",
        flash_start: 0,
        slots_start: 0x2100_0000,
        slot_bytes: 128 << 10,
        chip: None,
        drive: None,
    },
    Board {
        name: "mps2-an505",
        flash_start: 0x1000_0000,
        slots_start: 0x8000_0000,
        slot_bytes: 128 << 10,
        chip: None,
        drive: None,
    },
    Board {
        name: "lm3s6965evb",
        flash_start: 0,
        slots_start: 0x2000_8000,
        slot_bytes: 16 << 10,
        chip: None,
        drive: None,
    },
];

impl Board {
    /// The board of that name.
    ///
    /// # Errors
    /// [`ImageError::UnknownBoard`].
    pub fn named(name: &str) -> Result<&'static Self, ImageError> {
        BOARDS.iter().find(|board| board.name == name).ok_or_else(|| ImageError::UnknownBoard {
            name: name.to_owned(),
            known: BOARDS.map(|board| board.name).join(", "),
        })
    }

    /// Where a slot begins.
    ///
    /// # Errors
    /// [`ImageError::NoSuchSlot`].
    pub fn slot(&self, slot: u8) -> Result<u32, ImageError> {
        match slot {
            0 | 1 => Ok(self.slots_start + u32::from(slot) * self.slot_bytes),
            _ => Err(ImageError::NoSuchSlot { board: self.name, slot }),
        }
    }
}
