//! From files to a student: survey, vocabulary, training, quantisation, calibration.

use crate::data::corpus::{Corpus, CorpusError, Part, Tally, Text, hex};
use crate::data::soft::TeacherInfo;
use crate::options::{Config, Criterion};
use crate::progress::Progress;
use crate::student::ansatz::{Ansatz, AnsatzError};
use crate::student::backprop::{Batcher, Heart, Sample, Shape};
use crate::student::calibrate::temperature;
use crate::student::encoded::{Encoded, HostVocab};
use crate::student::ngram_regression::Weigher;
use crate::student::quantise::{Quantised, quantise};
use crate::student::train::{Judgement, Moment, Resume, TrainError, judge, train};
use crate::student::vocabulary::Counter;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Validation texts kept as text, to compare the exported model with the trained one.
const PROBES: usize = 256;

/// Why no student came out.
#[derive(Debug, Error)]
pub enum DistilError {
    /// The files cannot serve.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The circuit's file cannot serve.
    #[error(transparent)]
    Ansatz(#[from] AnsatzError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// More rows asked for than there are n-grams.
    #[error(
        "--rows {rows} is larger than the data: the {texts} training texts hold {found} n-grams that occur at least twice. Give --rows {found} or fewer, or more texts"
    )]
    VocabularyTooLarge {
        /// Rows asked for.
        rows: usize,
        /// Training texts.
        texts: u64,
        /// N-grams found.
        found: usize,
    },
}

/// The texts of a run, encoded.
#[derive(Debug)]
pub struct Prepared {
    /// Class names.
    pub classes: Vec<String>,
    /// Keys of the vocabulary, ascending.
    pub keys: Vec<u32>,
    /// The circuit to train.
    pub ansatz: Ansatz,
    /// Training texts.
    pub texts: Encoded,
    /// Validation texts.
    pub valid: Encoded,
    /// Some of the validation texts, as they are.
    pub probes: Vec<String>,
    /// What was read.
    pub tally: Tally,
    /// Digest of the labelled rows.
    pub data_digest: String,
    /// Who made the soft labels, and the digest of their file.
    pub teacher: Option<(TeacherInfo, String)>,
}

/// A trained and quantised student on the host.
#[derive(Debug)]
pub struct Student {
    /// Sizes.
    pub shape: Shape,
    /// Parameters, the rows already at their quantised values.
    pub theta: Vec<f32>,
    /// The rows as integers.
    pub rows: Quantised,
    /// Temperature of the softmax.
    pub temperature: f32,
    /// What training reached.
    pub summary: Summary,
}

/// Figures of a training run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Texts read.
    pub tally: Tally,
    /// The epoch that was kept.
    pub epoch: usize,
    /// Validation before quantisation.
    pub before: Judgement,
    /// Validation after quantisation.
    pub after: Judgement,
    /// Temperature of the softmax.
    pub temperature: f32,
}

impl Prepared {
    /// Reads the files twice: to select the vocabulary, then to encode the texts.
    ///
    /// # Errors
    /// [`DistilError::Ansatz`], [`DistilError::Corpus`] or [`DistilError::VocabularyTooLarge`].
    pub fn read(config: &Config, progress: &mut Progress) -> Result<Self, DistilError> {
        let ansatz = match (&config.student.circuit, config.student.heart) {
            (Some(path), Heart::Circuit) => Ansatz::read(path)?,
            _ => Ansatz::paper(),
        };
        let corpus = Corpus::open(&config.sources, progress)?;
        let classes = corpus.classes().to_vec();
        let (rows, kinds) = (config.student.rows, config.student.kinds());
        let mut counter = Counter::new(classes.len(), rows, kinds);
        let tally = corpus.each("counting n-grams", progress, |text| counter.add(&text))?;
        let candidates = counter.candidates();
        if candidates.len() < rows {
            return Err(DistilError::VocabularyTooLarge {
                rows,
                texts: tally.labelled + tally.soft_only,
                found: candidates.len(),
            });
        }
        let by_weight = config.student.select == Criterion::Weight;
        let regression = if by_weight || config.training.regression {
            let mut weigher = Weigher::new(classes.len(), rows, kinds, candidates);
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
        let (mut texts, mut valid) = (Encoded::new(classes.len()), Encoded::new(classes.len()));
        let mut probes = Vec::new();
        corpus.each("encoding the texts", progress, |text| match text.part {
            Part::Train => match own_teacher.as_ref().filter(|_| text.teacher.is_none()) {
                Some(regression) => {
                    let logits = regression.logits(text.text);
                    texts.push(&vocab, &Text { label: None, teacher: Some(&logits), ..text });
                }
                None => texts.push(&vocab, &text),
            },
            Part::Valid => {
                valid.push(&vocab, &text);
                if probes.len() < PROBES {
                    probes.push(text.text.to_owned());
                }
            }
        })?;
        let teacher = corpus.soft().map(|soft| (soft.teacher.clone(), hex(&soft.digest())));
        let data_digest = corpus.digest().to_owned();
        Ok(Self { classes, keys, ansatz, texts, valid, probes, tally, data_digest, teacher })
    }

    /// Digest of the settings and of everything read: what a checkpoint belongs to.
    pub fn fingerprint(&self, config: &Config) -> String {
        let mut digest = Sha256::new_with_prefix(config.recipe());
        digest.update(&self.data_digest);
        digest.update(self.ansatz.qasm().unwrap_or_default());
        digest.update(self.teacher.as_ref().map_or("", |(_, digest)| digest));
        for key in &self.keys {
            digest.update(key.to_le_bytes());
        }
        digest.update((self.texts.len() as u64).to_le_bytes());
        digest.update((self.valid.len() as u64).to_le_bytes());
        hex(&digest.finalize())
    }

    /// Trains, quantises and calibrates a student on the prepared texts.
    ///
    /// # Errors
    /// [`DistilError::Train`].
    pub fn distil(
        &self,
        config: &Config,
        resume: Option<&Resume>,
        observe: impl FnMut(Moment<'_>),
    ) -> Result<Student, DistilError> {
        let shape = Shape::new(
            self.keys.len(),
            self.classes.len(),
            config.student.heart,
            config.student.pool(),
            self.ansatz.clone(),
        );
        let training = &config.training;
        let trained = train(
            &shape,
            training,
            config.epochs_for(self.texts.len()),
            &self.texts,
            &self.valid,
            resume,
            observe,
        )?;
        let before = judge(&shape, &trained.theta, training, &self.valid);
        let rows = quantise(&trained.theta[shape.row_range()], config.student.row_bits());
        let mut theta = trained.theta;
        theta[shape.row_range()].copy_from_slice(&rows.values());
        let after = judge(&shape, &theta, training, &self.valid);
        let temperature = temperature(&self.pairs(&shape, &theta));
        let summary =
            Summary { tally: self.tally, epoch: trained.epoch, before, after, temperature };
        Ok(Student { shape, theta, rows, temperature, summary })
    }

    /// Validation logits with the class to believe: the label, else the teacher's.
    fn pairs(&self, shape: &Shape, theta: &[f32]) -> Vec<(Vec<f32>, usize)> {
        let samples = self.valid.samples();
        let logits = Batcher::new(shape, theta, 0.0).logits(&samples);
        let class = |s: &Sample<'_>| s.label.or_else(|| s.teacher.map(crate::metrics::argmax));
        logits.into_iter().zip(&samples).filter_map(|(z, s)| Some((z, class(s)?))).collect()
    }
}

impl Student {
    /// Calibrated probabilities of texts, one row a text, computed on the host.
    pub fn probabilities(&self, vocab: &HostVocab, texts: &[String]) -> Vec<Vec<f32>> {
        let rows: Vec<Vec<u16>> = texts.iter().map(|t| vocab.rows(t).collect()).collect();
        let samples: Vec<Sample<'_>> = rows
            .iter()
            .map(|rows| Sample { rows, label: None, teacher: None, dropout_key: None })
            .collect();
        let logits = Batcher::new(&self.shape, &self.theta, 0.0).logits(&samples);
        logits.iter().map(|z| crate::student::loss::softmax(z, self.temperature)).collect()
    }
}
