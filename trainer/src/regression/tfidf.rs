//! The TF-IDF control: weighted n-grams and logistic regression.
//!
//! Two blocks of features, each as scikit-learn's `TfidfVectorizer` makes them with `sublinear_tf`: words of two or
//! more characters with word pairs, and character 2- to 5-grams within words padded by a space on either side
//! (`char_wb`). A feature weighs `(1 + ln tf) (ln((1 + n) / (1 + df)) + 1)`, and each block of a text has length 1.

use super::logistic::{Logistic, Objective, Sparse, SparseRow};
use rayon::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy)]
pub struct TfidfOptions {
    /// Inverse strength of the L2 penalty, scikit-learn's `C`.
    pub c: f64,
    /// Largest component of the gradient at which training ends.
    pub tolerance: f64,
    pub iterations: usize,
}

impl Default for TfidfOptions {
    fn default() -> Self {
        Self { c: 1.0, tolerance: 1e-5, iterations: 1000 }
    }
}

pub struct Tfidf {
    features: Features,
    classifier: Logistic,
    pub converged: bool,
}

/// Texts in which an n-gram must occur to be a feature.
const MIN_TEXTS: u32 = 2;
const BLOCKS: usize = 2;

/// The n-grams of some texts: for each key its column and its weight by rarity.
pub struct Features(HashMap<u64, (u32, f32)>);

/// Texts with their features, ready for a regression on any of them.
pub struct Corpus {
    pub features: Features,
    pub rows: Vec<SparseRow>,
}

impl Corpus {
    /// Counts the n-grams of all texts; those in enough of them become features.
    pub fn over(texts: &[&str]) -> Self {
        let counts: Vec<[Counts; BLOCKS]> = texts.par_iter().map(|text| count(text)).collect();
        let features = Features::choose(&counts, MIN_TEXTS);
        let rows = counts.par_iter().map(|counts| features.weigh(counts)).collect();
        Self { features, rows }
    }

    /// Fits some of the texts to their classes and weights; also tells whether the minimum was found.
    pub fn fit(
        &self,
        rows: &[usize],
        (truth, weights): (&[usize], &[f64]),
        classes: usize,
        TfidfOptions { c, tolerance, iterations }: TfidfOptions,
    ) -> (Logistic, bool) {
        let width = self.features.width();
        let matrix = Sparse::new(&rows.iter().map(|&i| &self.rows[i]).collect::<Vec<_>>(), width);
        let n = rows.len() as f64;
        let objective = Objective { share: 1.0 / n, penalty: 1.0 / (c * n), tolerance, iterations };
        let outputs = if classes == 2 { 1 } else { classes };
        let (model, end) = Logistic::of_sparse(&matrix, (truth, weights), outputs, objective);
        (model.rounded(), end <= tolerance)
    }
}

/// Trains on `(class, text)` rows. The same rows give the same control, whatever the number of
/// threads. Takes about 24 bytes of memory for each different n-gram of each text.
/// Panics without rows, with fewer than two classes, or with a class that is not below `classes`.
#[must_use]
pub fn train_tfidf(rows: &[(usize, &str)], classes: usize, options: TfidfOptions) -> Tfidf {
    check(rows, classes);
    let (truth, texts): (Vec<usize>, Vec<&str>) = rows.iter().copied().unzip();
    let corpus = Corpus::over(&texts);
    let everyone: Vec<usize> = (0..truth.len()).collect();
    let weights = vec![1.0; truth.len()];
    let (classifier, converged) = corpus.fit(&everyone, (&truth, &weights), classes, options);
    Tfidf { features: corpus.features, classifier, converged }
}

impl Tfidf {
    pub fn predict(&self, text: &str) -> Vec<f32> {
        self.classifier.probabilities(&self.features.of(text)[..])
    }

    pub fn size(&self) -> (usize, usize) {
        size(&self.classifier, &self.features)
    }
}

/// Trained numbers, and bytes: 8 for an n-gram's key, 4 for its rarity, 4 for every weight.
pub fn size(classifier: &Logistic, features: &Features) -> (usize, usize) {
    let parameters = classifier.parameters();
    (parameters, 4 * parameters + 12 * features.width())
}

/// The n-grams of one block of a text and how often each occurs, ordered by key.
type Counts = Vec<(u64, u32)>;

impl Features {
    pub fn of(&self, text: &str) -> SparseRow {
        self.weigh(&count(text))
    }

    pub fn width(&self) -> usize {
        self.0.len()
    }

    /// Every n-gram that occurs in enough texts, columns in order of the keys.
    fn choose(counts: &[[Counts; BLOCKS]], min_texts: u32) -> Self {
        let mut texts: HashMap<u64, u32> = HashMap::new();
        for &(key, _) in counts.iter().flatten().flatten() {
            *texts.entry(key).or_default() += 1;
        }
        let mut kept: Vec<(u64, u32)> =
            (texts.into_iter()).filter(|&(_, texts)| texts >= min_texts).collect();
        kept.sort_unstable();
        let all = counts.len() as f64;
        let rarity = |texts: u32| ((1.0 + all) / (1.0 + f64::from(texts))).ln() + 1.0;
        let columns = (kept.into_iter().zip(0..))
            .map(|((key, texts), column)| (key, (column, rarity(texts) as f32)))
            .collect();
        Self(columns)
    }

    /// A text's row of the matrix, columns ascending.
    fn weigh(&self, counts: &[Counts; BLOCKS]) -> SparseRow {
        let mut row = Vec::new();
        for block in counts {
            let start = row.len();
            let mut square = 0.0;
            for (key, times) in block {
                if let Some(&(column, rarity)) = self.0.get(key) {
                    let weight = (1.0 + f64::from(*times).ln()) * f64::from(rarity);
                    square += weight * weight;
                    row.push((column, weight));
                }
            }
            let length = square.sqrt();
            row[start..].iter_mut().for_each(|(_, weight)| *weight /= length);
        }
        row.sort_unstable_by_key(|entry| entry.0);
        row.into_iter().map(|(c, w)| (c, w as f32)).collect()
    }
}

/// FNV-1a, 64 bits: the key of an n-gram. Among a million n-grams the chance that any two share a
/// key is about 3 in 10^8.
pub(super) fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Whether a character belongs to a word: letters, digits, underscore.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn check(rows: &[(usize, &str)], classes: usize) {
    assert!(!rows.is_empty(), "training needs at least one row");
    assert!(classes >= 2, "training needs at least two classes");
    assert!(rows.iter().all(|row| row.0 < classes), "a class is not below the number of classes");
}

fn count(text: &str) -> [Counts; BLOCKS] {
    let text = text.to_lowercase();
    [words(&text), characters(&text)].map(|mut keys| {
        keys.sort_unstable();
        let runs = keys.chunk_by(|a, b| a == b);
        runs.map(|run| (run[0], u32::try_from(run.len()).unwrap_or(u32::MAX))).collect()
    })
}

fn words(text: &str) -> Vec<u64> {
    let start = fnv1a(FNV_START, b"word ");
    let mut keys = Vec::new();
    let mut previous = None;
    let long = |word: &&str| word.chars().nth(1).is_some();
    for word in text.split(|c| !is_word(c)).filter(long) {
        let key = fnv1a(start, word.as_bytes());
        let pair = |before| fnv1a(fnv1a(before, b" "), word.as_bytes());
        keys.extend(previous.replace(key).map(pair));
        keys.push(key);
    }
    keys
}

/// Keys of the character 2- to 5-grams of each padded word; a padded word shorter than that counts once, whole.
fn characters(text: &str) -> Vec<u64> {
    let start = fnv1a(FNV_START, b"char ");
    let mut keys = Vec::new();
    for word in text.split_whitespace() {
        let padded = format!(" {word} ");
        // ends[i]..ends[i + n] are the bytes of the n-gram at character i.
        let starts = padded.char_indices().map(|(at, _)| at);
        let ends: Vec<usize> = starts.chain([padded.len()]).collect();
        let length = ends.len() - 1;
        for n in 2..=5.min(length) {
            for i in 0..=length - n {
                keys.push(fnv1a(start, &padded.as_bytes()[ends[i]..ends[i + n]]));
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(block: &[u8], grams: &[&str]) -> Vec<u64> {
        let start = fnv1a(FNV_START, block);
        grams.iter().map(|g| fnv1a(start, g.as_bytes())).collect()
    }

    fn same(mut found: Vec<u64>, mut expected: Vec<u64>) {
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_are_two_characters_or_longer_and_pair_up() {
        let expected = ["it39", "été", "on_", "it39 été", "été on_"];
        same(words("it39 a été, on_"), keys(b"word ", &expected));
    }

    #[test]
    fn characters_stay_within_padded_words() {
        let expected = [" a", "a ", " a ", " é", "éb", "b ", " éb", "éb ", " éb "];
        same(characters("a\téb"), keys(b"char ", &expected));
        let long = characters("abcdef");
        // Eight characters with the spaces: 7 + 6 + 5 + 4 n-grams.
        assert_eq!(long.len(), 22);
    }

    #[test]
    fn weights_are_those_of_the_formula() {
        // Word features: aa and bb in both texts, "aa bb" in both, cc and "bb cc" in one.
        let texts = ["aa bb aa bb", "aa bb cc"];
        let counts: Vec<_> = texts.iter().map(|t| count(t)).collect();
        let features = Features::choose(&counts, 1);
        let row = features.weigh(&[counts[0][0].clone(), Vec::new()]);
        let weight = |gram: &str| {
            let (column, _) = features.0[&keys(b"word ", &[gram])[0]];
            row.iter().find(|e| e.0 == column).map_or(0.0, |e| e.1)
        };
        // tf 2, 2, 2 and 1 ("bb aa"); idf 1, 1, 1 and ln(3/2) + 1.
        let (often, once) = (1.0 + 2_f32.ln(), 1.5_f32.ln() + 1.0);
        let length = (3.0 * often * often + once * once).sqrt();
        assert_eq!(row.len(), 4);
        for (gram, expected) in
            [("aa", often), ("bb", often), ("aa bb", often), ("bb aa", once), ("cc", 0.0)]
        {
            assert!((weight(gram) - expected / length).abs() < 1e-6, "{gram}");
        }
        let both: f32 = (features.weigh(&counts[0]).iter()).map(|e| e.1 * e.1).sum();
        assert!((both - 2.0).abs() < 1e-6, "each block has length 1");
    }

    #[test]
    fn rare_n_grams_are_left_out() {
        let rows = [(0, "aa bb"), (1, "aa cc"), (0, "aa")];
        let model = train_tfidf(&rows, 2, TfidfOptions::default());
        // Kept: the word aa, and of the characters those of " aa " (3 + 2 + 1).
        assert_eq!(model.features.width(), 7);
        assert_eq!(model.size(), (7 + 1, 7 * 12 + 4 * (7 + 1)));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let texts: Vec<String> =
            (0..60).map(|i| format!("w{} w{} and w{}", i % 3, i % 5, i % 7)).collect();
        let rows: Vec<(usize, &str)> =
            (texts.iter().enumerate()).map(|(i, text)| (i % 3, text.as_str())).collect();
        let train = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let model =
                pool.build().unwrap().install(|| train_tfidf(&rows, 3, TfidfOptions::default()));
            (texts.iter())
                .flat_map(|text| model.predict(text))
                .map(f32::to_bits)
                .collect::<Vec<u32>>()
        };
        assert_eq!(train(1), train(3));
    }

    #[test]
    fn tells_classes_apart_and_knows_no_words_by_heart() {
        let rows = [
            (0, "turn the light on"),
            (0, "lights on please"),
            (1, "set a timer for ten minutes"),
            (1, "timer of five minutes"),
        ];
        let model = train_tfidf(&rows, 2, TfidfOptions::default());
        assert!(model.predict("all lights on")[0] > 0.5);
        assert!(model.predict("a timer, two minutes")[1] > 0.5);
        // A text without a known n-gram falls back on the classes' shares.
        assert!((model.predict("§")[0] - 0.5).abs() < 0.1);
    }
}
