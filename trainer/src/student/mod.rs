//! The student: front end, circuit and head, how they are trained, and how they become a model file.
//!
//! A front end ([`words`], [`dense`]) reads texts ([`Prepared`]); [`Prepared::distill`] trains ([`train`]),
//! rounds and calibrates a [`Student`]; [`export`](mod@export) writes the file.

pub mod backprop;
pub mod compact;
pub mod dense;
pub mod export;
pub mod front_end;
pub mod left_out;
pub mod reject;
pub mod run;
pub mod shape;
pub mod train;
pub mod vocabulary;
pub mod words;

use crate::data::corpus::{Corpus, Part, Tally, Text};
use crate::data::soft::TeacherInfo;
use crate::numeric::{golden_section, log_sum_exp, softmax};
use crate::options::Config;
use anyhow::Result;
use backprop::Batcher;
use front_end::Shape;
use front_end::{Examples, FrontEnd, Mark, Sample};
use qdllm_host::hex::encode as hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use train::{Judgement, Moment, Resume, Training};

/// Validation texts kept as they are, to fit the rule of rejection.
const PROBES: usize = 4096;
/// So many of them compare the exported model with the trained one.
const COMPARED: usize = 256;

/// Share of an even share of the texts under which a class is called rare.
const RARE: f64 = 0.1;

/// The texts of a run, as a front end reads them.
pub struct Prepared<F: FrontEnd> {
    pub shape: Shape<F>,
    pub classes: Vec<String>,
    /// How many rows of the labelled files are of each class.
    pub counts: Vec<u64>,
    pub texts: Examples<F::Item>,
    pub valid: Examples<F::Item>,
    /// One a training text.
    pub marks: Vec<Mark>,
    /// The first of the validation texts, as the model file takes them.
    pub probes: Vec<F::Probe>,
    pub tally: Tally,
    /// Share of the validation texts that a linear head on the same features decides right, where one was fitted.
    pub linear: Option<f64>,
    /// Where the front end has seen to it itself: which texts are decided wrongly with the teacher and without, if that is
    /// asked.
    pub judged: Option<Option<[Vec<f64>; 2]>>,
    pub data_digest: String,
    /// Who made the soft labels, and the digest of their file.
    pub teacher: Option<(TeacherInfo, String)>,
}

pub struct Student<F: FrontEnd> {
    pub shape: Shape<F>,
    /// Parameters, the front end's weights already at their rounded values.
    pub theta: Vec<f32>,
    pub rounded: F::Rounded,
    pub summary: Summary,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub tally: Tally,
    pub epoch: usize,
    pub before: Judgement,
    pub after: Judgement,
    pub temperature: f32,
}

impl<F: FrontEnd> Prepared<F> {
    /// A run over a corpus, its texts still to be added.
    fn new(shape: Shape<F>, corpus: &Corpus) -> Self {
        let (classes, counts) = (corpus.classes.clone(), corpus.counts.clone());
        let teacher = corpus.soft.as_ref().map(|soft| (soft.teacher.clone(), hex(soft.digest)));
        let data_digest = corpus.digest.clone();
        let (texts, valid) = (Examples::default(), Examples::default());
        let (marks, probes, tally) = (Vec::new(), Vec::new(), Tally::default());
        Self {
            shape,
            classes,
            counts,
            texts,
            valid,
            marks,
            probes,
            tally,
            linear: None,
            judged: None,
            data_digest,
            teacher,
        }
    }

    /// Adds a text; `own` answers in its label's place.
    fn add(
        &mut self,
        text: &Text<'_>,
        own: Option<&[f32]>,
        input: impl IntoIterator<Item = F::Item>,
        probe: impl FnOnce() -> F::Probe,
    ) {
        let label = text.label.filter(|_| own.is_none());
        if text.part == Part::Train {
            self.texts.push(input, label, own.or(text.teacher));
            self.marks.push(Mark::new(text.label, text.text));
            return;
        }
        self.valid.push(input, label, text.teacher);
        if self.probes.len() < PROBES {
            self.probes.push(probe());
        }
    }

    /// Digest of the settings and of everything read: what a checkpoint belongs to.
    pub fn fingerprint(&self, config: &Config) -> String {
        let mut digest = Sha256::new_with_prefix(config.recipe());
        digest.update(&self.data_digest);
        digest.update(self.shape.ansatz.qasm.as_deref().unwrap_or_default());
        digest.update(self.teacher.as_ref().map_or("", |(_, digest)| digest));
        self.shape.front.fingerprint(&mut digest);
        self.texts.weights.iter().for_each(|weight| digest.update(weight.to_le_bytes()));
        digest.update((self.texts.count() as u64).to_le_bytes());
        digest.update((self.valid.count() as u64).to_le_bytes());
        hex(digest.finalize())
    }

    /// Puts what a text of each class weighs beside the texts.
    fn weigh(&mut self, config: &Config) -> Result<()> {
        let weights = config.training.class_weights.of(&self.classes, &self.class_sums())?;
        self.valid.weights.clone_from(&weights);
        self.texts.weights = weights;
        Ok(())
    }

    /// Training texts of each class, a teacher's shared out.
    fn class_sums(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.classes.len()];
        self.texts.samples().iter().for_each(|sample| sample.share_out(&mut sums));
        sums
    }

    /// What is to be said of the weights, or of a class that may be too rare without.
    pub fn weights_note(&self) -> Option<String> {
        let sums = self.class_sums();
        let named = self.classes.iter().zip(&self.texts.weights);
        let weights: Vec<String> = named.map(|(name, w)| format!("{name} {w:.3}")).collect();
        if !weights.is_empty() {
            return Some(format!("a text of each class weighs: {}", weights.join(", ")));
        }
        let (class, least) = sums.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
        let share = least / sums.iter().sum::<f64>();
        let name = &self.classes[class];
        (share * (sums.len() as f64) < RARE).then(|| {
            format!(
                "class `{name}` has {:.2}% of the training texts, less than a tenth of an even share, and may never be predicted; --class-weights balanced makes each class count the same",
                100.0 * share
            )
        })
    }

    /// Training texts of each class.
    fn class_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.classes.len()];
        let samples = self.texts.samples();
        samples.iter().filter_map(Sample::class).for_each(|class| counts[class] += 1);
        counts
    }

    /// Texts that training passes over, repeats counted.
    pub fn passes(&self, config: &Config) -> u64 {
        (F::training(config, self.texts.count()).0.epochs * self.texts.count()) as u64
    }

    /// Trains, rounds and calibrates a student on the prepared texts.
    pub fn distill(
        &self,
        config: &Config,
        resume: Option<Resume>,
        observe: impl FnMut(Moment<'_>),
    ) -> Result<Student<F>> {
        let Self { shape, texts, valid, .. } = self;
        let training = Training::new(shape, config, texts, valid);
        let (mut theta, epoch) = training.run(resume, observe)?;
        let before = training.judge(&theta);
        let mut rounded = shape.front.round(&mut theta[shape.weight_range()]);
        F::round_circuit(shape, &mut theta, texts, &mut rounded);
        let after = training.judge(&theta);
        let samples = valid.samples();
        let logits = Batcher::new(shape, &theta, 0.0).logits(&samples);
        let pairs: Vec<(Vec<f32>, usize)> =
            logits.into_iter().zip(&samples).filter_map(|(z, s)| Some((z, s.class()?))).collect();
        let temperature = temperature(&pairs);
        let summary = Summary { tally: self.tally, epoch, before, after, temperature };
        Ok(Student { shape: shape.clone(), theta, rounded, summary })
    }
}

impl<F: FrontEnd> Student<F> {
    /// Calibrated probabilities, one row a sample, computed on the host.
    pub fn probabilities(&self, samples: &[Sample<'_, F::Item>]) -> Vec<Vec<f32>> {
        let logits = Batcher::new(&self.shape, &self.theta, 0.0).logits(samples);
        logits.iter().map(|z| softmax(z, self.summary.temperature)).collect()
    }
}

/// The temperature of the softmax in 0.05..=20 that makes `(logits, class)` pairs most probable (arXiv 1706.04599):
/// the loss is convex in 1/T, so it has one minimum. 1 without pairs.
fn temperature(pairs: &[(Vec<f32>, usize)]) -> f32 {
    if pairs.is_empty() {
        return 1.0;
    }
    let loss = |log: f64| {
        let temperature = log.exp();
        let one = |(logits, class): &(Vec<f32>, usize)| {
            let scaled: Vec<f64> = logits.iter().map(|&x| f64::from(x) / temperature).collect();
            log_sum_exp(&scaled) - scaled[*class]
        };
        pairs.iter().map(one).sum::<f64>() / pairs.len() as f64
    };
    golden_section(0.05_f64.ln(), 20.0_f64.ln(), 60, |a, b| loss(a) < loss(b)).exp() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_temperature_that_fits() {
        // Logits of +-2 in 100 texts of which 73 are right: p = sigmoid(4/T) = 0.73.
        let pairs: Vec<_> = (0..100).map(|i| (vec![2.0, -2.0], usize::from(i >= 73))).collect();
        let expected = 4.0 / (0.73_f64 / 0.27).ln();
        assert!((f64::from(temperature(&pairs)) - expected).abs() < 1e-3);
        assert_eq!(temperature(&[]), 1.0);
    }
}
