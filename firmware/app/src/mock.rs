//! NOR flash in memory that enforces its rules and loses power at a chosen step; for tests.

extern crate std;

use crate::board::SlotFlash;
use bumpalo::Bump;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use std::vec;
use std::vec::Vec;

/// Steps that the erasure of a sector takes, each a place where power can fail.
pub const ERASE_STEPS: u64 = 4;

/// Flash with writes of `WRITE` bytes and sectors of `ERASE` bytes.
///
/// A byte is written once between two erasures: a second write of the same unit is an error, as on
/// chips with error correction. Writing takes one step a byte, erasing [`ERASE_STEPS`] a sector.
#[derive(Clone, Debug)]
pub struct MockFlash<'m, const WRITE: usize, const ERASE: usize> {
    /// To look at or to damage.
    pub bytes: Vec<u8>,
    /// Units that were written since they were erased.
    written: Vec<bool>,
    /// What `map` has handed out: copies, so that nothing handed out ever changes.
    views: &'m Bump,
    /// Steps until power fails; 0: it has.
    pub left: u64,
    /// Whether the byte that power fails in loses some of its bits.
    pub torn: bool,
    /// Steps taken.
    pub steps: u64,
    /// Write-once violations and writes or erasures that are not aligned.
    pub violations: u64,
    /// A number stream for the bits that a failing step leaves behind.
    noise: u64,
}

/// What flash answers when power is gone or a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockError {
    /// There is no power.
    PowerLost,
    /// Outside the flash, not aligned, or written twice.
    Rule,
}

impl NorFlashError for MockError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<'m, const WRITE: usize, const ERASE: usize> MockFlash<'m, WRITE, ERASE> {
    /// Erased flash.
    pub fn new(views: &'m Bump, length: usize) -> Self {
        Self {
            bytes: vec![0xff; length],
            written: vec![false; length / WRITE],
            views,
            left: u64::MAX,
            torn: false,
            steps: 0,
            violations: 0,
            noise: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Lets power fail after this many more steps.
    pub fn cut_after(&mut self, steps: u64) {
        self.left = steps;
        self.noise ^= (steps + 1).wrapping_mul(0xd134_2543_de82_ef95);
    }

    /// The same flash with its views elsewhere.
    pub fn with_views<'n>(&self, views: &'n Bump) -> MockFlash<'n, WRITE, ERASE> {
        MockFlash {
            bytes: self.bytes.clone(),
            written: self.written.clone(),
            views,
            left: self.left,
            torn: self.torn,
            steps: 0,
            violations: self.violations,
            noise: self.noise,
        }
    }

    /// Takes one step; whether there was power for it.
    fn step(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.steps += 1;
        true
    }

    fn random(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 40) as u8
    }

    fn broken(&mut self) -> MockError {
        self.violations += 1;
        MockError::Rule
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for MockFlash<'_, WRITE, ERASE> {
    type Error = MockError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for MockFlash<'_, WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        let range = offset as usize..offset as usize + bytes.len();
        bytes.copy_from_slice(self.bytes.get(range).ok_or(MockError::Rule)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

#[allow(clippy::indexing_slicing)]
impl<const WRITE: usize, const ERASE: usize> NorFlash for MockFlash<'_, WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        let (from, to) = (from as usize, to as usize);
        if from > to
            || to > self.bytes.len()
            || !from.is_multiple_of(ERASE)
            || !to.is_multiple_of(ERASE)
        {
            return Err(self.broken());
        }
        for at in (from..to).step_by(ERASE) {
            for step in 0..ERASE_STEPS {
                if !self.step() {
                    return Err(MockError::PowerLost);
                }
                for byte in at..at + ERASE {
                    // Bits rise at random until, at the end, all have.
                    let risen = match step {
                        0 if byte < at + ERASE / 2 => 0xff,
                        0 => 0,
                        1 | 2 => self.random(),
                        _ => 0xff,
                    };
                    self.bytes[byte] |= risen;
                }
            }
            self.written[at / WRITE..(at + ERASE) / WRITE].fill(false);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        let at = offset as usize;
        let end = at + bytes.len();
        if end > self.bytes.len() || !at.is_multiple_of(WRITE) || !bytes.len().is_multiple_of(WRITE)
        {
            return Err(self.broken());
        }
        let units = at / WRITE..end / WRITE;
        if self.written[units.clone()].contains(&true) {
            return Err(self.broken());
        }
        for (i, &byte) in bytes.iter().enumerate() {
            if !self.step() {
                if self.torn {
                    let some = self.random();
                    self.bytes[at + i] &= byte | some;
                }
                return Err(MockError::PowerLost);
            }
            self.written[(at + i) / WRITE] = true;
            self.bytes[at + i] &= byte;
        }
        Ok(())
    }
}

impl<'m, const WRITE: usize, const ERASE: usize> SlotFlash<'m> for MockFlash<'m, WRITE, ERASE> {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        self.views.alloc_slice_copy(rest.get(..length).unwrap_or(rest))
    }
}
