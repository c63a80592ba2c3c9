//! The front end `words`: n-grams of the selected vocabulary, each a row of 11 numbers; rows pooled, plus a bias.

use super::front_end::Shape;
use super::front_end::{Examples, FrontEnd, Sample, turn_slope};
use super::shape::Ansatz;
use super::vocabulary::{Counter, HostVocab, Regression};
use super::{Prepared, Student};
use crate::data::corpus::{Corpus, Part, Tally};
use crate::inference::Scratch;
use crate::numeric::add;
use crate::options::{Config, Criterion, HiddenLayer, StudentConfig, TrainingConfig};
use anyhow::{Result, ensure};
use qdllm_host::terminal::Progress;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::text::ngram::GramKinds;
use qdllm_runtime::text::pool::{Pool, ROW, RowBits};
use qdllm_runtime::{Error, Model, Prediction, QUBITS};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

#[derive(Clone, Debug)]
pub struct Words {
    pub keys: Vec<u32>,
    pub kinds: GramKinds,
    pub pool: Pool,
    pub row_bits: RowBits,
    pub row_spread: f32,
}

impl Words {
    /// Reads the files twice: to select the vocabulary, then to encode the texts.
    pub fn prepare(config: &Config, progress: &mut Progress) -> Result<Prepared<Self>> {
        let hidden = config.student.heart;
        let ansatz = match (&config.student.circuit, hidden) {
            (Some(path), HiddenLayer::Circuit) => Ansatz::read(path)?,
            _ => Ansatz::paper(),
        };
        let corpus = Corpus::open(&config.sources, progress)?;
        let classes = corpus.classes.len();
        let kinds = config.student.kinds();
        let (counter, candidates, tally) = count(config, &corpus, progress)?;
        let rows = config.student.rows.min(candidates.len());
        let by_weight = config.student.select == Criterion::Weight;
        let mut regression = None;
        if by_weight || config.training.regression {
            let mut own = Regression::new(classes, rows, kinds, candidates);
            corpus.each("weighing n-grams", progress, |text| own.add(&text))?;
            regression = Some(own.fit());
        }
        let keys = match &regression {
            Some(regression) if by_weight => regression.select(rows),
            _ => counter.select(rows),
        };
        drop(counter);
        let own_teacher = regression.filter(|_| config.training.regression);
        let front = Self {
            keys,
            kinds,
            pool: config.student.pool(),
            row_bits: config.student.row_bits(),
            row_spread: config.training.row_spread,
        };
        let vocab = front.vocabulary();
        let mut prepared = Prepared::new(Shape { front, classes, hidden, ansatz }, &corpus);
        corpus.each("encoding the texts", progress, |text| {
            let own = own_teacher.as_ref().filter(|_| text.part == Part::Train);
            let logits = own.filter(|_| text.teacher.is_none()).map(|own| own.logits(text.text));
            let (own, rows) = (logits.as_deref(), vocab.rows(text.text));
            prepared.add(&text, own, rows, || text.text.to_owned());
        })?;
        prepared.tally = tally;
        prepared.weigh(config)?;
        Ok(prepared)
    }

    pub fn vocabulary(&self) -> HostVocab {
        HostVocab::new(&self.keys, self.keys.len(), self.kinds)
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

/// Counts the n-grams of the training texts for a vocabulary as large as asked for, or as the texts allow.
fn count(
    config: &Config,
    corpus: &Corpus,
    progress: &mut Progress,
) -> Result<(Counter, Vec<u32>, Tally)> {
    let (mut rows, asked) = (config.student.rows, config.student.rows);
    loop {
        let mut counter = Counter::new(corpus.classes.len(), rows, config.student.kinds());
        let mut unspaced = 0;
        let tally = corpus.each("counting n-grams", progress, |text| {
            unspaced += u64::from(text.part == Part::Train && is_unspaced(text.text));
            counter.add(&text);
        })?;
        let candidates = counter.candidates();
        let (texts, found) = (tally.labelled + tally.soft_only, candidates.len());
        let scripts = if 2 * unspaced > texts { UNSPACED } else { "" };
        ensure!(
            found > 0,
            "no word occurs in two of the {texts} training texts, so there is nothing to learn from. {}",
            if scripts.is_empty() { "Give more texts, some dozens a class" } else { scripts }
        );
        // Fewer rows have shorter keys, by which the n-grams are counted again.
        if found < rows {
            rows = found;
            continue;
        }
        if rows < asked {
            let warning = if asked == StudentConfig::default().rows { "" } else { "warning: " };
            progress.say(&format!(
                "{warning}the {texts} training texts hold {rows} n-grams that occur at least twice: the vocabulary has {rows} rows, not {asked}"
            ));
        }
        if !scripts.is_empty() {
            progress.say(&format!("warning: {scripts}"));
        }
        return Ok((counter, candidates, tally));
    }
}

const UNSPACED: &str = "Most texts are in a script without spaces between words, such as Chinese, Japanese or Thai; what stands between two spaces or marks counts as one word here. Put spaces between the words first, with a segmenter";

/// Whether more than half of a text's letters are of a script that does not part words by spaces.
fn is_unspaced(text: &str) -> bool {
    let of = |c: &char| {
        matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
            | '\u{20000}'..='\u{3ffff}')
    };
    let letters = || text.chars().filter(|c| c.is_alphabetic());
    2 * letters().filter(of).count() > letters().count()
}

impl FrontEnd for Words {
    type Item = u16;
    type Probe = String;
    type Rounded = Quantised;

    /// f32 rounding in another order gives about 1e-6.
    const TOLERANCE: f32 = 1e-4;

    fn training(config: &Config, texts: usize) -> (TrainingConfig, bool) {
        (config.training_of(texts), true)
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
        by_angle.iter().zip(features).map(|(s, &x)| s * turn_slope(x)).collect()
    }

    fn features(&self, theta: &[f32], sample: &Sample<'_, u16>, dropout: f32) -> Vec<f32> {
        let bias = &theta[self.weights()..];
        let mut sums = [0.0_f32; QUBITS];
        let mut count = 0_u32;
        for row in Self::kept(sample, dropout) {
            add(&mut sums, 1.0, &theta[row * QUBITS..(row + 1) * QUBITS]);
            count += 1;
        }
        let divisor = self.pool.divisor(count);
        sums.iter().zip(bias).map(|(sum, bias)| sum / divisor + bias).collect()
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
                add(&mut gradient[row * QUBITS..(row + 1) * QUBITS], 1.0, &each);
            }
            add(&mut gradient[self.weights()..], 1.0, slope);
        }
    }

    fn round(&self, weights: &mut [f32]) -> Quantised {
        Quantised::round(weights, self.row_bits)
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

    fn fingerprint(&self, digest: &mut Sha256) {
        self.keys.iter().for_each(|key| digest.update(key.to_le_bytes()));
    }
}

impl Student<Words> {
    /// Calibrated probabilities of texts, one row a text, computed on the host.
    pub fn probabilities_of(&self, vocab: &HostVocab, texts: &[String]) -> Vec<Vec<f32>> {
        let mut examples = Examples::default();
        texts.iter().for_each(|text| examples.push(vocab.rows(text), None, None));
        self.probabilities(&examples.samples())
    }
}

/// A number in 0..1 that depends on key and index alone (`SplitMix64`, Steele et al. 2014).
fn chance(key: u64, index: u64) -> f32 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

/// Rows as integers of 4 or 8 bits: `value = integer * scale[dimension]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    pub rows: Vec<[i8; ROW]>,
    pub scale: [f32; ROW],
}

/// Fractions of the largest value that are tried as clipping bounds.
const CLIPS: [f32; 17] =
    [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2];

impl Quantised {
    /// Of `rows`, 11 numbers each, one after the other, with the scales that make the squared error least; `rows` become
    /// the numbers that the integers stand for.
    fn round(rows: &mut [f32], bits: RowBits) -> Self {
        let largest = match bits {
            RowBits::Four => 7.0,
            RowBits::Eight => 127.0,
        };
        let mut scale = [0.0; ROW];
        scale.par_iter_mut().enumerate().for_each(|(d, s)| *s = best_scale(rows, d, largest));
        let integers = rows.chunks_exact_mut(ROW).map(|row| {
            std::array::from_fn(|d| {
                let integer = nearest(row[d], scale[d], largest) as i8;
                row[d] = f32::from(integer) * scale[d];
                integer
            })
        });
        Self { rows: integers.collect(), scale }
    }
}

fn nearest(x: f32, scale: f32, largest: f32) -> f32 {
    (x / scale).round().clamp(-largest, largest)
}

fn best_scale(rows: &[f32], dimension: usize, largest: f32) -> f32 {
    let values = || rows.iter().skip(dimension).step_by(ROW);
    let most = values().fold(0.0_f32, |m, x| m.max(x.abs()));
    if most == 0.0 {
        return 1.0;
    }
    let error = |scale: f32| -> f64 {
        values().map(|&x| f64::from(x - nearest(x, scale, largest) * scale).powi(2)).sum()
    };
    let scales = CLIPS.iter().map(|clip| clip * most / largest);
    scales.min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(most / largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(rows: &[f32], rounded: &[f32]) -> f64 {
        rows.iter().zip(rounded).map(|(x, y)| f64::from(x - y).powi(2)).sum()
    }

    #[test]
    fn eight_bits_are_within_half_a_step_and_clipping_beats_the_full_range() {
        // A long tail: most values small, few large.
        let rows: Vec<f32> = (0..11 * 500).map(|i| ((i as f32 * 0.37).sin()).powi(9)).collect();
        let mut rounded = rows.clone();
        let eight = Quantised::round(&mut rounded, RowBits::Eight);
        for (i, (x, y)) in rows.iter().zip(&rounded).enumerate() {
            let bound = 127.0 * eight.scale[i % 11];
            assert!((x.clamp(-bound, bound) - y).abs() <= 0.5001 * eight.scale[i % 11]);
        }
        rounded.clone_from(&rows);
        let four = Quantised::round(&mut rounded, RowBits::Four);
        assert!(four.rows.iter().flatten().all(|x| (-7..=7).contains(x)));
        let most = rows.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let full = |&x: &f32| nearest(x, most / 7.0, 7.0) * (most / 7.0);
        let full: Vec<f32> = rows.iter().map(full).collect();
        assert!(error(&rows, &rounded) < error(&rows, &full));
    }

    #[test]
    fn a_dimension_of_zeros_keeps_a_finite_scale() {
        let q = Quantised::round(&mut [0.0; 22], RowBits::Four);
        assert_eq!((q.rows.len(), q.scale[3]), (2, 1.0));
    }
}
