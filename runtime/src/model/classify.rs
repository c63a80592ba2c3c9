//! Text to class by the exact circuit in `f32`.

use crate::circuit::QUBITS;
use crate::circuit::program::MAX_OUTPUTS;
use crate::error::Error;
use crate::head::Prediction;
use crate::model::{MAX_CLASSES, Model};
use crate::state::f32::StateVector;

/// All the memory that classification writes, beside the stack: the statevector and two small
/// vectors. Its size is a constant: `size_of::<Scratch>()`.
#[derive(Clone, Debug)]
pub struct Scratch {
    state: StateVector<f32>,
    expectations: [f32; MAX_OUTPUTS],
    probabilities: [f32; MAX_CLASSES],
}

impl Scratch {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self {
            state: StateVector::new(),
            expectations: [0.0; MAX_OUTPUTS],
            probabilities: [0.0; MAX_CLASSES],
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Model<'_> {
    /// Classifies a text with a `words` model.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
    pub fn classify<'s>(
        &self,
        text: &str,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        let (features, found) = self.text_features(text)?;
        Ok(self.finish(features, found, scratch))
    }

    /// Classifies a text as if n-gram number `skip` (in the order of [`grams`](crate::text::ngram::grams)) were not in it.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn classify_without<'s>(
        &self,
        text: &str,
        skip: Option<usize>,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        let (features, found) = self.features_without(text, skip)?;
        Ok(self.finish(features, found, scratch))
    }

    /// Classifies a vector with a `dense` model.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`], [`Error::WrongInputLength`] or [`Error::InputNotFinite`].
    pub fn classify_vector<'s>(
        &self,
        input: &[f32],
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        let features = self.vector_features(input)?;
        Ok(self.finish(features, input.len() as u32, scratch))
    }

    fn finish<'s>(
        &self,
        mut features: [f32; QUBITS],
        found: u32,
        scratch: &'s mut Scratch,
    ) -> Prediction<'s> {
        self.meta.squash.apply(&mut features);
        self.program.run(&mut scratch.state, &features, &mut scratch.expectations);
        let outputs = self.program.outputs().min(MAX_OUTPUTS);
        self.decide(&scratch.expectations[..outputs], found, &mut scratch.probabilities)
    }

    /// The prediction from expectations that any executor of [`program`](Self::program) gave, for a text
    /// with `found` known n-grams; missing expectations count as zero.
    pub fn decide<'s>(
        &self,
        expectations: &'s [f32],
        found: u32,
        memory: &'s mut [f32; MAX_CLASSES],
    ) -> Prediction<'s> {
        let probabilities = &mut memory[..self.classes().min(MAX_CLASSES)];
        self.head.logits(expectations, probabilities);
        self.head.softmax(probabilities);
        Prediction { probabilities, expectations, reject_below: self.meta.reject_below, found }
    }
}
