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

    /// From the bit of pairs; what the others say belongs to token rules that are refused.
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
    #[cfg(feature = "neighbours")]
    use super::*;

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
