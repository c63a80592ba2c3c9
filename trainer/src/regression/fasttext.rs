//! The fastText control: the mean of learned word and word-pair rows, and a softmax.
//!
//! The supervised model of Joulin et al. (arXiv 1607.01759): each word of the training texts has a row, word pairs
//! share a table of hashed rows, a text is the mean of its rows, and everything is learned by stochastic gradient
//! descent, one text at a time, at a rate that falls linearly to zero. Two things differ from the original program:
//! texts are lower-cased and cut into runs of word characters and single marks (the original leaves that to the user),
//! and the texts are shuffled before the first pass, so that a file sorted by label does no harm.
//!
//! Which word pairs happen to share a row moves the accuracy by about half a point, in the original
//! as well. The hash therefore starts from the seed: a mean over seeds is a mean over that too.

use super::tfidf::{FNV_START, check, fnv1a, is_word};
use crate::numeric::{add, softmax};
use crate::seed::stream;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy)]
pub struct FastTextOptions {
    pub dim: usize,
    pub buckets: usize,
    pub rate: f32,
    pub epochs: usize,
    /// Of the first rows, of the order of the texts and of the word pairs' hash.
    pub seed: u64,
}

impl Default for FastTextOptions {
    fn default() -> Self {
        Self { dim: 10, buckets: 100_000, rate: 0.5, epochs: 25, seed: 0 }
    }
}

pub struct FastText {
    words: HashMap<String, usize>,
    dim: usize,
    buckets: usize,
    /// What the hash of every word pair starts from.
    pair_start: u64,
    input: Vec<f32>,
    output: Vec<f32>,
}

/// The token that ends every text: gives a text without a known word a row, and a pair with the last word.
const END: &str = "</s>";

/// Trains on `(class, text)` rows, on one thread. The same rows and seed give the same control.
/// Panics without rows, dimension or bucket, with fewer than two classes, or with a class not below `classes`.
pub fn train_fasttext(
    rows: &[(usize, &str)],
    classes: usize,
    options: FastTextOptions,
) -> FastText {
    check(rows, classes);
    let FastTextOptions { dim, buckets, .. } = options;
    assert!(dim > 0 && buckets > 0, "needs a dimension and a bucket");
    let mut words = HashMap::new();
    for (_, text) in rows {
        let text = text.to_lowercase();
        for token in tokens(&text) {
            let next = words.len();
            words.entry(token.to_owned()).or_insert(next);
        }
    }
    let mut random = stream(options.seed, "fasttext");
    let bound = 1.0 / dim as f32;
    let input =
        (0..(words.len() + buckets) * dim).map(|_| random.random_range(-bound..bound)).collect();
    let mut model = FastText {
        words,
        dim,
        buckets,
        pair_start: fnv1a(FNV_START, &options.seed.to_le_bytes()),
        input,
        output: vec![0.0; classes * dim],
    };
    let mut texts: Vec<(usize, Vec<usize>)> =
        (rows.iter()).map(|&(class, text)| (class, model.rows(text))).collect();
    let total: usize = texts.iter().map(|text| text.1.len()).sum();
    let total = (total * options.epochs) as f64;
    let mut seen = 0_usize;
    texts.shuffle(&mut random);
    for _ in 0..options.epochs {
        for (class, rows) in &texts {
            let left = (1.0 - seen as f64 / total) as f32;
            model.step(*class, rows, options.rate * left);
            seen += rows.len();
        }
    }
    model
}

impl FastText {
    fn step(&mut self, class: usize, rows: &[usize], rate: f32) {
        let hidden = self.mean(rows);
        let mut change = vec![0.0; self.dim];
        let probabilities = probabilities(&self.output, &hidden);
        let outputs = self.output.chunks_exact_mut(self.dim);
        for (c, (p, output)) in probabilities.into_iter().zip(outputs).enumerate() {
            let alpha = rate * (if c == class { 1.0 - p } else { -p });
            add(&mut change, alpha, output);
            add(output, alpha, &hidden);
        }
        // The slope against one row of a mean is the mean's slope divided by the number of rows.
        let share = 1.0 / rows.len() as f32;
        change.iter_mut().for_each(|change| *change *= share);
        for &row in rows {
            add(&mut self.input[row * self.dim..][..self.dim], 1.0, &change);
        }
    }

    pub fn predict(&self, text: &str) -> Vec<f32> {
        probabilities(&self.output, &self.mean(&self.rows(text)))
    }

    /// Trained numbers, and bytes: 4 for every number, and the words with a byte to end each.
    pub fn size(&self) -> (usize, usize) {
        let words: usize = self.words.keys().map(|word| word.len() + 1).sum();
        let parameters = self.input.len() + self.output.len();
        (parameters, 4 * parameters + words)
    }

    /// The rows of a text: its known words and all its word pairs.
    fn rows(&self, text: &str) -> Vec<usize> {
        let text = text.to_lowercase();
        let tokens = tokens(&text);
        let known = tokens.iter().filter_map(|&token| self.words.get(token));
        let pairs = tokens.windows(2).map(|pair| self.pair(pair[0], pair[1]));
        known.copied().chain(pairs).collect()
    }

    fn pair(&self, first: &str, second: &str) -> usize {
        let first = fnv1a(self.pair_start, first.as_bytes());
        let key = fnv1a(fnv1a(first, b" "), second.as_bytes());
        self.words.len() + (key % self.buckets as u64) as usize
    }

    fn mean(&self, rows: &[usize]) -> Vec<f32> {
        let mut sum = vec![0.0; self.dim];
        rows.iter().for_each(|&row| add(&mut sum, 1.0, &self.input[row * self.dim..][..self.dim]));
        let share = 1.0 / rows.len() as f32;
        sum.iter_mut().for_each(|sum| *sum *= share);
        sum
    }
}

fn probabilities(output: &[f32], hidden: &[f32]) -> Vec<f32> {
    let row = |row: &[f32]| row.iter().zip(hidden).map(|(w, h)| w * h).sum();
    softmax(&output.chunks_exact(hidden.len()).map(row).collect::<Vec<f32>>(), 1.0)
}

/// Runs of word characters and single other marks of a lower-cased text, and [`END`].
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if !first.is_whitespace() {
            tokens.push(token);
        }
        rest = after;
    }
    tokens.push(END);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_words_marks_and_the_end() {
        let expected = ["it", "'", "s", "#", "39", ";", "été", "!", "!", END];
        assert_eq!(tokens("it's\t#39; été!!"), expected);
        assert_eq!(tokens(""), [END]);
    }

    /// Neither word alone tells the class, the pair does.
    const PAIRS: [(usize, &str); 4] =
        [(0, "not good"), (1, "very good"), (1, "not bad"), (0, "very bad")];

    fn options(seed: u64) -> FastTextOptions {
        FastTextOptions { buckets: 1000, epochs: 400, seed, ..FastTextOptions::default() }
    }

    #[test]
    fn word_pairs_are_learned() {
        let model = train_fasttext(&PAIRS, 2, options(0));
        for (class, text) in PAIRS {
            let p = model.predict(text);
            assert!(p[class] > 0.9, "{text}: {p:?}");
            assert!((p[0] + p[1] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_seed_gives_one_model() {
        let bits = |seed| -> Vec<u32> {
            let model = train_fasttext(&PAIRS, 2, options(seed));
            (model.input.iter().chain(&model.output)).map(|x| x.to_bits()).collect()
        };
        assert_eq!(bits(1), bits(1));
        assert_ne!(bits(1), bits(2));
    }

    #[test]
    fn unknown_words_still_give_probabilities() {
        let model = train_fasttext(&PAIRS, 2, options(0));
        for text in ["", "zzz", "?"] {
            let sum: f32 = model.predict(text).iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{text}");
        }
    }

    #[test]
    fn bytes_count_rows_and_words() {
        let model = train_fasttext(&PAIRS, 2, options(0));
        // not, good, very, bad, </s>: 5 rows and 23 bytes of names with their ends.
        let parameters = (5 + 1000) * 10 + 2 * 10;
        assert_eq!(model.size(), (parameters, 4 * parameters + 23));
    }
}
