//! Words to n-grams: the rules (1, and 2 where marked; 3 changes words alone), which of them count, and how a model file says so.
//!
//! - With prefixes, a word of five or more counted characters also gives its first four and `*`;
//!   with bigrams, each word also gives the pair with the word before it;
//!   with trigrams (2), each word also gives the triple with the two words before it;
//!   with edges (2), an empty word stands before the first word and after the last in pairs and triples.

use super::token::{BASIS, UNICODE, Words, feed};
#[cfg(feature = "compact")]
use super::token::{Letters, feed_char};

/// Which n-grams a text gives besides its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(into = "(u8, bool)")]
pub struct GramKinds {
    /// Pairs of neighbouring words.
    pub bigrams: bool,
    /// First four characters of longer words.
    pub prefixes: bool,
    /// Triples of neighbouring words; only with the feature `neighbours`.
    pub trigrams: bool,
    /// Pairs and triples that reach over the text's ends; only with the feature `neighbours`.
    pub edges: bool,
    /// Words by token rules 3; only with the feature `unicode`.
    pub unicode: bool,
    /// Digits and signs kept; by token rules 3 alone.
    pub signs: bool,
    /// Characters of a word that count, 0 for all.
    pub cut: u8,
    /// Runs of characters within a word, which begins and ends with a mark of its own.
    pub runs: Runs,
}

/// The lengths of runs of characters: none if `longest` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Runs {
    /// Characters of the shortest.
    pub shortest: u8,
    /// Characters of the longest, at most [`LONGEST_RUN`].
    pub longest: u8,
}

/// Characters of a run at most.
pub const LONGEST_RUN: usize = 6;

const NO_RUNS: Runs = Runs { shortest: 0, longest: 0 };

impl GramKinds {
    /// The oldest token rules that know these kinds.
    pub const fn token_rules(self) -> u8 {
        match self {
            Self { unicode: true, .. } | Self { signs: true, .. } => 3,
            Self { trigrams: true, .. } | Self { edges: true, .. } => 2,
            _ => 1,
        }
    }

    /// Whether this build knows these kinds.
    pub(crate) const fn are_known(self) -> bool {
        (NEIGHBOURS || !(self.trigrams || self.edges)) && (UNICODE || !(self.unicode || self.signs))
    }

    /// From token rules and the kinds as a model file has them - 1 pairs, 2 triples, 4 edges, 8 signs -
    /// if there are no others.
    pub(crate) const fn from_bits(token_rules: u8, bits: u8, prefixes: bool) -> Option<Self> {
        if bits > 15 {
            return None;
        }
        let [bigrams, trigrams, edges] = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
        let (unicode, signs) = (token_rules >= 3, bits & 8 != 0);
        Some(Self { bigrams, prefixes, trigrams, edges, unicode, signs, cut: 0, runs: NO_RUNS })
    }
}

impl From<GramKinds> for (u8, bool) {
    fn from(kinds: GramKinds) -> Self {
        let GramKinds { bigrams, prefixes, trigrams, edges, signs, .. } = kinds;
        let bits = [bigrams, trigrams, edges, signs];
        (bits.into_iter().rev().fold(0, |bits, bit| bits << 1 | u8::from(bit)), prefixes)
    }
}

/// One n-gram of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gram {
    /// FNV-1a of the folded n-gram.
    pub hash: u32,
    /// First byte in the text.
    pub start: usize,
    /// One past the last byte in the text.
    pub end: usize,
}

/// Iterator over the n-grams of a text: each word, then its prefix, then the bigram and the trigram that it ends.
#[derive(Clone, Debug)]
pub struct Grams<'t> {
    words: Words<'t>,
    kinds: GramKinds,
    /// The previous word's hash state and first byte; before a text with edges stands an empty word.
    previous: Option<(u32, usize)>,
    /// What is still to be given of the word last read: prefix, bigram, trigram.
    pending: [Option<Gram>; 3],
    /// For trigrams: the hash state and first byte of the pair that the previous word ends.
    pair: Option<(u32, usize)>,
    /// The runs still to be given of the word last read.
    #[cfg(feature = "compact")]
    runs: RunsOf<'t>,
}

/// Whether token rules 2 are known: without them nothing reaches farther than a pair.
const NEIGHBOURS: bool = cfg!(feature = "neighbours");
/// Where the empty word before a text begins: the first byte of a pair is the lower one of its words.
const NOWHERE: usize = usize::MAX;

/// The n-grams of `text`; without the feature `neighbours` those of pairs at most.
pub fn grams(text: &str, kinds: GramKinds) -> Grams<'_> {
    let previous = (NEIGHBOURS && kinds.edges).then_some((BASIS, NOWHERE));
    let words = Words::new(text, kinds.unicode, kinds.signs);
    Grams {
        #[cfg(feature = "compact")]
        runs: RunsOf::none(&words),
        words,
        kinds,
        previous,
        pending: [None; 3],
        pair: None,
    }
}

/// The runs of characters of one word.
#[cfg(feature = "compact")]
#[derive(Clone, Debug)]
struct RunsOf<'t> {
    letters: Letters<'t>,
    /// The word's place, which all its runs have.
    start: usize,
    end: usize,
    /// Hashes of the runs that end at the last character read: of one character, of two, ...
    hashes: [u32; LONGEST_RUN],
    /// Characters read, the marks among them.
    read: usize,
    /// Length of the next run to be given that ends at the last character.
    next: usize,
    /// Whether the end mark has been read.
    ended: bool,
}

#[cfg(feature = "compact")]
impl<'t> RunsOf<'t> {
    fn none(words: &Words<'t>) -> Self {
        let letters = Letters::of(words, words.at);
        let hashes = [BASIS; LONGEST_RUN];
        Self { letters, start: 0, end: 0, hashes, read: 0, next: LONGEST_RUN + 1, ended: true }
    }

    /// The runs of the word at `start`.
    fn of(words: &Words<'t>, start: usize) -> Self {
        let letters = Letters::of(words, start);
        let mut runs = Self { letters, start, end: words.at, ended: false, ..Self::none(words) };
        runs.read('<');
        runs
    }

    /// Takes up one more character.
    fn read(&mut self, c: char) {
        // A run is no word of the same characters.
        let mut shorter = feed(BASIS, 1);
        for hash in &mut self.hashes {
            let longer = feed_char(shorter, c);
            shorter = core::mem::replace(hash, longer);
        }
        self.read += 1;
    }

    fn gram(&mut self, kinds: Runs) -> Option<Gram> {
        loop {
            if self.next <= self.read.min(kinds.longest as usize).min(LONGEST_RUN) {
                let hash = self.hashes.get(self.next.wrapping_sub(1)).copied();
                self.next += 1;
                let hash = hash.unwrap_or(BASIS);
                return Some(Gram { hash, start: self.start, end: self.end });
            }
            if self.ended {
                return None;
            }
            let c = self.letters.next();
            self.ended = c.is_none();
            self.read(c.unwrap_or('>'));
            self.next = kinds.shortest.max(1) as usize;
        }
    }
}

impl Iterator for Grams<'_> {
    type Item = Gram;

    fn next(&mut self) -> Option<Gram> {
        if let Some(gram) = self.pending() {
            return Some(gram);
        }
        #[cfg(feature = "compact")]
        if let Some(gram) = self.runs.gram(self.kinds.runs) {
            return Some(gram);
        }
        let at = self.words.at;
        let after = self.previous.map(|(hash, _)| feed(hash, b' '));
        let Some((start, hash)) = self.words.word(after, self.kinds.cut) else {
            return self.end(after);
        };
        let word = Gram { hash: hash.alone, start, end: self.words.at };
        if self.kinds.prefixes {
            self.pending[0] = hash.prefix.map(|hash| Gram { hash, ..word });
        }
        let pair = hash.pair.zip(self.previous).map(|(hash, (_, first))| (hash, first.min(start)));
        if self.kinds.bigrams {
            self.pending[1] = pair.map(|(hash, start)| Gram { hash, start, ..word });
        }
        if NEIGHBOURS && self.kinds.trigrams {
            self.pending[2] = self.triple(at);
            self.pair = pair;
        }
        self.previous = Some((word.hash, word.start));
        #[cfg(feature = "compact")]
        if self.kinds.runs.longest > 0 && hash.is_plain() {
            self.runs = RunsOf::of(&self.words, start);
        }
        Some(word)
    }
}

impl Grams<'_> {
    /// The triple that the word at `at` ends: the word is read once more, after the pair before it.
    fn triple(&mut self, at: usize) -> Option<Gram> {
        let (before, start) = self.pair?;
        let end = core::mem::replace(&mut self.words.at, at);
        let hash = self
            .words
            .word(Some(feed(before, b' ')), self.kinds.cut)
            .and_then(|(_, hash)| hash.pair);
        self.words.at = end;
        hash.map(|hash| Gram { hash, start, end })
    }

    /// Puts down what the empty word after the last one ends, once, and gives the first of it.
    fn end(&mut self, after: Option<u32>) -> Option<Gram> {
        if NEIGHBOURS
            && self.kinds.edges
            && let Some((_, start @ 0..NOWHERE)) = self.previous.take()
        {
            let gram = |(hash, start)| Gram { hash, start, end: self.words.at };
            let pair = after.filter(|_| self.kinds.bigrams).map(|hash| gram((hash, start)));
            let triple = self.pair.map(|(hash, first)| gram((feed(hash, b' '), first)));
            self.pending = [None, pair, triple];
            return self.pending();
        }
        None
    }

    fn pending(&mut self) -> Option<Gram> {
        let [prefix, pair, triple] = &mut self.pending;
        let first = prefix.take().or_else(|| pair.take());
        if NEIGHBOURS { first.or_else(|| triple.take()) } else { first }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::fnv1a;
    use super::*;
    use proptest::prelude::*;

    extern crate std;
    use std::vec::Vec;

    const WORDS: GramKinds = GramKinds::from_bits(1, 0, false).unwrap();
    const PAIRS: GramKinds = GramKinds::from_bits(1, 1, true).unwrap();

    fn words(text: &str) -> Vec<u32> {
        grams(text, WORDS).map(|g| g.hash).collect()
    }

    fn hashes(folded: &[&str]) -> Vec<u32> {
        folded.iter().map(|w| fnv1a(w.as_bytes())).collect()
    }

    #[test]
    fn words_are_folded_by_the_rules() {
        let cases: &[(&str, &[&str])] = &[
            ("Turn OFF the porch-light", &["turn", "off", "the", "porch", "light"]),
            ("don't, can’t `quoted'", &["dont", "cant", "quoted"]),
            ("at 10:30 in room b12 or 2005", &["at", "0", "0", "in", "room", "b0", "or", "0"]),
            ("see HTTP://a.b/c?d! and www.x.org", &["see", "<url>", "and", "<url>"]),
            ("@some_one hi @ you", &["<user>", "hi", "you"]),
            ("so good! why?", &["so", "good", "!", "why", "?"]),
            (
                "no!!! what?! huh?? hm... a.b",
                &["no", "!!", "what", "!!", "huh", "??", "hm", "..", "a", "b"],
            ),
            ("Soooo baaad, 1000 coool's", &["soo", "baad", "0", "cools"]),
            ("ÉCOLE Ωμέγα ПРИВЕТ", &["école", "ωμέγα", "привет"]),
            ("日本語 😀 naïve", &["日本語", "😀", "naïve"]),
            (" \t… — ", &[]),
        ];
        for (text, folded) in cases {
            assert_eq!(words(text), hashes(folded), "{text}");
        }
    }

    #[test]
    fn prefixes_and_bigrams_follow_their_word() {
        let all: Vec<_> = grams("Turn lights UP", PAIRS).collect();
        let expected = hashes(&["turn", "lights", "ligh*", "turn lights", "up", "lights up"]);
        assert_eq!(all.iter().map(|g| g.hash).collect::<Vec<_>>(), expected);
        assert_eq!((all[5].start, all[5].end), (5, 14));
        assert_eq!((all[2].start, all[2].end), (5, 11));
    }

    proptest! {
        #[test]
        fn any_text_gives_grams_that_lie_in_it(text in any::<std::string::String>()) {
            let mut end = 0;
            for gram in grams(&text, WORDS) {
                prop_assert!(gram.start >= end && gram.end > gram.start);
                prop_assert!(text.is_char_boundary(gram.start) && text.is_char_boundary(gram.end));
                end = gram.end;
            }
        }
    }

    #[cfg(feature = "unicode")]
    const NEWEST: GramKinds = GramKinds::from_bits(3, 0, false).unwrap();

    #[cfg(feature = "unicode")]
    fn new_words(text: &str, signs: bool) -> Vec<u32> {
        grams(text, GramKinds { signs, ..NEWEST }).map(|g| g.hash).collect()
    }

    #[test]
    #[cfg(feature = "unicode")]
    fn words_are_folded_by_rules_3() {
        let cases: &[(&str, &[&str])] = &[
            ("ŁÓDŹ Łódź lo\u{301}dz\u{301}", &["lodz", "lodz", "lodz"]),
            ("\u{feff}turn\u{feff} o\u{ad}ff don\u{ad}'\u{200d}t", &["turn", "off", "dont"]),
            (
                "Việt ĐƯỜNG Straße ÆØÅ \u{132} Ǆ ǯ ẞ",
                &["viet", "duong", "strase", "aoa", "i", "d", "z", "s"],
            ),
            ("ΆΝΘΡΩΠΟΣ ἄνθρωπος Ё ёлка Їжак", &["ανθρωποσ", "ανθρωποσ", "е", "елка", "іжак"]),
            ("😀😀😀 ok👍🏽👍 ❤️", &["😀", "😀", "😀", "ok", "👍", "👍", "❤"]),
            ("🇩🇪🇫🇷🇩🇩🇮", &["🇩🇪", "🇫🇷", "🇩🇩", "🇮"]),
            ("\u{1112}\u{1161}\u{11ab} か\u{3099}は\u{309a}", &["한", "がぱ"]),
            ("日本語 C++ 10:30 €5", &["日本語", "c", "0", "0", "0"]),
            ("\u{feff} \u{301}\u{200b}", &[]),
        ];
        for (text, folded) in cases {
            assert_eq!(new_words(text, false), hashes(folded), "{text}");
        }
        let kept: &[(&str, &[&str])] = &[
            ("C++ c C# 1000 2.50€", &["c", "++", "c", "c", "#", "1000", "2", ".", "50", "€"]),
            ("ok :-) a@b @me ----- so!", &["ok", ":-)", "a", "<user>", "<user>", "--", "so", "!"]),
        ];
        for (text, folded) in kept {
            assert_eq!(new_words(text, true), hashes(folded), "{text}");
        }
    }

    #[cfg(feature = "unicode")]
    fn agree(text: &str) {
        use unicode_normalization::UnicodeNormalization;
        let nfc: std::string::String = text.nfc().collect();
        let nfd: std::string::String = text.nfd().collect();
        assert_eq!(new_words(&nfc, false), new_words(&nfd, false), "{text:?}");
    }

    #[test]
    #[cfg(feature = "unicode")]
    fn composed_and_decomposed_letters_are_one() {
        let blocks = [0xc0..0x250, 0x370..0x530, 0x1e00..0x2000, 0x3041..0x3100, 0xac00..0xd7a4];
        let letters = blocks.into_iter().flatten().filter_map(char::from_u32);
        for c in letters.filter(|c| c.is_alphabetic()) {
            agree(&std::format!("a{c}b {c}"));
            let latin = matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}');
            let kept = matches!(c, '×' | '÷' | 'ǀ'..='ǃ');
            let ascii = ('a'..='z').any(|l| {
                new_words(&std::format!("{l}"), false) == new_words(&std::format!("{c}"), false)
            });
            assert_eq!(ascii, latin && !kept, "{c}");
        }
    }

    #[cfg(feature = "unicode")]
    proptest! {
        #[test]
        fn composed_and_decomposed_words_are_one(text in "([\\u{c0}-\\u{24f}\\u{388}-\\u{45f}\\u{1e00}-\\u{1fbc}\\u{ac00}-\\u{d7a3}がぱグ][\\u{300}-\\u{345}]{0,3}|[a-z '!.]){0,12}") {
            agree(&text);
        }

        #[test]
        fn grams_by_rules_3_lie_in_the_text(text in any::<std::string::String>(), signs: bool) {
            let mut end = 0;
            for gram in grams(&text, GramKinds { signs, ..NEWEST }) {
                prop_assert!(gram.start >= end && gram.end > gram.start);
                prop_assert!(text.is_char_boundary(gram.start) && text.is_char_boundary(gram.end));
                end = gram.end;
            }
        }

        #[test]
        fn plain_ascii_is_told_as_before(text in "[ -~]{0,40}") {
            prop_assert_eq!(new_words(&text, false), words(&text));
        }
    }

    #[test]
    fn bits_of_later_rules_are_never_taken_for_the_first() {
        for neighbours in 0..=u8::MAX {
            let rules = |stated| {
                GramKinds::from_bits(stated, neighbours, false).map(GramKinds::token_rules)
            };
            assert_eq!(rules(1) == Some(1), neighbours <= 1, "{neighbours}");
            assert_eq!(rules(2) == Some(3), (8..16).contains(&neighbours), "{neighbours}");
            assert_eq!(rules(3), (neighbours < 16).then_some(3), "{neighbours}");
        }
    }

    #[test]
    fn kinds_pass_through_their_bits() {
        for bits in 0..16 {
            let kinds = GramKinds::from_bits(2, bits, true).unwrap();
            assert_eq!(
                (<(u8, bool)>::from(kinds).0, kinds.token_rules()),
                (bits, 1 + u8::from(bits > 1) + u8::from(bits > 7))
            );
        }
        assert_eq!(GramKinds::from_bits(3, 16, true), None);
    }

    #[cfg(feature = "neighbours")]
    const ALL: GramKinds = GramKinds::from_bits(2, 7, false).unwrap();

    #[test]
    #[cfg(feature = "neighbours")]
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

    #[cfg(feature = "neighbours")]
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
