//! Texts as vocabulary rows, labels and soft labels: what training holds in memory, about 40 bytes
//! a short text.

use crate::data::corpus::Text;
use crate::student::backprop::Sample;
use qdllm_runtime::text::ngram::{GramKinds, grams};
use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};
use std::collections::HashMap;

/// The selected vocabulary on the host: key to row.
#[derive(Clone, Debug)]
pub struct HostVocab {
    rows: HashMap<u32, u16>,
    kinds: GramKinds,
    bucket_bits: u8,
}

impl HostVocab {
    /// A vocabulary of ascending keys; row `i` belongs to `keys[i]`.
    pub fn new(keys: &[u32], kinds: GramKinds) -> Self {
        Self {
            rows: keys.iter().zip(0..).map(|(&k, row)| (k, row)).collect(),
            kinds,
            bucket_bits: bucket_bits_for(keys.len()),
        }
    }

    /// The rows of a text's n-grams, in order and with repeats.
    pub fn rows<'t>(&'t self, text: &'t str) -> impl Iterator<Item = u16> + 't {
        grams(text, self.kinds)
            .filter_map(|g| self.rows.get(&key(g.hash, self.bucket_bits)).copied())
    }
}

const NO_LABEL: u8 = u8::MAX;
const NO_TEACHER: u32 = u32::MAX;

/// Encoded texts.
#[derive(Debug)]
pub struct Encoded {
    classes: usize,
    ends: Vec<u32>,
    rows: Vec<u16>,
    labels: Vec<u8>,
    teacher_at: Vec<u32>,
    teacher: Vec<f32>,
}

impl Encoded {
    /// No texts yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            ends: Vec::new(),
            rows: Vec::new(),
            labels: Vec::new(),
            teacher_at: Vec::new(),
            teacher: Vec::new(),
        }
    }

    /// Adds a text.
    pub fn push(&mut self, vocab: &HostVocab, text: &Text<'_>) {
        self.rows.extend(vocab.rows(text.text));
        self.ends.push(self.rows.len() as u32);
        self.labels.push(text.label.map_or(NO_LABEL, |l| l as u8));
        self.teacher_at.push(match text.teacher {
            Some(logits) => {
                let at = self.teacher.len() / self.classes;
                self.teacher.extend_from_slice(logits);
                at as u32
            }
            None => NO_TEACHER,
        });
    }

    /// Texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Text `i` for a batch; `dropout_key` as in [`Sample`].
    pub fn sample(&self, i: usize, dropout_key: Option<u64>) -> Sample<'_> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        let at = self.teacher_at[i] as usize * self.classes;
        Sample {
            rows: &self.rows[start..self.ends[i] as usize],
            label: (self.labels[i] != NO_LABEL).then_some(self.labels[i] as usize),
            teacher: (self.teacher_at[i] != NO_TEACHER)
                .then(|| &self.teacher[at..at + self.classes]),
            dropout_key,
        }
    }

    /// All texts, nothing dropped.
    pub fn samples(&self) -> Vec<Sample<'_>> {
        (0..self.len()).map(|i| self.sample(i, None)).collect()
    }
}
