//! Vocabulary selection: the n-grams of the training part that tell the classes apart best, by chi-squared or by their
//! weight in a logistic regression on all n-grams. The regression also teaches a student where nobody else does.
//!
//! Where n-grams overlap (a word, its prefix, its pairs) chi-squared picks the same evidence several
//! times; a regression shares it out. Texts are unit vectors of `idf = 1 + ln(texts / occurring)`;
//! the objective is `|w|^2 / 2 + sum of cross-entropies`, descended by `AdaGrad` on the n-grams that
//! occur, so that the cost grows with the texts and not with the vocabulary. It is none of `regression::logistic`: its
//! few passes decide which n-grams are chosen, a minimum would choose others.

use crate::data::corpus::{Part, Text};
use crate::numeric::{Ragged, add, softmax};
use qdllm_runtime::text::ngram::{GramKinds, grams};
use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};
use std::collections::HashMap;
use std::mem::take;

/// Keys of n-grams and the rows that they stand for.
#[derive(Clone, Debug)]
pub struct HostVocab {
    rows: HashMap<u32, u32>,
    kinds: GramKinds,
    bucket_bits: u8,
}

impl HostVocab {
    /// Of ascending keys as a vocabulary of `size` rows has them; row `i` belongs to `keys[i]`.
    pub fn new(keys: &[u32], size: usize, kinds: GramKinds) -> Self {
        let rows = keys.iter().zip(0..).map(|(&key, row)| (key, row)).collect();
        Self { rows, kinds, bucket_bits: bucket_bits_for(size) }
    }

    /// The rows of a text's n-grams, in order and with repeats.
    pub fn rows<'t>(&'t self, text: &'t str) -> impl Iterator<Item = u16> + 't {
        let keys = keys(text, self.kinds, self.bucket_bits);
        keys.filter_map(|key| self.rows.get(&key).map(|&row| row as u16))
    }

    /// The rows of a text's different n-grams, by ascending key.
    pub fn different(&self, text: &str) -> impl Iterator<Item = u32> {
        let keys = different_keys(text, self.kinds, self.bucket_bits);
        keys.into_iter().filter_map(|key| self.rows.get(&key).copied())
    }
}

fn keys(text: &str, kinds: GramKinds, bucket_bits: u8) -> impl Iterator<Item = u32> {
    let short = move |hash| if bucket_bits == WHOLE_HASH { hash } else { key(hash, bucket_bits) };
    grams(text, kinds).map(move |g| short(g.hash))
}

/// The different keys of a text's n-grams, ascending.
fn different_keys(text: &str, kinds: GramKinds, bucket_bits: u8) -> Vec<u32> {
    let mut keys: Vec<u32> = keys(text, kinds, bucket_bits).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Training texts in which an n-gram must occur to be selected.
const LEAST_TEXTS: f32 = 2.0;
/// Different n-grams counted before those seen once are dropped: bounds the memory on large files.
const MOST_COUNTED: usize = 3_000_000;

/// In place of bucket bits: keys are whole hashes.
const WHOLE_HASH: u8 = 16;

/// Counts in how many training texts of each class an n-gram occurs.
pub struct Counter {
    classes: usize,
    kinds: GramKinds,
    bucket_bits: u8,
    places: HashMap<u32, u32>,
    counts: Vec<f32>,
    texts: Vec<f64>,
}

impl Counter {
    pub fn new(classes: usize, rows: usize, kinds: GramKinds) -> Self {
        Self {
            classes,
            kinds,
            bucket_bits: bucket_bits_for(rows),
            places: HashMap::new(),
            counts: Vec::new(),
            texts: vec![0.0; classes],
        }
    }

    /// Of whole hashes: no key is cut short.
    pub fn of_whole_hashes(classes: usize, kinds: GramKinds) -> Self {
        Self { bucket_bits: WHOLE_HASH, ..Self::new(classes, 0, kinds) }
    }

    /// Counts a text if it belongs to training: by its label, else by the teacher's probabilities.
    pub fn add(&mut self, text: &Text<'_>) {
        let Some(shares) = shares(text, self.classes) else { return };
        for k in different_keys(text.text, self.kinds, self.bucket_bits) {
            let next = (self.counts.len() / self.classes) as u32;
            let place = *self.places.entry(k).or_insert(next) as usize * self.classes;
            if place == self.counts.len() {
                self.counts.resize(place + self.classes, 0.0);
            }
            add(&mut self.counts[place..], 1.0, &shares);
        }
        self.texts.iter_mut().zip(&shares).for_each(|(sum, &share)| *sum += f64::from(share));
        if self.places.len() > MOST_COUNTED {
            let mut kept: Vec<(u32, u32)> = self.places.drain().collect();
            // In the order of first occurrence, so that the result does not depend on the hash map.
            kept.sort_unstable_by_key(|&(_, place)| place);
            let mut counts = Vec::new();
            for (k, place) in kept {
                if is_frequent(self.row(place)) {
                    self.places.insert(k, (counts.len() / self.classes) as u32);
                    counts.extend_from_slice(self.row(place));
                }
            }
            self.counts = counts;
        }
    }

    /// N-grams that occur in at least two texts, ascending: what may be selected.
    pub fn candidates(&self) -> Vec<u32> {
        let mut keys: Vec<u32> = self.frequent().map(|(key, _)| key).collect();
        keys.sort_unstable();
        keys
    }

    fn frequent(&self) -> impl Iterator<Item = (u32, &[f32])> {
        let counts = |(&key, &place): (&u32, &u32)| (key, self.row(place));
        self.places.iter().map(counts).filter(|(_, counts)| is_frequent(counts))
    }

    fn row(&self, place: u32) -> &[f32] {
        &self.counts[place as usize * self.classes..][..self.classes]
    }

    /// The keys of the `rows` n-grams with the largest chi-squared statistic, ascending.
    ///
    /// The statistic compares in how many texts of each class an n-gram occurs with how many there
    /// would be if it did not care for the class; equal ones go by key.
    pub fn select(&self, rows: usize) -> Vec<u32> {
        best(self.frequent().map(|(key, counts)| (self.statistic(counts), key)).collect(), rows)
    }

    fn statistic(&self, counts: &[f32]) -> f64 {
        let all: f64 = self.texts.iter().sum();
        let present: f64 = counts.iter().map(|&c| f64::from(c)).sum();
        counts
            .iter()
            .zip(&self.texts)
            .map(|(&observed, &class)| {
                let expected = present * class / all;
                if expected > 0.0 {
                    (f64::from(observed) - expected).powi(2) / expected
                } else {
                    0.0
                }
            })
            .sum()
    }
}

fn is_frequent(counts: &[f32]) -> bool {
    counts.iter().sum::<f32>() > LEAST_TEXTS - 0.5
}

/// How much of a training text counts for each class: its label, else the teacher's probabilities.
fn shares(text: &Text<'_>, classes: usize) -> Option<Vec<f32>> {
    match (text.part, text.label, text.teacher) {
        (Part::Train, Some(label), _) => {
            Some((0..classes).map(|c| f32::from(u8::from(c == label))).collect())
        }
        (Part::Train, None, Some(logits)) => Some(softmax(logits, 1.0)),
        _ => None,
    }
}

/// The `rows` keys with the largest scores, ascending.
fn best(mut ranked: Vec<(f64, u32)>, rows: usize) -> Vec<u32> {
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut keys: Vec<u32> = ranked.into_iter().take(rows).map(|(_, k)| k).collect();
    keys.sort_unstable();
    keys
}

/// Passes over the texts: the ranking no longer moves after these.
const EPOCHS: usize = 12;
const RATE: f32 = 0.5;

/// A logistic regression on the candidates of every training text.
pub struct Regression {
    keys: Vec<u32>,
    candidates: HostVocab,
    occurrences: Vec<u32>,
    /// The texts to fit to, and what each counts for; none when it is fitted.
    texts: Ragged<u32>,
    shares: Vec<f32>,
    idf: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Regression {
    /// Weighs `keys` (ascending) for a vocabulary of `rows` rows.
    pub fn new(classes: usize, rows: usize, kinds: GramKinds, keys: Vec<u32>) -> Self {
        Self {
            candidates: HostVocab::new(&keys, rows, kinds),
            occurrences: vec![0; keys.len()],
            texts: Ragged::default(),
            shares: Vec::new(),
            idf: Vec::new(),
            weights: vec![0.0; keys.len() * classes],
            bias: vec![0.0; classes],
            keys,
        }
    }

    /// Adds a text if it belongs to training.
    pub fn add(&mut self, text: &Text<'_>) {
        let Some(shares) = shares(text, self.bias.len()) else { return };
        let places = self.candidates.different(text.text);
        self.texts.push(places.inspect(|&place| self.occurrences[place as usize] += 1));
        self.shares.extend(shares);
    }

    pub fn fit(mut self) -> Self {
        let (texts, shares) = (take(&mut self.texts), take(&mut self.shares));
        let Self { occurrences, idf, weights, bias, .. } = &mut self;
        let (count, classes) = (texts.rows() as f32, bias.len());
        idf.extend(occurrences.iter().map(|&n| 1.0 + (count / n.max(1) as f32).ln()));
        let mut squares = vec![1e-6_f32; weights.len()];
        for epoch in 0..EPOCHS {
            // A fixed stride visits every text once in a scattered order.
            for text in scattered(texts.rows(), epoch) {
                let text_vector = unit(texts.row(text), idf);
                let mut slope = softmax(&logits(&text_vector, weights, bias), 1.0);
                let shares = &shares[text * classes..];
                slope.iter_mut().zip(shares).for_each(|(s, share)| *s -= share);
                bias.iter_mut().zip(&slope).for_each(|(b, s)| *b -= 0.01 * s);
                for (g, x) in text_vector {
                    // The penalty of a weight is shared out over the texts in which it occurs.
                    let shrink = 1.0 / occurrences[g as usize] as f32;
                    for (class, s) in slope.iter().enumerate() {
                        let i = g as usize * classes + class;
                        let gradient = x * s + shrink * weights[i];
                        squares[i] += gradient * gradient;
                        weights[i] -= RATE * gradient / squares[i].sqrt();
                    }
                }
            }
        }
        self
    }

    /// The keys of the `rows` n-grams with the largest `|w| idf sqrt(occurring)`, ascending; `|w|` is
    /// the length of an n-gram's weights around their mean over the classes.
    pub fn select(&self, rows: usize) -> Vec<u32> {
        let classes = self.bias.len();
        let score = |place: usize| {
            let w = &self.weights[place * classes..(place + 1) * classes];
            let mean = w.iter().sum::<f32>() / classes as f32;
            let length = w.iter().map(|w| (w - mean).powi(2)).sum::<f32>().sqrt();
            f64::from(length * self.idf[place] * (self.occurrences[place] as f32).sqrt())
        };
        best(self.keys.iter().enumerate().map(|(i, &key)| (score(i), key)).collect(), rows)
    }

    pub fn logits(&self, text: &str) -> Vec<f32> {
        let grams: Vec<u32> = self.candidates.different(text).collect();
        logits(&unit(&grams, &self.idf), &self.weights, &self.bias)
    }
}

/// A text's unit vector: its n-grams, each with its share.
fn unit(grams: &[u32], idf: &[f32]) -> Vec<(u32, f32)> {
    let length = grams.iter().map(|&g| idf[g as usize].powi(2)).sum::<f32>().sqrt();
    grams.iter().map(|&g| (g, idf[g as usize] / length)).collect()
}

fn logits(text: &[(u32, f32)], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut logits = bias.to_vec();
    for &(g, x) in text {
        let row = &weights[g as usize * bias.len()..];
        add(&mut logits, x, row);
    }
    logits
}

/// 0..count in a scattered order that differs by epoch.
fn scattered(count: usize, epoch: usize) -> impl Iterator<Item = usize> {
    let coprime = |a: usize| {
        let (mut x, mut y) = (a, count);
        while y != 0 {
            (x, y) = (y, x % y);
        }
        x == 1
    };
    let golden = (count as f64 * 0.618_034) as usize + 2 * epoch + 1;
    let stride = (golden..).find(|&s| coprime(s)).unwrap_or(1);
    (0..count).map(move |i| (i * stride + epoch) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(texts: &[(usize, &str)], rows: usize) -> Counter {
        let mut counter = Counter::new(2, rows, GramKinds::default());
        for &(label, text) in texts {
            counter.add(&Text { part: Part::Train, label: Some(label), teacher: None, text });
        }
        counter
    }

    #[test]
    fn words_that_tell_classes_apart_come_first_and_rare_ones_never() {
        let texts = [(0, "red the a"), (0, "red the b"), (1, "blue the c"), (1, "blue the d")];
        let counter = counter(&texts, 2);
        assert_eq!(counter.candidates().len(), 3, "red, blue and the occur twice");
        let mut expected: Vec<u32> = grams("red blue", GramKinds::default())
            .map(|g| key(g.hash, bucket_bits_for(2)))
            .collect();
        expected.sort_unstable();
        assert_eq!(counter.select(2), expected);
    }

    #[test]
    fn validation_texts_are_not_counted() {
        let mut counter = counter(&[(0, "red"), (1, "red")], 1);
        for _ in 0..5 {
            counter.add(&Text { part: Part::Valid, label: Some(0), teacher: None, text: "blue" });
        }
        assert_eq!(counter.candidates().len(), 1);
    }

    #[test]
    fn every_text_is_visited_once() {
        for count in [1, 2, 10, 97, 1000] {
            let mut seen: Vec<usize> = scattered(count, 3).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn telling_words_outweigh_common_ones() {
        let kinds = GramKinds::default();
        let keyed = |text: &str| -> Vec<u32> {
            let mut keys: Vec<u32> =
                grams(text, kinds).map(|g| key(g.hash, bucket_bits_for(2))).collect();
            keys.sort_unstable();
            keys
        };
        let mut regression = Regression::new(2, 2, kinds, keyed("good bad the film"));
        for (label, text) in [(0, "the bad film"), (1, "the good film")].repeat(10) {
            regression.add(&Text { part: Part::Train, label: Some(label), teacher: None, text });
        }
        let regression = regression.fit();
        assert_eq!(regression.select(2), keyed("good bad"));
        let [bad, none, good] = ["a bad one", "", "good, good"].map(|text| regression.logits(text));
        assert!(bad[0] > bad[1] && good[1] > good[0], "{bad:?} {good:?}");
        // Both classes have as many texts; the last one seen leaves the bias a little to its side.
        assert!((none[0] - none[1]).abs() < 0.1, "{none:?}");
    }
}
