//! In the place of `far.rs` where only token rules 1 are known: nothing reaches farther than a pair.

use super::{Gram, GramKinds, Grams};

/// Nothing is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Far {}

/// No word stands before a text.
pub(super) const fn before(_: GramKinds) -> Option<(u32, usize)> {
    None
}

/// A pair begins with its first word.
pub(super) const fn start(first: usize, _: usize) -> usize {
    first
}

impl Grams<'_> {
    pub(super) const fn triple(&self, _: usize, _: Option<u32>, _: usize) {}

    pub(super) const fn end(&self, _: Option<u32>) -> Option<Gram> {
        None
    }

    pub(super) const fn far_pending(&self) -> Option<Gram> {
        let Far {} = self.far;
        None
    }
}
