//! All RAM of the app beside the stack.

use crate::input::Buffer;
use crate::protocol::Table;
use crate::transfer::Transfer;

/// The engine's memory, room for one line or frame and for the probabilities of an answer, and the
/// transfer under way; a board keeps one in a static.
#[derive(Debug)]
pub struct Memory<E> {
    pub(crate) engine: E,
    pub(crate) buffer: Buffer,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) table: Table,
}

impl<E> Memory<E> {
    /// Memory in its first state, around a fresh engine.
    pub const fn new(engine: E) -> Self {
        Self { engine, buffer: Buffer::new(), transfer: None, table: Table::new() }
    }
}
