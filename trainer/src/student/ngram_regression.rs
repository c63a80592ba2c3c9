//! A logistic regression on all n-grams of the training texts. It chooses a vocabulary by weight: kept are the
//! n-grams that carry most of its decisions. And it teaches a student where nobody else does.
//! It is none of `regression::logistic`: its few passes decide which n-grams are chosen, a minimum would choose others.
//!
//! Where n-grams overlap (a word, its prefix, its pairs) chi-squared picks the same evidence several
//! times; a regression shares it out. Texts are unit vectors of `idf = 1 + ln(texts / occurring)`;
//! the objective is `|w|^2 / 2 + sum of cross-entropies`, descended by `AdaGrad` on the n-grams that
//! occur, so that the cost grows with the texts and not with the vocabulary.

use super::vocabulary::{HostVocab, best, shares};
use crate::data::corpus::Text;
use crate::numeric::{Ragged, softmax};
use qdllm_runtime::text::ngram::GramKinds;

/// Passes over the texts: the ranking no longer moves after these.
const EPOCHS: usize = 12;
const RATE: f32 = 0.5;

/// The candidates of every training text, and what each text counts for.
#[derive(Debug)]
pub struct Weigher {
    classes: usize,
    keys: Vec<u32>,
    candidates: HostVocab,
    occurrences: Vec<u32>,
    texts: Ragged<u32>,
    shares: Vec<f32>,
}

impl Weigher {
    /// Weighs `keys` (ascending) for a vocabulary of `rows` rows.
    pub fn new(classes: usize, rows: usize, kinds: GramKinds, keys: Vec<u32>) -> Self {
        Self {
            classes,
            candidates: HostVocab::new(&keys, rows, kinds),
            occurrences: vec![0; keys.len()],
            keys,
            texts: Ragged::default(),
            shares: Vec::new(),
        }
    }

    /// Adds a text if it belongs to training.
    pub fn add(&mut self, text: &Text<'_>) {
        let Some(shares) = shares(text, self.classes) else { return };
        let places = self.candidates.different(text.text);
        self.texts.push(places.inspect(|&place| self.occurrences[place as usize] += 1));
        self.shares.extend(shares);
    }

    /// Fits the regression to the texts added.
    pub fn fit(self) -> Regression {
        let texts = self.texts.rows() as f32;
        let idf = |&n: &u32| 1.0 + (texts / n.max(1) as f32).ln();
        let idf: Vec<f32> = self.occurrences.iter().map(idf).collect();
        let (weights, bias) = self.descend(&idf);
        let Self { keys, candidates, occurrences, .. } = self;
        Regression { keys, candidates, occurrences, idf, weights, bias }
    }

    fn descend(&self, idf: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let classes = self.classes;
        let mut weights = vec![0.0_f32; idf.len() * classes];
        let mut squares = vec![1e-6_f32; weights.len()];
        let mut bias = vec![0.0_f32; classes];
        for epoch in 0..EPOCHS {
            // A fixed stride visits every text once in a scattered order.
            for text in scattered(self.texts.rows(), epoch) {
                let text_vector = unit(self.texts.row(text), idf);
                let mut slope = softmax(&logits(&text_vector, &weights, &bias), 1.0);
                let shares = &self.shares[text * classes..];
                slope.iter_mut().zip(shares).for_each(|(s, share)| *s -= share);
                bias.iter_mut().zip(&slope).for_each(|(b, s)| *b -= 0.01 * s);
                for (g, x) in text_vector {
                    // The penalty of a weight is shared out over the texts in which it occurs.
                    let shrink = 1.0 / self.occurrences[g as usize] as f32;
                    for (class, s) in slope.iter().enumerate() {
                        let i = g as usize * classes + class;
                        let gradient = x * s + shrink * weights[i];
                        squares[i] += gradient * gradient;
                        weights[i] -= RATE * gradient / squares[i].sqrt();
                    }
                }
            }
        }
        (weights, bias)
    }
}

#[derive(Debug)]
pub struct Regression {
    keys: Vec<u32>,
    candidates: HostVocab,
    occurrences: Vec<u32>,
    idf: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Regression {
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
        logits.iter_mut().zip(row).for_each(|(z, w)| *z += x * w);
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
    use crate::data::corpus::Part;
    use qdllm_runtime::text::ngram::grams;
    use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};

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
        let mut weigher = Weigher::new(2, 2, kinds, keyed("good bad the film"));
        for (label, text) in [(0, "the bad film"), (1, "the good film")].repeat(10) {
            weigher.add(&Text { part: Part::Train, label: Some(label), teacher: None, text });
        }
        let regression = weigher.fit();
        assert_eq!(regression.select(2), keyed("good bad"));
        let [bad, none, good] = ["a bad one", "", "good, good"].map(|text| regression.logits(text));
        assert!(bad[0] > bad[1] && good[1] > good[0], "{bad:?} {good:?}");
        // Both classes have as many texts; the last one seen leaves the bias a little to its side.
        assert!((none[0] - none[1]).abs() < 0.1, "{none:?}");
    }
}
