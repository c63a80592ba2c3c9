//! Vocabulary selection: the n-grams of the training part that tell the classes apart best.

use crate::corpus::{Part, Text};
use crate::loss::softmax;
use qdllm_runtime::token::grams;
use qdllm_runtime::vocab::{bucket_bits_for, key};
use std::collections::HashMap;

/// Different n-grams counted before those seen once are dropped: bounds the memory on large files.
const MOST_COUNTED: usize = 3_000_000;

/// Counts in how many training texts of each class an n-gram occurs.
#[derive(Debug)]
pub struct Counter {
    classes: usize,
    bigrams: bool,
    bucket_bits: u8,
    places: HashMap<u32, u32>,
    counts: Vec<f32>,
    texts: Vec<f64>,
    keys: Vec<u32>,
}

impl Counter {
    /// A counter for a vocabulary of `rows` rows.
    pub fn new(classes: usize, rows: usize, bigrams: bool) -> Self {
        Self {
            classes,
            bigrams,
            bucket_bits: bucket_bits_for(rows),
            places: HashMap::new(),
            counts: Vec::new(),
            texts: vec![0.0; classes],
            keys: Vec::new(),
        }
    }

    /// Counts a text if it belongs to training: by its label, else by the teacher's probabilities.
    pub fn add(&mut self, text: &Text<'_>) {
        if text.part == Part::Valid {
            return;
        }
        let shares = match (text.label, text.teacher) {
            (Some(label), _) => {
                let mut one = vec![0.0; self.classes];
                one[label] = 1.0;
                one
            }
            (None, Some(logits)) => softmax(logits, 1.0),
            (None, None) => return,
        };
        self.keys.clear();
        self.keys
            .extend(grams(text.text, self.bigrams).map(|g| key(g.hash, self.bucket_bits)));
        self.keys.sort_unstable();
        self.keys.dedup();
        for &k in &self.keys {
            let next = (self.counts.len() / self.classes) as u32;
            let place = *self.places.entry(k).or_insert(next) as usize * self.classes;
            if place == self.counts.len() {
                self.counts.resize(place + self.classes, 0.0);
            }
            for (sum, share) in self.counts[place..].iter_mut().zip(&shares) {
                *sum += share;
            }
        }
        self.texts
            .iter_mut()
            .zip(&shares)
            .for_each(|(sum, &share)| *sum += f64::from(share));
        if self.places.len() > MOST_COUNTED {
            self.drop_rare();
        }
    }

    /// Different n-grams counted.
    pub fn found(&self) -> usize {
        self.places.len()
    }

    /// The keys of the `rows` n-grams with the largest chi-squared statistic, ascending.
    ///
    /// The statistic is that of the 2x2 table (n-gram present, class) and the largest over the
    /// classes; equal ones by key.
    pub fn select(&self, rows: usize) -> Vec<u32> {
        let mut ranked: Vec<(f64, u32)> = self
            .places
            .iter()
            .map(|(&k, &place)| (self.score(place as usize), k))
            .collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut keys: Vec<u32> = ranked.into_iter().take(rows).map(|(_, k)| k).collect();
        keys.sort_unstable();
        keys
    }

    fn score(&self, place: usize) -> f64 {
        let counts = &self.counts[place * self.classes..(place + 1) * self.classes];
        let all: f64 = self.texts.iter().sum();
        let present: f64 = counts.iter().map(|&c| f64::from(c)).sum();
        let statistic = |(&count, &class): (&f32, &f64)| {
            let a = f64::from(count);
            let (b, c) = (present - a, class - a);
            let d = all - class - b;
            let product = class * (all - class) * present * (all - present);
            if product > 0.0 {
                all * (a * d - b * c).powi(2) / product
            } else {
                0.0
            }
        };
        counts
            .iter()
            .zip(&self.texts)
            .map(statistic)
            .fold(0.0, f64::max)
    }

    fn drop_rare(&mut self) {
        let mut kept: Vec<(u32, u32)> = self.places.drain().collect();
        // In the order of first occurrence, so that the result does not depend on the hash map.
        kept.sort_unstable_by_key(|&(_, place)| place);
        let mut counts = Vec::new();
        for (k, place) in kept {
            let at = place as usize * self.classes;
            let row = &self.counts[at..at + self.classes];
            if row.iter().sum::<f32>() > 1.5 {
                self.places.insert(k, (counts.len() / self.classes) as u32);
                counts.extend_from_slice(row);
            }
        }
        self.counts = counts;
    }
}
