//! From texts to a student: what preparation gives, training, rounding, calibration.

use super::ansatz::{Ansatz, AnsatzError};
use super::backprop::Batcher;
use super::calibrate::temperature;
use super::examples::{Examples, Sample};
use super::front_end::FrontEnd;
use super::shape::Shape;
use super::train::{Judgement, Moment, Resume, TrainError, judge, train};
use crate::data::corpus::{Corpus, CorpusError, Tally};
use crate::data::soft::TeacherInfo;
use crate::data::vectors::VectorError;
use crate::numeric::argmax;
use crate::numeric::softmax;
use crate::options::Config;
use qdllm_host::hex::encode as hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Validation texts kept as they are, to compare the exported model with the trained one.
pub const PROBES: usize = 256;

#[derive(Debug, Error)]
pub enum DistillError {
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error(transparent)]
    Vectors(#[from] VectorError),
    #[error(transparent)]
    Ansatz(#[from] AnsatzError),
    #[error(transparent)]
    Train(#[from] TrainError),
    /// More rows asked for than there are n-grams.
    #[error(
        "--rows {rows} is larger than the data: the {texts} training texts hold {found} n-grams that occur at least twice. Give --rows {found} or fewer, or more texts"
    )]
    VocabularyTooLarge { rows: usize, texts: u64, found: usize },
    #[error(
        "{missing} texts have no vector, the first is `{first}`; make vectors of every text of --data, --unlabelled and --valid"
    )]
    MissingVectors { missing: u64, first: String },
}

/// The texts of a run, as a front end reads them.
#[derive(Debug)]
pub struct Prepared<F: FrontEnd> {
    pub front: F,
    pub classes: Vec<String>,
    pub ansatz: Ansatz,
    pub texts: Examples<F::Item>,
    pub valid: Examples<F::Item>,
    /// The first of the validation texts, as the model file takes them.
    pub probes: Vec<F::Probe>,
    pub tally: Tally,
    pub data_digest: String,
    /// Who made the soft labels, and the digest of their file.
    pub teacher: Option<(TeacherInfo, String)>,
}

/// A trained and rounded student on the host.
#[derive(Debug)]
pub struct Student<F: FrontEnd> {
    pub shape: Shape<F>,
    /// Parameters, the front end's weights already at their rounded values.
    pub theta: Vec<f32>,
    pub rounded: F::Rounded,
    pub temperature: f32,
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
    pub fn new(
        front: F,
        ansatz: Ansatz,
        corpus: &Corpus,
        tally: Tally,
        texts: Examples<F::Item>,
        valid: Examples<F::Item>,
        probes: Vec<F::Probe>,
    ) -> Self {
        let classes = corpus.classes().to_vec();
        let teacher = corpus.soft().map(|soft| (soft.teacher.clone(), hex(soft.digest())));
        let data_digest = corpus.digest().to_owned();
        Self { front, classes, ansatz, texts, valid, probes, tally, data_digest, teacher }
    }

    /// Digest of the settings and of everything read: what a checkpoint belongs to.
    pub fn fingerprint(&self, config: &Config) -> String {
        let mut digest = Sha256::new_with_prefix(config.recipe());
        digest.update(&self.data_digest);
        digest.update(self.ansatz.qasm().unwrap_or_default());
        digest.update(self.teacher.as_ref().map_or("", |(_, digest)| digest));
        self.front.fingerprint(&mut digest);
        digest.update((self.texts.len() as u64).to_le_bytes());
        digest.update((self.valid.len() as u64).to_le_bytes());
        hex(digest.finalize())
    }

    /// Texts that training passes over, repeats counted.
    pub fn passes(&self, config: &Config) -> u64 {
        (config.epochs_for(self.texts.len()) * self.texts.len()) as u64
    }

    /// Trains, rounds and calibrates a student on the prepared texts.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn distill(
        &self,
        config: &Config,
        resume: Option<&Resume>,
        observe: impl FnMut(Moment<'_>),
    ) -> Result<Student<F>, TrainError> {
        let shape = Shape {
            front: self.front.clone(),
            classes: self.classes.len(),
            hidden: F::hidden(config),
            ansatz: self.ansatz.clone(),
        };
        let recipe = F::recipe(config);
        let epochs = config.epochs_for(self.texts.len());
        let trained = train(&shape, &recipe, epochs, &self.texts, &self.valid, resume, observe)?;
        let mut theta = trained.theta;
        let before = judge(&shape, &theta, &recipe, &self.valid);
        let rounded = shape.front.round(&mut theta[shape.weight_range()]);
        let after = judge(&shape, &theta, &recipe, &self.valid);
        let temperature = temperature(&self.pairs(&shape, &theta));
        let summary =
            Summary { tally: self.tally, epoch: trained.epoch, before, after, temperature };
        Ok(Student { shape, theta, rounded, temperature, summary })
    }

    /// Validation logits with the class to believe: the label, else the teacher's.
    fn pairs(&self, shape: &Shape<F>, theta: &[f32]) -> Vec<(Vec<f32>, usize)> {
        let samples = self.valid.samples();
        let logits = Batcher::new(shape, theta, 0.0).logits(&samples);
        let class = |s: &Sample<'_, F::Item>| s.label.or_else(|| s.teacher.map(argmax));
        logits.into_iter().zip(&samples).filter_map(|(z, s)| Some((z, class(s)?))).collect()
    }
}

impl<F: FrontEnd> Student<F> {
    /// Calibrated probabilities, one row an input, computed on the host.
    pub fn probabilities<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a [F::Item]>,
    ) -> Vec<Vec<f32>>
    where
        F::Item: 'a,
    {
        let unlabelled = |input| Sample { input, label: None, teacher: None, dropout_key: None };
        let samples: Vec<Sample<'_, F::Item>> = inputs.into_iter().map(unlabelled).collect();
        let logits = Batcher::new(&self.shape, &self.theta, 0.0).logits(&samples);
        logits.iter().map(|z| softmax(z, self.temperature)).collect()
    }
}
