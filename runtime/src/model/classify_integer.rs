//! Text to class without a floating-point operation: by the exact circuit in 16-bit integers, or by
//! what was compiled from it.

#[cfg(feature = "tensor-train")]
use crate::compiled::tensor_train::{Cores, Work};
use crate::error::Error;
use crate::head::Prediction;
use crate::integer::softmax_q16;
use crate::model::{MAX_CLASSES, Model};
#[cfg(feature = "statevector-i16")]
use crate::{circuit::QUBITS, circuit::program::MAX_OUTPUTS, state::i16::StateI16};

/// All the memory that classification in 16-bit integers writes, beside the stack.
#[cfg(feature = "statevector-i16")]
#[derive(Clone, Debug, Default)]
pub struct ScratchI16 {
    state: StateI16,
    probabilities: Probabilities,
}

/// Room for one probability a class: all the memory that a compiled back end writes, beside the stack.
#[derive(Clone, Debug)]
pub struct Probabilities([f32; MAX_CLASSES]);

impl Probabilities {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self([0.0; MAX_CLASSES])
    }
}

impl Default for Probabilities {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "statevector-i16")]
impl ScratchI16 {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self { state: StateI16::new(), probabilities: Probabilities::new() }
    }
}

impl Model<'_> {
    /// Classifies a text by the exact circuit in 16-bit integers. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
    #[cfg(feature = "statevector-i16")]
    pub fn classify_i16<'s>(
        &self,
        text: &str,
        scratch: &'s mut ScratchI16,
    ) -> Result<Prediction<'s>, Error> {
        let (phases, found) = self.text_phases(text)?;
        Ok(self.finish_i16(&phases, found, scratch))
    }

    /// Classifies a vector likewise.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`], [`Error::WrongInputLength`] or [`Error::InputNotFinite`].
    #[cfg(feature = "statevector-i16")]
    pub fn classify_vector_i16<'s>(
        &self,
        input: &[f32],
        scratch: &'s mut ScratchI16,
    ) -> Result<Prediction<'s>, Error> {
        let phases = self.vector_phases(input)?;
        Ok(self.finish_i16(&phases, input.len() as u32, scratch))
    }

    /// The logits (Q16, one a class) that the circuit in 16-bit integers gives at encoder phases.
    #[cfg(feature = "statevector-i16")]
    pub fn logits_i16(&self, phases: &[u32; QUBITS], state: &mut StateI16, logits_q16: &mut [i32]) {
        let mut expectations = [0; MAX_OUTPUTS];
        self.program.run_i16(state, phases, &mut expectations);
        self.head.logits_q16(&expectations, logits_q16);
    }

    #[cfg(feature = "statevector-i16")]
    fn finish_i16<'s>(
        &self,
        phases: &[u32; QUBITS],
        found: u32,
        scratch: &'s mut ScratchI16,
    ) -> Prediction<'s> {
        let mut logits = [0; MAX_CLASSES];
        self.logits_i16(phases, &mut scratch.state, &mut logits);
        self.conclude_q16(&logits, found, &mut scratch.probabilities)
    }

    /// The prediction of logits in Q16; what is beyond the model's classes does not count.
    pub(crate) fn conclude_q16<'s>(
        &self,
        logits_q16: &[i32],
        found: u32,
        memory: &'s mut Probabilities,
    ) -> Prediction<'s> {
        let logits = logits_q16.get(..self.classes()).unwrap_or(logits_q16);
        let probabilities = memory.0.get_mut(..logits.len()).unwrap_or_default();
        softmax_q16(logits, self.head.temperature(), probabilities);
        Prediction { probabilities, expectations: &[], reject_below: self.meta.reject_below, found }
    }

    /// Classifies a text by the compiled polynomial, without a statevector: `memory` is all it writes
    /// beside the stack. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no polynomial; else as [`classify`](Self::classify).
    #[cfg(feature = "polynomial")]
    pub fn classify_by_polynomial<'s>(
        &self,
        text: &str,
        memory: &'s mut Probabilities,
    ) -> Result<Prediction<'s>, Error> {
        let polynomial = self.polynomial().ok_or(Error::NoBackEnd)?;
        let (phases, found) = self.text_phases(text)?;
        let mut logits = [0; MAX_CLASSES];
        polynomial.logits(&phases, &mut logits);
        Ok(self.conclude_q16(&logits, found, memory))
    }

    /// Classifies a text by the compiled tensor train, without a statevector: `work` and `memory` are
    /// all it writes beside the stack. The prediction has no expectations. A train of integers is run
    /// without a floating-point operation, one of `f32` in `f32`.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no train; else as [`classify`](Self::classify).
    #[cfg(feature = "tensor-train")]
    pub fn classify_by_tensor_train<'s>(
        &self,
        text: &str,
        work: &mut Work,
        memory: &'s mut Probabilities,
    ) -> Result<Prediction<'s>, Error> {
        let train = self.tensor_train().ok_or(Error::NoBackEnd)?;
        if train.cores() != Cores::F32 {
            let (phases, found) = self.text_phases(text)?;
            let mut logits = [0; MAX_CLASSES];
            train.logits(&phases, work, &mut logits)?;
            return Ok(self.conclude_q16(&logits, found, memory));
        }
        let (mut angles, found) = self.text_features(text)?;
        self.meta.squash.apply(&mut angles);
        let probabilities = memory.0.get_mut(..self.classes()).unwrap_or_default();
        train.logits_f32(&angles, work, probabilities)?;
        self.head.softmax(probabilities);
        let reject_below = self.meta.reject_below;
        Ok(Prediction { probabilities, expectations: &[], reject_below, found })
    }
}
