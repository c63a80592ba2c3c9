//! What is written to a board's flash: pieces of memory from a model and a firmware image, and the file
//! formats that programmers take them in.

pub mod drive;
mod error;
pub mod hex;
pub mod memory;
pub mod uf2;

pub use error::ImageError;
pub use memory::Memory;

use qdllm_host::boards::{Board, Flash, with_flash};
use qdllm_host::elf;
use qdllm_link::slot::{HEADER_BYTES, Header, factory};
use qdllm_runtime::Model;
/// The board of that name, among those whose flash is written from outside.
pub fn named(name: &str) -> Result<(&'static Board, &'static Flash), ImageError> {
    let all = with_flash();
    all.iter().find(|(board, _)| board.name == name).copied().ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|(board, _)| board.name.as_str()).collect();
        ImageError::UnknownBoard { name: name.to_owned(), known: known.join(", ") }
    })
}

/// The memory of `board` with a model in one of its slots, a firmware in front of them, or both.
///
/// The model is marked as tried and confirmed: nothing is there to go back to.
///
/// # Errors
/// [`ImageError`] says which part does not fit and why.
pub fn build(
    (board, flash): (&'static Board, &'static Flash),
    model: Option<(&[u8], u8)>,
    firmware: Option<&[u8]>,
) -> Result<Memory, ImageError> {
    let mut memory = Memory::default();
    if let Some(file) = firmware {
        let (start, end) = (flash.start, flash.slots);
        for (address, bytes) in elf::segments(file).map_err(|what| ImageError::Firmware { what })? {
            let inside = address >= start && u64::from(address) + bytes.len() as u64 <= end.into();
            if !inside {
                let (board, bytes) = (board.name.as_str(), bytes.len());
                return Err(ImageError::Outside { board, address, bytes, start, end });
            }
            memory.add(address, bytes)?;
        }
    }
    if let Some((file, slot)) = model {
        let address = flash.slot(slot);
        let address = address.ok_or(ImageError::NoSuchSlot { board: &board.name, slot })?;
        memory.add(address, &slot_content(board, flash, file)?)?;
    }
    if memory.is_empty() { Err(ImageError::Nothing) } else { Ok(memory) }
}

fn slot_content(board: &'static Board, flash: &Flash, file: &[u8]) -> Result<Vec<u8>, ImageError> {
    Model::parse(file)?;
    let capacity = flash.slot_bytes - HEADER_BYTES as u32;
    let header = Header::of(file, 1, 0).filter(|header| header.length <= capacity);
    let header = header.ok_or(ImageError::ModelTooLarge {
        bytes: file.len(),
        board: &board.name,
        capacity,
    })?;
    Ok([&factory(&header)[..], file].concat())
}
