//! The front end `words`: n-grams of the selected vocabulary, each a row of 11 numbers; rows pooled, plus a bias.

use super::ansatz::Ansatz;
use super::distillation::{DistillError, PROBES, Prepared, Student};
use super::examples::{Examples, Sample};
use super::front_end::FrontEnd;
use super::ngram_regression::Weigher;
use super::quantise::{Quantised, quantise};
use super::recipe::Recipe;
use super::vocabulary::Counter;
use crate::data::corpus::{Corpus, Part};
use crate::options::{Config, Criterion, HiddenLayer};
use qdllm_host::terminal::Progress;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::text::ngram::{GramKinds, grams};
use qdllm_runtime::text::pool::{Pool, RowBits};
use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};
use qdllm_runtime::{Error, Model, Prediction, QUBITS, Scratch};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::f32::consts::PI;

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

#[derive(Clone, Debug)]
pub struct Words {
    pub keys: Vec<u32>,
    pub kinds: GramKinds,
    pub pool: Pool,
    pub row_bits: RowBits,
    /// Standard deviation of the rows at the start.
    pub row_spread: f32,
}

impl Words {
    /// Reads the files twice: to select the vocabulary, then to encode the texts.
    ///
    /// # Errors
    /// [`DistillError::Ansatz`], [`DistillError::Corpus`] or [`DistillError::VocabularyTooLarge`].
    pub fn prepare(
        config: &Config,
        progress: &mut Progress,
    ) -> Result<Prepared<Self>, DistillError> {
        let ansatz = match (&config.student.circuit, config.student.heart) {
            (Some(path), HiddenLayer::Circuit) => Ansatz::read(path)?,
            _ => Ansatz::paper(),
        };
        let corpus = Corpus::open(&config.sources, progress)?;
        let classes = corpus.classes().len();
        let (rows, kinds) = (config.student.rows, config.student.kinds());
        let mut counter = Counter::new(classes, rows, kinds);
        let tally = corpus.each("counting n-grams", progress, |text| counter.add(&text))?;
        let candidates = counter.candidates();
        if candidates.len() < rows {
            return Err(DistillError::VocabularyTooLarge {
                rows,
                texts: tally.labelled + tally.soft_only,
                found: candidates.len(),
            });
        }
        let by_weight = config.student.select == Criterion::Weight;
        let regression = if by_weight || config.training.regression {
            let mut weigher = Weigher::new(classes, rows, kinds, candidates);
            corpus.each("weighing n-grams", progress, |text| weigher.add(&text))?;
            Some(weigher.fit())
        } else {
            None
        };
        let keys = match &regression {
            Some(regression) if by_weight => regression.select(rows),
            _ => counter.select(rows),
        };
        drop(counter);
        let own_teacher = regression.filter(|_| config.training.regression);
        let vocab = HostVocab::new(&keys, kinds);
        let (mut texts, mut valid) = (Examples::new(classes), Examples::new(classes));
        let mut probes = Vec::new();
        corpus.each("encoding the texts", progress, |text| match text.part {
            Part::Train => match own_teacher.as_ref().filter(|_| text.teacher.is_none()) {
                Some(regression) => {
                    texts.push(vocab.rows(text.text), None, Some(&regression.logits(text.text)));
                }
                None => texts.push(vocab.rows(text.text), text.label, text.teacher),
            },
            Part::Valid => {
                valid.push(vocab.rows(text.text), text.label, text.teacher);
                if probes.len() < PROBES {
                    probes.push(text.text.to_owned());
                }
            }
        })?;
        let front = Self {
            keys,
            kinds,
            pool: config.student.pool(),
            row_bits: config.student.row_bits(),
            row_spread: config.training.row_spread,
        };
        Ok(Prepared::new(front, ansatz, &corpus, tally, texts, valid, probes))
    }

    pub fn vocabulary(&self) -> HostVocab {
        HostVocab::new(&self.keys, self.kinds)
    }

    /// The rows of a sample that this pass keeps.
    fn kept<'a>(
        sample: &Sample<'a, u16>,
        dropout: f32,
    ) -> impl Iterator<Item = usize> + Clone + use<'a> {
        let key = sample.dropout_key;
        sample.input.iter().enumerate().filter_map(move |(i, &row)| {
            let drops = key.is_some_and(|key| chance(key, i as u64) < dropout);
            (!drops).then_some(row as usize)
        })
    }
}

impl FrontEnd for Words {
    type Item = u16;
    type Probe = String;
    type Rounded = Quantised;

    /// f32 rounding in another order gives about 1e-6.
    const TOLERANCE: f32 = 1e-4;

    fn recipe(config: &Config) -> Recipe {
        let training = &config.training;
        Recipe {
            seed: training.seed,
            batch_size: training.batch_size,
            patience: training.patience,
            dropout: training.dropout,
            weight_decay: training.weight_decay,
            lr: training.lr,
            circuit_lr: training.circuit_lr,
            falls: true,
            smoothing: training.smoothing,
            alpha: training.alpha,
            temperature: training.temperature,
        }
    }

    fn hidden(config: &Config) -> HiddenLayer {
        config.student.heart
    }

    fn weights(&self) -> usize {
        self.keys.len() * QUBITS
    }

    fn initial_bound(&self) -> f32 {
        // An even spread of +-sqrt(3) d has the standard deviation d.
        3.0_f32.sqrt() * self.row_spread
    }

    fn squash(&self) -> Squash {
        Squash::PiTanh
    }

    fn through_squash(&self, features: &[f32], by_angle: &[f32]) -> Vec<f32> {
        // The order of the factors decides the last bit, and so the bytes of the model.
        let slope = |x: f32| PI * (1.0 - libm::tanhf(x).powi(2));
        by_angle.iter().zip(features).map(|(s, &x)| s * slope(x)).collect()
    }

    fn features(&self, theta: &[f32], sample: &Sample<'_, u16>, dropout: f32) -> Vec<f32> {
        let bias = &theta[self.weights()..];
        let mut sums = [0.0_f32; QUBITS];
        let mut count = 0_u32;
        for row in Self::kept(sample, dropout) {
            add(&mut sums, &theta[row * QUBITS..(row + 1) * QUBITS]);
            count += 1;
        }
        let divisor = self.pool.divisor(count);
        sums.iter().zip(bias).map(|(sum, bias)| sum / divisor + bias).collect()
    }

    fn group_gradient(&self, _: &[Sample<'_, u16>], slopes: Vec<f32>, _: f32) -> Vec<f32> {
        slopes
    }

    /// Adds each sample's feature slope to its rows and to the bias.
    fn accumulate(
        &self,
        samples: &[Sample<'_, u16>],
        slopes: &[f32],
        dropout: f32,
        gradient: &mut [f32],
    ) {
        for (slope, sample) in slopes.chunks_exact(QUBITS).zip(samples) {
            let kept = Self::kept(sample, dropout);
            let share = 1.0 / self.pool.divisor(kept.clone().count() as u32);
            let each: Vec<f32> = slope.iter().map(|s| s * share).collect();
            for row in kept {
                add(&mut gradient[row * QUBITS..(row + 1) * QUBITS], &each);
            }
            add(&mut gradient[self.weights()..], slope);
        }
    }

    fn round(&self, weights: &mut [f32]) -> Quantised {
        let rounded = quantise(weights, self.row_bits);
        weights.copy_from_slice(&rounded.values());
        rounded
    }

    fn parts(&self, rounded: &Quantised, _: &[f32], bias: &[f32]) -> FrontEndParts {
        FrontEndParts::Words {
            kinds: self.kinds,
            pool: self.pool,
            keys: self.keys.clone(),
            row_bits: self.row_bits,
            rows: rounded.rows.clone(),
            scale: rounded.scale,
            bias: std::array::from_fn(|i| bias[i]),
        }
    }

    fn classify<'s>(
        model: &Model<'_>,
        text: &String,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        model.classify(text, scratch)
    }

    fn name(_: usize, text: &String) -> String {
        text.clone()
    }

    fn design(_: &Config) -> Option<&'static str> {
        None
    }

    fn fingerprint(&self, digest: &mut Sha256) {
        self.keys.iter().for_each(|key| digest.update(key.to_le_bytes()));
    }
}

impl Student<Words> {
    /// Calibrated probabilities of texts, one row a text, computed on the host.
    pub fn probabilities_of(&self, vocab: &HostVocab, texts: &[String]) -> Vec<Vec<f32>> {
        let rows: Vec<Vec<u16>> = texts.iter().map(|t| vocab.rows(t).collect()).collect();
        self.probabilities(rows.iter().map(Vec::as_slice))
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
}

/// A number in 0..1 that depends on key and index alone (`SplitMix64`, Steele et al. 2014).
fn chance(key: u64, index: u64) -> f32 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}
