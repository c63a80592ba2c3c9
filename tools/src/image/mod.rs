//! What is written to a board's flash: pieces of memory from a model and a firmware image, and the file
//! formats that programmers take them in.

pub mod boards;
pub mod drive;
pub mod elf;
pub mod hex;
pub mod memory;
pub mod uf2;

pub use boards::Board;
pub use memory::Memory;

use qdllm_link::slot::{HEADER_BYTES, Header, factory};
use qdllm_runtime::Model;
use thiserror::Error;

/// Why no image could be made.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The name is of no known board.
    #[error("no board is called {name:?}; there are {known}")]
    UnknownBoard {
        /// What was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The model file cannot be used.
    #[error("the model: {0}")]
    Model(#[from] qdllm_runtime::Error),
    /// The model is longer than a slot of the board.
    #[error(
        "the model has {bytes} bytes, a slot of {board} takes {capacity}; fewer rows (`qdllm distill --rows`) make it smaller"
    )]
    ModelTooLarge {
        /// The model's length.
        bytes: usize,
        /// The board.
        board: &'static str,
        /// The longest model of a slot.
        capacity: u32,
    },
    /// A slot that the board does not have.
    #[error("{board} has the slots 0 and 1, not {slot}")]
    NoSuchSlot {
        /// The board.
        board: &'static str,
        /// What was asked for.
        slot: u8,
    },
    /// The firmware file is no ELF of the kind that these boards run.
    #[error(
        "the firmware: {what}; it must be the ELF that `cargo build` in the board's folder made"
    )]
    Firmware {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A piece lies outside the board's flash.
    #[error(
        "{bytes} bytes at {address:#x} are outside the program's flash of {board} ({start:#x} to {end:#x}); was this firmware built for another board?"
    )]
    Outside {
        /// The board.
        board: &'static str,
        /// Where the piece begins.
        address: u32,
        /// Its length.
        bytes: usize,
        /// Where the program's flash begins.
        start: u32,
        /// Its end: where the first slot begins.
        end: u32,
    },
    /// Two pieces want the same place.
    #[error("two pieces of the image both want address {address:#x}")]
    Overlap {
        /// The place.
        address: u32,
    },
    /// Neither a model nor a firmware was given.
    #[error("there is nothing to write: give --model, --firmware or both")]
    Nothing,
    /// The board's loader takes no UF2 files.
    #[error("{board} has no UF2 boot loader; write .hex or .bin")]
    NoUf2 {
        /// The board.
        board: &'static str,
    },
}

/// The memory of `board` with a model in one of its slots, a firmware in front of them, or both.
///
/// The model is marked as tried and confirmed: nothing is there to go back to.
///
/// # Errors
/// [`ImageError`] says which part does not fit and why.
pub fn build(
    board: &'static Board,
    model: Option<(&[u8], u8)>,
    firmware: Option<&[u8]>,
) -> Result<Memory, ImageError> {
    let mut memory = Memory::default();
    if let Some(file) = firmware {
        let (start, end) = (board.flash_start, board.slots_start);
        for (address, bytes) in elf::segments(file)? {
            let inside = address >= start && u64::from(address) + bytes.len() as u64 <= end.into();
            if !inside {
                let (board, bytes) = (board.name, bytes.len());
                return Err(ImageError::Outside { board, address, bytes, start, end });
            }
            memory.put(address, bytes)?;
        }
    }
    if let Some((file, slot)) = model {
        let address = board.slot(slot)?;
        memory.put(address, &slot_content(board, file)?)?;
    }
    if memory.is_empty() { Err(ImageError::Nothing) } else { Ok(memory) }
}

/// A slot's header region and the model behind it.
fn slot_content(board: &'static Board, file: &[u8]) -> Result<Vec<u8>, ImageError> {
    Model::parse(file)?;
    let capacity = board.slot_bytes - HEADER_BYTES as u32;
    let header = Header::of(file, 1, 0).filter(|header| header.length <= capacity);
    let header = header.ok_or(ImageError::ModelTooLarge {
        bytes: file.len(),
        board: board.name,
        capacity,
    })?;
    Ok([&factory(&header)[..], file].concat())
}
