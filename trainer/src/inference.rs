//! A model file as commands open it, and texts through it: many in batches on all cores, and which n-grams moved a
//! decision.

use crate::compile::agreement::circuit_of;
use crate::gradient::batch::{Batch, Work};
use crate::numeric::log_sum_exp;
use anyhow::{Result, bail};
use qdllm_host::errors::OfFile as _;
pub use qdllm_host::files::read as load;
use qdllm_runtime::compiled::{Measured, polynomial::Polynomial, tensor_train::TensorTrain};
use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::format::{ENTRY_BYTES, Kind};
use qdllm_runtime::text::ngram::{GramKinds, grams};
use qdllm_runtime::{Error, Found, MAX_CLASSES, Model, Prediction, ScratchFor};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;

/// Room for a model of any number of classes.
pub type Scratch = ScratchFor<MAX_CLASSES>;

/// Texts of a stream that are classified together.
const BATCH: usize = 8192;

/// The model in the bytes of a file, and its classes.
pub fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<(Model<'a>, Vec<String>)> {
    let model = Model::parse(bytes).of_file(path)?;
    let classes = (0..model.classes()).map(|c| model.label(c).to_owned()).collect();
    Ok((model, classes))
}

/// As [`parse`]; refuses a model whose front end takes a vector and no text.
pub fn parse_for_text<'a>(bytes: &'a [u8], path: &Path) -> Result<(Model<'a>, Vec<String>)> {
    let parsed = parse(bytes, path)?;
    match parsed.0.meta().front {
        FrontEnd::Words { .. } | FrontEnd::Compact { .. } => Ok(parsed),
        FrontEnd::Dense { inputs } => bail!(
            "{}: has the front end `dense`, which takes a vector of {inputs} numbers and no text; give vectors by --vectors, or distill a model with the front end `words`",
            path.display()
        ),
    }
}

/// Refuses a model that takes a text, or a vector of another length.
pub fn takes_vectors(model: &Model<'_>, path: &Path, width: usize) -> Result<()> {
    match model.meta().front {
        FrontEnd::Dense { inputs } if usize::from(inputs) == width => Ok(()),
        FrontEnd::Dense { inputs } => bail!(
            "{}: takes vectors of {inputs} numbers, the file has {width}; make vectors with the model and layer it was trained on",
            path.display()
        ),
        FrontEnd::Words { .. } | FrontEnd::Compact { .. } => {
            bail!("{}: takes a text and no vector; leave --vectors out", path.display())
        }
    }
}

/// Bytes of a model file that its circuit takes: what a control of the same size does without.
pub fn circuit_bytes(model: &Model<'_>) -> usize {
    [Kind::Program, Kind::Angles, Kind::Source, Kind::Qasm]
        .iter()
        .filter_map(|&kind| Some(model.container().get(kind)?.len() + ENTRY_BYTES))
        .sum()
}

/// A compiled back end and what its section states.
#[derive(Serialize)]
pub struct BackEnd {
    pub name: &'static str,
    pub made_of: String,
    pub section_bytes: usize,
    #[serde(flatten)]
    pub measured: Measured,
}

pub fn back_ends(model: &Model<'_>) -> Vec<BackEnd> {
    let amplitudes = 1_u32 << model.program().qubits();
    let of_train = |train: TensorTrain<'_>| {
        let cores = format!("{:?}", train.cores()).to_lowercase();
        (format!("{cores} cores, widest bond {}", train.widest()), *train.measured())
    };
    let of_sums = |sums: Polynomial<'_>| {
        let monomials = sums.nodes().filter(|n| n.weights().next().is_some()).count();
        let products = sums.nodes().count();
        (format!("{monomials} monomials, {products} products"), *sums.measured())
    };
    let whole = |measured| (format!("{amplitudes} amplitudes"), measured);
    let compiled = [
        (Kind::StatevectorI16, model.measured_i16().map(whole)),
        (Kind::TensorTrain, model.tensor_train().map(of_train)),
        (Kind::Polynomial, model.polynomial().map(of_sums)),
    ];
    let back_end = |(kind, found): (Kind, Option<(String, Measured)>)| {
        let ((made_of, measured), section_bytes) = (found?, model.container().get(kind)?.len());
        Some(BackEnd { name: kind.name(), made_of, section_bytes, measured })
    };
    compiled.into_iter().filter_map(back_end).collect()
}

/// The front end text by text, the circuit in batches on all cores.
///
/// Answers are those of [`Model::classify`] up to rounding (probabilities within 2e-6), and the same
/// whatever the number of threads.
pub struct BatchClassifier<'m> {
    model: &'m Model<'m>,
    batch: Batch,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub probabilities: Vec<f32>,
    pub expectations: Vec<f32>,
    pub found: Found,
}

impl<'m> BatchClassifier<'m> {
    /// Takes the circuit out of the model and prepares it for this machine's registers.
    pub fn new(model: &'m Model<'m>) -> Self {
        Self { model, batch: Batch::new(&circuit_of(model.program()), &[]) }
    }

    /// One answer a text, in their order.
    pub fn classify<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Answer>, Error> {
        let groups: Result<Vec<Vec<Answer>>, Error> = texts
            .par_chunks(self.batch.lanes())
            .map_init(|| self.batch.work(false), |work, texts| self.group(work, texts))
            .collect();
        Ok(groups?.into_iter().flatten().collect())
    }

    /// Answers of at most a register's lanes of texts.
    fn group<T: AsRef<str>>(&self, work: &mut Work, texts: &[T]) -> Result<Vec<Answer>, Error> {
        let (inputs, outputs) = (self.batch.inputs(), self.batch.outputs());
        let (mut angles, mut found) = (Vec::with_capacity(texts.len() * inputs), Vec::new());
        for text in texts {
            let (mut features, known) = self.model.text_features(text.as_ref())?;
            self.model.meta().squash.apply(&mut features);
            angles.extend_from_slice(&features[..inputs]);
            found.push(known);
        }
        let mut expectations = vec![0.0; texts.len() * outputs];
        self.batch.expectations(work, &angles, &mut expectations);
        let answer = |(expectations, found): (&[f32], Found)| {
            let mut memory = [0.0; MAX_CLASSES];
            let p = self.model.decide(expectations, found, &mut memory)?;
            let (probabilities, expectations) = (p.probabilities().to_vec(), expectations.to_vec());
            Ok(Answer { probabilities, expectations, found })
        };
        expectations.chunks_exact(outputs).zip(found).map(answer).collect()
    }

    /// Classifies texts in batches as they come; those before a bad one are answered.
    pub fn each(
        &self,
        mut texts: impl Iterator<Item = Result<String>>,
        mut answer: impl FnMut(&str, &Prediction<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut memory = [0.0; MAX_CLASSES];
        loop {
            let mut failed = Ok(());
            let good = |text: Result<String>| text.map_err(|e| failed = Err(e)).ok();
            let batch: Vec<String> = texts.by_ref().take(BATCH).map_while(good).collect();
            for (text, found) in batch.iter().zip(self.classify(&batch)?) {
                answer(text, &self.prediction(&found, &mut memory)?)?;
            }
            failed?;
            if batch.is_empty() {
                return Ok(());
            }
        }
    }

    /// An answer as the prediction that the runtime would give.
    pub fn prediction<'s>(
        &self,
        answer: &'s Answer,
        memory: &'s mut [f32; MAX_CLASSES],
    ) -> Result<Prediction<'s>, Error> {
        self.model.decide(&answer.expectations, answer.found, memory)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    pub ngram: String,
    /// The decided class's log-odds with it, less those without it: positive spoke for the decision.
    pub by: f32,
}

/// The n-grams of `text` that the model knows, by falling weight.
///
/// An n-gram that occurs twice is listed twice, each time for that one occurrence.
pub fn explain(model: &Model<'_>, text: &str) -> Result<Vec<Moved>, Error> {
    let mut scratch = Box::new(Scratch::new());
    let kinds = model.kinds().ok_or(Error::WrongFrontEnd)?;
    let class = model.classify(text, &mut scratch)?.class();
    // Of the logits: a probability of 1 no longer shows what a word does to it.
    let mut log_odds = |skip: Option<usize>| -> Result<f32, Error> {
        let p = model.classify_without(text, skip, &mut scratch)?;
        let mut logits: Vec<f32> = p.probabilities().iter().map(|p| p.max(1e-7).ln()).collect();
        if p.found() > 0 {
            model.head().logits(p.expectations(), &mut logits);
            logits.iter_mut().for_each(|logit| *logit /= model.head().temperature());
        }
        Ok(logits.remove(class) - log_sum_exp(&logits))
    };
    let whole = log_odds(None)?;
    // N-grams that are none without edges reach over an end: the last ones over that after the last word.
    let mut inner = grams(text, GramKinds { edges: false, ..kinds }).peekable();
    let after = usize::from(kinds.bigrams) + usize::from(kinds.trigrams);
    let words = grams(text, kinds).count().saturating_sub(after);
    let mut moved = Vec::new();
    for (i, gram) in grams(text, kinds).enumerate() {
        let within = inner.next_if_eq(&gram).is_some();
        if model.knows(gram.hash) {
            let by = whole - log_odds(Some(i))?;
            let ngram = &text[gram.start..gram.end];
            let ngram = match (within, i < words) {
                (true, _) => ngram.to_owned(),
                (false, true) => format!("^{ngram}"),
                (false, false) => format!("{ngram}$"),
            };
            moved.push(Moved { ngram, by });
        }
    }
    moved.sort_by(|a, b| b.by.abs().total_cmp(&a.by.abs()));
    Ok(moved)
}
