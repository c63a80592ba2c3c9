//! Why no image can be made.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum ImageError {
    #[error("no board is called {name:?}; there are {known}")]
    UnknownBoard { name: String, known: String },
    #[error("the model: {0}")]
    Model(#[from] qdllm_runtime::Error),
    #[error(
        "the model has {bytes} bytes, a slot of {board} takes {capacity}; fewer rows (`qdllm distill --rows`) make it smaller"
    )]
    ModelTooLarge { bytes: usize, board: &'static str, capacity: u32 },
    #[error("{board} has the slots 0 and 1, not {slot}")]
    NoSuchSlot { board: &'static str, slot: u8 },
    #[error(
        "the firmware: {what}; it must be the ELF that `cargo build` in the board's folder made"
    )]
    Firmware { what: &'static str },
    #[error(
        "{bytes} bytes at {address:#x} are outside the program's flash of {board} ({start:#x} to {end:#x}); was this firmware built for another board?"
    )]
    Outside { board: &'static str, address: u32, bytes: usize, start: u32, end: u32 },
    #[error("two pieces of the image both want address {address:#x}")]
    Overlap { address: u32 },
    #[error("there is nothing to write: give --model, --firmware or both")]
    Nothing,
    #[error("{board} has no UF2 boot loader; write .hex or .bin")]
    NoUf2 { board: &'static str },
}
