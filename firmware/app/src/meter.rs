//! What a board can measure about the classifier that runs on it.

/// A board's instruction counter and its view of memory.
pub trait Meter {
    /// Starts counting from zero.
    fn start(&mut self);

    /// Instructions executed since [`start`](Self::start); 0 on a board that cannot count.
    fn instructions(&mut self) -> u64;

    /// Bytes of stack in use at the deepest moment since the program started.
    fn stack_bytes(&self) -> usize;

    /// Bytes of RAM that the image's statics take.
    fn static_bytes(&self) -> usize;
}
