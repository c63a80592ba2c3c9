//! Triples of words, and what reaches over a text's ends (token rules 2).

use super::{BASIS, Gram, GramKinds, Grams, feed};

/// Where the empty word before a text begins.
const NOWHERE: usize = usize::MAX;

/// The hash state and first byte of the empty word before a text.
pub(super) const fn before(kinds: GramKinds) -> Option<(u32, usize)> {
    if kinds.edges { Some((BASIS, NOWHERE)) } else { None }
}

/// Where a pair begins, by the first bytes of its words: an empty word before has no byte.
pub(super) fn start(first: usize, second: usize) -> usize {
    first.min(second)
}

/// What triples need: the pair that the previous word ends, and a triple still to be given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Far {
    pair: Option<(u32, usize)>,
    pending: Option<Gram>,
}

impl Grams<'_> {
    /// Puts down the triple that the word at `at` ends, and the pair for the next one. The word is read once more, after
    /// the pair before it.
    pub(super) fn triple(&mut self, at: usize, pair: Option<u32>, start: usize) {
        if !self.kinds.trigrams {
            return;
        }
        if let Some((before, first)) = self.far.pair {
            let end = core::mem::replace(&mut self.at, at);
            let again = self.word(Some(feed(before, b' '))).and_then(|(_, hash)| hash.pair);
            self.far.pending = again.map(|hash| Gram { hash, start: first, end });
            self.at = end;
        }
        self.far.pair =
            pair.zip(self.previous).map(|(hash, (_, first))| (hash, self::start(first, start)));
    }

    /// Puts down what the empty word after the last one ends, once, and gives the first of it.
    pub(super) fn end(&mut self, after: Option<u32>) -> Option<Gram> {
        if let Some((_, start @ 0..NOWHERE)) = self.previous.take()
            && self.kinds.edges
        {
            let gram = |(hash, start)| Gram { hash, start, end: self.at };
            let pair = after.filter(|_| self.kinds.bigrams).map(|hash| gram((hash, start)));
            let far = self.far.pair.map(|(hash, first)| gram((feed(hash, b' '), first)));
            self.pending[1] = pair;
            self.far.pending = far;
        }
        self.pending()
    }

    pub(super) fn far_pending(&mut self) -> Option<Gram> {
        self.far.pending.take()
    }
}

#[cfg(test)]
mod tests {
    use crate::token::{GramKinds, fnv1a, grams};
    use proptest::prelude::*;

    extern crate std;
    use std::vec::Vec;

    const ALL: GramKinds = GramKinds::from_bits(7, false).unwrap();

    fn hashes(folded: &[&str]) -> Vec<u32> {
        folded.iter().map(|w| fnv1a(w.as_bytes())).collect()
    }

    #[test]
    fn triples_and_edges_follow_their_pairs() {
        let given = |text| -> Vec<_> { grams(text, ALL).collect() };
        let all = given(" Turn lights UP. ");
        let folded = [
            "turn",
            " turn", // The empty word before makes a pair, and no triple of two empty words.
            "lights",
            "turn lights",
            " turn lights",
            "up",
            "lights up",
            "turn lights up",
            "up ",
            "lights up ",
        ];
        assert_eq!(all.iter().map(|g| g.hash).collect::<Vec<_>>(), hashes(&folded));
        assert_eq!((all[1].start, all[1].end), (1, 5));
        assert_eq!((all[4].start, all[4].end), (1, 12));
        assert_eq!((all[8].start, all[9].start), (13, 6));
        let one: Vec<u32> = given("hi").iter().map(|g| g.hash).collect();
        assert_eq!(one, hashes(&["hi", " hi", "hi ", " hi "]));
        assert_eq!(given(" ... ").len(), 4, "the word ..");
        assert!(given("").is_empty() && given(" - ").is_empty());
    }

    proptest! {
        #[test]
        fn every_text_has_as_many_neighbours_as_words(text in any::<std::string::String>()) {
            let n = grams(&text, GramKinds::default()).count();
            // n words, n + 1 pairs, n triples.
            prop_assert_eq!(grams(&text, ALL).count(), if n == 0 { 0 } else { 3 * n + 1 });
            for gram in grams(&text, ALL) {
                prop_assert!(gram.end > gram.start && text.get(gram.start..gram.end).is_some());
            }
        }
    }
}
