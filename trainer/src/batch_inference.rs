//! Many texts through one model: the front end text by text, the circuit in batches on all cores.
//!
//! Answers are those of [`Model::classify`] up to rounding (probabilities within 2e-6), and the same
//! whatever the number of threads.

use crate::compile::agreement::circuit_of;
use crate::gradient::batch::Batch;
use qdllm_runtime::{Error, MAX_CLASSES, Model, Prediction};
use rayon::prelude::*;

pub struct BatchClassifier<'m> {
    model: &'m Model<'m>,
    batch: Batch,
}

/// What the model says of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub probabilities: Vec<f32>,
    pub expectations: Vec<f32>,
    pub found: u32,
}

impl<'m> BatchClassifier<'m> {
    /// Takes the circuit out of the model and prepares it for this machine's registers.
    pub fn new(model: &'m Model<'m>) -> Self {
        Self { model, batch: Batch::new(&circuit_of(model.program()), &[]) }
    }

    /// One answer a text, in their order.
    pub fn classify<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Answer>, Error> {
        let groups: Vec<Result<Vec<Answer>, Error>> = texts
            .par_chunks(self.batch.lanes())
            .map_init(|| self.batch.work(false), |work, texts| self.group(work, texts))
            .collect();
        let mut all = Vec::with_capacity(texts.len());
        for group in groups {
            all.extend(group?);
        }
        Ok(all)
    }

    /// Answers of at most a register's lanes of texts.
    fn group<T: AsRef<str>>(
        &self,
        work: &mut crate::gradient::batch::Work,
        texts: &[T],
    ) -> Result<Vec<Answer>, Error> {
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
        let answer = |(expectations, found): (&[f32], u32)| {
            let mut memory = [0.0; MAX_CLASSES];
            let p = self.model.decide(expectations, found, &mut memory);
            Answer {
                probabilities: p.probabilities().to_vec(),
                expectations: expectations.to_vec(),
                found,
            }
        };
        Ok(expectations.chunks_exact(outputs).zip(found).map(answer).collect())
    }

    /// An answer as the prediction that the runtime would give.
    pub fn prediction<'s>(
        &self,
        answer: &'s Answer,
        memory: &'s mut [f32; MAX_CLASSES],
    ) -> Prediction<'s> {
        self.model.decide(&answer.expectations, answer.found, memory)
    }
}
