//! What a board gives the app: its name, slots and limits, its flash, its counters.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use qdllm_runtime::USUAL_CLASSES;

/// A sentence that a model must classify before it is confirmed.
pub const PROBE: &str = "turn on the light in the kitchen";

/// A board's name, slots and limits.
#[derive(Clone, Copy, Debug)]
pub struct BoardConfig {
    /// Its name in answers.
    pub name: &'static str,
    /// Where its slots lie.
    pub layout: Layout,
    /// How many bytes the port itself keeps while the app is busy with flash: by DMA, by interrupt,
    /// by a USB host that waits. The sender of a model runs ahead by that much. With 0, the default,
    /// it waits for every answer.
    pub ahead_bytes: u16,
    /// Models with more classes are refused.
    pub max_classes: u8,
    /// The sentence that new models are tried with: [`PROBE`] unless stated otherwise.
    pub probe: &'static str,
    /// Only models signed with the secret half of this Ed25519 public key are taken.
    #[cfg(feature = "signing")]
    pub key: Option<[u8; 32]>,
}

impl BoardConfig {
    /// A board of this name, with its slots and the defaults of all else.
    pub const fn new(name: &'static str, layout: Layout) -> Self {
        Self {
            name,
            layout,
            ahead_bytes: 0,
            max_classes: USUAL_CLASSES as u8,
            probe: PROBE,
            #[cfg(feature = "signing")]
            key: None,
        }
    }

    /// The same board with a public key, in the 64 digits that `qdllm-hw keygen` gives. What is no key locks the board:
    /// no signature holds for it.
    #[cfg(feature = "signing")]
    #[must_use]
    pub fn with_key(self, public: &str) -> Self {
        let mut key = [0; 32];
        let (pairs, odd) = public.as_bytes().as_chunks();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        for (to, [high, low]) in key.iter_mut().zip(pairs) {
            *to = digit(*high).zip(digit(*low)).map_or(0, |(high, low)| (high << 4 | low) as u8);
        }
        let whole = odd.is_empty()
            && pairs.len() == 32
            && pairs.iter().flatten().all(u8::is_ascii_hexdigit);
        // Zeros are a point of small order, for which nothing is ever taken as signed.
        Self { key: Some(if whole { key } else { [0; 32] }), ..self }
    }
}

/// A board's counters and its view of memory. What a board cannot count stays 0.
pub trait Counters {
    /// Starts counting from zero.
    fn start(&mut self);

    /// Instructions executed since [`start`](Self::start); 0 on a board that cannot count them.
    fn instructions(&mut self) -> u64 {
        0
    }

    /// Cycles of the core's clock since [`start`](Self::start); 0 on a board that cannot count them.
    fn cycles(&mut self) -> u64 {
        0
    }

    /// Microseconds since [`start`](Self::start); 0 on a board without a timer.
    fn microseconds(&mut self) -> u64 {
        0
    }

    /// Bytes of stack in use at the deepest moment since the program started; 0 if unknown.
    fn stack_bytes(&self) -> usize {
        0
    }

    /// Bytes of RAM that the image's statics take; 0 if unknown.
    fn static_bytes(&self) -> usize {
        0
    }
}

/// NOR flash that the processor also sees as memory, so that a model is used where it lies.
///
/// Addresses are those of [`ReadNorFlash`] and [`NorFlash`]. `WRITE_SIZE` must divide 32 and
/// `ERASE_SIZE` the length of a slot.
pub trait SlotFlash<'m>: NorFlash {
    /// The bytes from `offset` on, `length` of them, as they lie in memory; shorter or empty where
    /// that is beyond the flash.
    ///
    /// They need to stay readable and constant only until something is erased or written there: the
    /// app keeps no part of a slot that it erases or writes, except the header of the slot in use,
    /// which it reads anew each time.
    fn map(&self, offset: u32, length: usize) -> &'m [u8];
}

/// A board whose model can only be replaced from outside: one region, read and never written.
///
/// A bare model file at its front is used as it is. Every attempt to write ends in
/// [`Fault::Flash`](qdllm_link::Fault::Flash).
#[derive(Debug)]
pub struct ReadOnly<'m>(pub &'m [u8]);

impl ErrorType for ReadOnly<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for ReadOnly<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let found = self.map(offset, bytes.len());
        if found.len() != bytes.len() {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for ReadOnly<'_> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, _: u32, _: u32) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }
}

impl<'m> SlotFlash<'m> for ReadOnly<'m> {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }
}

/// Where the two slots lie.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Address of each slot in the flash; a multiple of its `ERASE_SIZE`.
    pub offsets: [u32; 2],
    /// Length of each slot, a multiple of `ERASE_SIZE`; 0 for the second where a board has one slot.
    pub lengths: [u32; 2],
}

impl Layout {
    /// Two slots of `length` bytes, one after the other from `offset` on.
    pub const fn pair(offset: u32, length: u32) -> Self {
        Self { offsets: [offset, offset + length], lengths: [length, length] }
    }

    /// One slot that is never written; for [`ReadOnly`].
    pub const fn single(length: u32) -> Self {
        Self { offsets: [0, 0], lengths: [length, 0] }
    }
}
