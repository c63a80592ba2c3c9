//! What a board can measure about the classifier that runs on it.

/// A board's counters and its view of memory. What a board cannot count stays 0.
pub trait Counters {
    /// Starts counting from zero.
    fn start(&mut self);

    /// Instructions executed since [`start`](Self::start); 0 on a board that cannot count them.
    fn instructions(&mut self) -> u64;

    /// Cycles of the core's clock since [`start`](Self::start); 0 on a board that cannot count them.
    fn cycles(&mut self) -> u64 {
        0
    }

    /// Microseconds since [`start`](Self::start); 0 on a board without a timer.
    fn microseconds(&mut self) -> u64 {
        0
    }

    /// Bytes of stack in use at the deepest moment since the program started; 0 if unknown.
    fn stack_bytes(&self) -> usize;

    /// Bytes of RAM that the image's statics take; 0 if unknown.
    fn static_bytes(&self) -> usize;
}
