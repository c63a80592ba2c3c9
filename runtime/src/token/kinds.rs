//! Which n-grams count, and how a model file says so.

/// Which n-grams a text gives besides its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "(u8, bool)", try_from = "(u8, bool)")]
pub struct GramKinds {
    /// Pairs of neighbouring words.
    pub bigrams: bool,
    /// First four characters of longer words.
    pub prefixes: bool,
    /// Triples of neighbouring words.
    #[cfg(feature = "neighbours")]
    pub trigrams: bool,
    /// Pairs and triples that reach over the text's ends.
    #[cfg(feature = "neighbours")]
    pub edges: bool,
}

#[cfg(feature = "neighbours")]
impl GramKinds {
    /// The oldest token rules that know these kinds.
    pub const fn token_rules(self) -> u8 {
        if self.trigrams || self.edges { 2 } else { 1 }
    }

    /// The kinds of neighbours as a model file has them: 1 pairs, 2 triples, 4 edges.
    pub(crate) const fn neighbours(self) -> u8 {
        self.bigrams as u8 | (self.trigrams as u8) << 1 | (self.edges as u8) << 2
    }

    /// The token rules of a file that states `rules`; its bits are checked against them with the model.
    pub(crate) const fn rules(rules: u8, _neighbours: u8) -> u8 {
        rules
    }

    /// From those bits, if there are no others.
    pub(crate) const fn from_bits(neighbours: u8, prefixes: bool) -> Option<Self> {
        if neighbours > 7 {
            return None;
        }
        let [bigrams, trigrams, edges] =
            [neighbours & 1 != 0, neighbours & 2 != 0, neighbours & 4 != 0];
        Some(Self { bigrams, prefixes, trigrams, edges })
    }
}

#[cfg(not(feature = "neighbours"))]
impl GramKinds {
    const fn neighbours(self) -> u8 {
        self.bigrams as u8
    }

    /// The token rules of a file that states `rules`: bits of later rules make them later ones, which are
    /// refused, so that no n-gram that the file counts on is left out in silence.
    pub(crate) const fn rules(rules: u8, neighbours: u8) -> u8 {
        rules | neighbours & !1
    }

    /// From the bit of pairs; the others are of later rules.
    pub(crate) const fn from_bits(neighbours: u8, prefixes: bool) -> Option<Self> {
        Some(Self { bigrams: neighbours & 1 != 0, prefixes })
    }
}

impl From<GramKinds> for (u8, bool) {
    fn from(kinds: GramKinds) -> Self {
        (kinds.neighbours(), kinds.prefixes)
    }
}

impl TryFrom<(u8, bool)> for GramKinds {
    type Error = crate::error::Error;

    fn try_from((neighbours, prefixes): (u8, bool)) -> Result<Self, Self::Error> {
        Self::from_bits(neighbours, prefixes).ok_or(Self::Error::BadMeta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(feature = "neighbours"))]
    fn bits_of_later_rules_are_never_taken_for_the_first() {
        for (rules, neighbours) in
            (0..=u8::MAX).flat_map(|rules| (0..=u8::MAX).map(move |n| (rules, n)))
        {
            let first = rules == 1 && neighbours <= 1;
            assert_eq!(GramKinds::rules(rules, neighbours) == 1, first, "{rules} {neighbours}");
        }
    }

    #[test]
    #[cfg(feature = "neighbours")]
    fn kinds_pass_through_their_bits() {
        for bits in 0..8 {
            let kinds = GramKinds::from_bits(bits, true).unwrap();
            assert_eq!((kinds.neighbours(), kinds.token_rules()), (bits, 1 + u8::from(bits > 1)));
        }
        assert_eq!(GramKinds::from_bits(8, true), None);
    }
}
