//! The texts of a run with their vectors: labels, soft labels, parts, and the scale of every input.

use rand::Rng as _;
use sha2::{Digest, Sha256};
use std::path::Path;

use super::student::Sample;
use crate::data::corpus::{Corpus, CorpusError, Part, Tally, hex};
use crate::data::soft::TeacherInfo;
use crate::data::vectors::{VectorError, Vectors};
use crate::options::Config;
use crate::progress::Progress;
use crate::seed::stream;

/// Validation vectors on which the exported model is compared with the trained one.
const PROBES: usize = 256;

/// Why vectors and texts do not go together.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The texts.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The vectors.
    #[error(transparent)]
    Vectors(#[from] VectorError),
    /// Texts without a vector.
    #[error(
        "{missing} texts have no vector, the first is `{first}`; make vectors of every text of --data, --unlabelled and --valid"
    )]
    Missing {
        /// How many.
        missing: u64,
        /// The start of the first.
        first: String,
    },
}

/// One text: where its vector stands, its class, its soft label.
#[derive(Clone, Debug)]
struct Item {
    place: usize,
    label: Option<usize>,
    teacher: Option<Vec<f32>>,
}

/// Texts of one part.
#[derive(Clone, Debug, Default)]
pub struct Items(Vec<Item>);

/// Everything that training reads.
#[derive(Debug)]
pub struct Prepared {
    /// Class names.
    pub classes: Vec<String>,
    /// Mean and standard deviation of every input over the training vectors; zeros and ones where inputs are taken as
    /// they are.
    pub scale: Vec<(f32, f32)>,
    /// Training texts.
    pub texts: Items,
    /// Validation texts.
    pub valid: Items,
    /// What was read.
    pub tally: Tally,
    /// Digest of the labelled rows.
    pub data_digest: String,
    /// Who made the soft labels, and the digest of their file.
    pub teacher: Option<(TeacherInfo, String)>,
    vectors: Vectors,
    scaled: Vec<f32>,
}

impl Prepared {
    /// Reads texts and vectors.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn read(
        config: &Config,
        standardise: bool,
        progress: &mut Progress,
    ) -> Result<Self, PrepareError> {
        let sources = &config.sources;
        let corpus = Corpus::open(sources, progress)?;
        let files: Vec<&Path> = [&sources.data, &sources.unlabelled, &sources.valid]
            .into_iter()
            .flatten()
            .map(std::path::PathBuf::as_path)
            .collect();
        let vectors = Vectors::read(&sources.vectors, &files, sources.bad_rows)?;
        let (mut texts, mut valid) = (Items::default(), Items::default());
        let (mut missing, mut first) = (0, String::new());
        let tally = corpus.each("finding vectors", progress, |text| {
            let Some(place) = vectors.place(text.text) else {
                if missing == 0 {
                    first = text.text.chars().take(40).collect();
                }
                missing += 1;
                return;
            };
            let teacher = text.teacher.map(<[f32]>::to_vec);
            let part = if text.part == Part::Train { &mut texts } else { &mut valid };
            part.0.push(Item { place, label: text.label, teacher });
        });
        if missing > 0 {
            return Err(PrepareError::Missing { missing, first });
        }
        let tally = tally?;
        let scale =
            if standardise { scale(&vectors, &texts) } else { vec![(0.0, 1.0); vectors.width()] };
        let mut scaled = Vec::with_capacity(vectors.len() * vectors.width());
        for place in 0..vectors.len() {
            let row = vectors.at(place).iter().zip(&scale);
            scaled.extend(row.map(|(x, (mean, deviation))| (x - mean) / deviation));
        }
        Ok(Self {
            classes: corpus.classes().to_vec(),
            scale,
            texts,
            valid,
            tally,
            data_digest: corpus.digest().to_owned(),
            teacher: corpus.soft().map(|soft| (soft.teacher.clone(), hex(&soft.digest()))),
            vectors,
            scaled,
        })
    }

    /// Numbers a vector.
    pub fn inputs(&self) -> usize {
        self.vectors.width()
    }

    /// Digest of the settings and of everything read: what a checkpoint belongs to.
    pub fn fingerprint(&self, config: &Config) -> String {
        let mut digest = Sha256::new_with_prefix(config.recipe());
        digest.update(&self.data_digest);
        digest.update(self.teacher.as_ref().map_or("", |(_, digest)| digest));
        digest.update(self.vectors.digest());
        digest.update((self.texts.len() as u64).to_le_bytes());
        digest.update((self.valid.len() as u64).to_le_bytes());
        hex(&digest.finalize())
    }

    /// The vector of a sample as the file has it: the first of the validation texts.
    pub fn probes(&self) -> impl Iterator<Item = &[f32]> {
        self.valid.0.iter().take(PROBES).map(|item| self.vectors.at(item.place))
    }

    /// Sample `i` of a part.
    pub fn sample<'p>(&'p self, part: &'p Items, i: usize, key: Option<u64>) -> Sample<'p> {
        let item = &part.0[i];
        let width = self.inputs();
        Sample {
            vector: &self.scaled[item.place * width..(item.place + 1) * width],
            label: item.label,
            teacher: item.teacher.as_deref(),
            dropout_key: key,
        }
    }

    /// All samples of a part, nothing dropped.
    pub fn samples<'p>(&'p self, part: &'p Items) -> Vec<Sample<'p>> {
        (0..part.len()).map(|i| self.sample(part, i, None)).collect()
    }

    /// A root for the streams of one epoch's dropout.
    pub fn dropout_key(seed: u64, epoch: usize) -> u64 {
        stream(seed, &format!("dropout {epoch}")).random()
    }
}

impl Items {
    /// Texts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Mean and deviation of each input over the training vectors; an input that never changes keeps the deviation 1.
fn scale(vectors: &Vectors, texts: &Items) -> Vec<(f32, f32)> {
    let n = texts.len().max(1) as f64;
    let mut sums = vec![(0.0_f64, 0.0_f64); vectors.width()];
    for item in &texts.0 {
        for (sum, &x) in sums.iter_mut().zip(vectors.at(item.place)) {
            sum.0 += f64::from(x);
            sum.1 += f64::from(x) * f64::from(x);
        }
    }
    sums.into_iter()
        .map(|(sum, square)| {
            let mean = sum / n;
            let deviation = (square / n - mean * mean).max(0.0).sqrt();
            let least = 1e-6 * mean.abs().max(1e-6);
            (mean as f32, if deviation > least { deviation as f32 } else { 1.0 })
        })
        .collect()
}
