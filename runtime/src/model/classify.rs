//! Text or vector to features, and to a class: by the exact circuit in `f32` or in 16-bit integers, or
//! by what was compiled from it. All but `f32` runs without a floating-point operation.

use crate::circuit::QUBITS;
#[cfg(any(feature = "statevector", feature = "statevector-i16"))]
use crate::circuit::program::MAX_OUTPUTS;
#[cfg(feature = "tensor-train")]
use crate::compiled::tensor_train::{Cores, Work};
use crate::error::Error;
use crate::format::floats::Floats;
use crate::head::Prediction;
use crate::integer::{features_q24, phases, phases_of_f32};
use crate::model::{MAX_CLASSES, Model, Tables};
#[cfg(feature = "statevector")]
use crate::state::StateVector;
#[cfg(feature = "statevector-i16")]
use crate::state::i16::StateI16;
use crate::text::ngram::grams;
use crate::text::pool::{Pool, ROW, pool};

struct Pooled<'a> {
    sums: [i32; ROW],
    found: u32,
    pool: Pool,
    scale: Floats<'a>,
}

impl<'a> Model<'a> {
    fn pooled(&self, text: &str, skip: Option<usize>) -> Result<Pooled<'a>, Error> {
        let Tables::Words { kinds, pool: pooling, vocab, rows, scale } = &self.front else {
            return Err(Error::WrongFrontEnd);
        };
        let all = grams(text, *kinds).enumerate();
        let counted = all.filter(|(i, _)| Some(*i) != skip).map(|(_, gram)| gram);
        let (sums, found) = pool(counted, vocab, rows);
        Ok(Pooled { sums, found, pool: *pooling, scale: *scale })
    }

    /// The 11 features of a text before they become angles, and the n-grams found.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
    pub fn text_features(&self, text: &str) -> Result<([f32; QUBITS], u32), Error> {
        self.features_without(text, None)
    }

    fn features_without(
        &self,
        text: &str,
        skip: Option<usize>,
    ) -> Result<([f32; QUBITS], u32), Error> {
        let Pooled { sums, found, pool, scale } = self.pooled(text, skip)?;
        let divisor = pool.divisor(found);
        let mut features = [0.0; ROW];
        for (i, (x, sum)) in features.iter_mut().zip(sums).enumerate() {
            *x = sum as f32 * scale.get(i) / divisor + scale.get(ROW + i);
        }
        Ok((features, found))
    }

    fn vector_features(&self, input: &[f32]) -> Result<[f32; QUBITS], Error> {
        let Tables::Dense { inputs, table } = &self.front else {
            return Err(Error::WrongFrontEnd);
        };
        if input.len() != *inputs {
            return Err(Error::WrongInputLength);
        }
        if !input.iter().all(|x| x.is_finite()) {
            return Err(Error::InputNotFinite);
        }
        let mut features = [0.0; ROW];
        for (i, x) in features.iter_mut().enumerate() {
            let weights = (0..*inputs).map(|j| table.get(i * inputs + j));
            let bias = table.get(ROW * inputs + i);
            *x = weights.zip(input).fold(bias, |sum, (w, v)| sum + w * v);
        }
        Ok(features)
    }

    /// The encoder phases of a text (2^32 one turn) in integers, and the n-grams found: within 1e-5
    /// radians of the angles that [`text_features`](Self::text_features) and the squash give.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
    pub fn text_phases(&self, text: &str) -> Result<([u32; QUBITS], u32), Error> {
        let Pooled { sums, found, pool, scale } = self.pooled(text, None)?;
        let features = features_q24(&sums, found, pool, &scale);
        Ok((phases(&features, self.meta.squash), found))
    }

    /// The encoder phases of a vector; the front end itself computes in floating point.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`], [`Error::WrongInputLength`] or [`Error::InputNotFinite`].
    pub fn vector_phases(&self, input: &[f32]) -> Result<[u32; QUBITS], Error> {
        Ok(phases_of_f32(&self.vector_features(input)?, self.meta.squash))
    }

    /// The prediction from expectations that any executor of [`program`](Self::program) gave, for a text
    /// with `found` known n-grams; missing expectations count as zero.
    ///
    /// # Errors
    /// [`Error::LogitNotFinite`].
    pub fn decide<'s>(
        &self,
        expectations: &'s [f32],
        found: u32,
        memory: &'s mut [f32; MAX_CLASSES],
    ) -> Result<Prediction<'s>, Error> {
        let probabilities = &mut memory[..self.classes().min(MAX_CLASSES)];
        self.head.logits(expectations, probabilities);
        self.conclude(expectations, found, probabilities)
    }

    /// The prediction of logits, which become the probabilities in place.
    fn conclude<'s>(
        &self,
        expectations: &'s [f32],
        found: u32,
        logits: &'s mut [f32],
    ) -> Result<Prediction<'s>, Error> {
        if found == 0 {
            logits.fill(0.0);
        }
        self.head.softmax(logits)?;
        Ok(self.prediction(expectations, found, logits))
    }

    /// The prediction with these probabilities; where nothing was found, with the classes' shares.
    fn prediction<'s>(
        &self,
        expectations: &'s [f32],
        found: u32,
        probabilities: &'s mut [f32],
    ) -> Prediction<'s> {
        if found == 0 {
            self.write_shares(probabilities);
        }
        Prediction { probabilities, expectations, reject_below: self.meta.reject_below, found }
    }
}

/// All the memory that classification writes, beside the stack: the statevector and two small
/// vectors. Its size is a constant: `size_of::<Scratch>()`.
#[cfg(feature = "statevector")]
#[derive(Clone, Debug)]
pub struct Scratch {
    state: StateVector<f32>,
    expectations: [f32; MAX_OUTPUTS],
    probabilities: [f32; MAX_CLASSES],
}

#[cfg(feature = "statevector")]
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

#[cfg(feature = "statevector")]
impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "statevector")]
impl Model<'_> {
    /// Classifies a text with a `words` model.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector; [`Error::LogitNotFinite`].
    pub fn classify<'s>(
        &self,
        text: &str,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        self.classify_without(text, None, scratch)
    }

    /// Classifies a text as if n-gram number `skip` (in the order of [`grams`]) were not in it.
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
        self.finish(features, found, scratch)
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
        self.finish(features, input.len() as u32, scratch)
    }

    fn finish<'s>(
        &self,
        mut features: [f32; QUBITS],
        found: u32,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        self.meta.squash.apply(&mut features);
        self.program.run(&mut scratch.state, &features, &mut scratch.expectations);
        let outputs = self.program.outputs().min(MAX_OUTPUTS);
        self.decide(&scratch.expectations[..outputs], found, &mut scratch.probabilities)
    }
}

/// Room for one probability a class: all the memory that a compiled back end writes, beside the stack.
#[cfg(feature = "_integer")]
#[derive(Clone, Debug)]
pub struct Probabilities([f32; MAX_CLASSES]);

#[cfg(feature = "_integer")]
impl Probabilities {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self([0.0; MAX_CLASSES])
    }
}

#[cfg(feature = "_integer")]
impl Default for Probabilities {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "_integer")]
impl Model<'_> {
    /// The prediction of logits in Q16 that `logits` writes, one a class.
    fn conclude_q16<'s>(
        &self,
        found: u32,
        memory: &'s mut Probabilities,
        logits: impl FnOnce(&mut [i32; MAX_CLASSES]),
    ) -> Prediction<'s> {
        let mut logits_q16 = [0; MAX_CLASSES];
        if found > 0 {
            logits(&mut logits_q16);
        }
        let logits = logits_q16.get(..self.classes()).unwrap_or(&logits_q16);
        let probabilities = memory.0.get_mut(..logits.len()).unwrap_or_default();
        crate::integer::softmax_q16(logits, self.head.temperature(), probabilities);
        self.prediction(&[], found, probabilities)
    }

    /// Classifies a text by the compiled polynomial, without a statevector: `memory` is all it writes
    /// beside the stack. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no polynomial; [`Error::WrongFrontEnd`] if it takes a
    /// vector.
    #[cfg(feature = "polynomial")]
    pub fn classify_by_polynomial<'s>(
        &self,
        text: &str,
        memory: &'s mut Probabilities,
    ) -> Result<Prediction<'s>, Error> {
        let polynomial = self.polynomial().ok_or(Error::NoBackEnd)?;
        let (phases, found) = self.text_phases(text)?;
        Ok(self.conclude_q16(found, memory, |logits| polynomial.logits(&phases, logits)))
    }

    /// Classifies a text by the compiled tensor train, without a statevector: `work` and `memory` are
    /// all it writes beside the stack. The prediction has no expectations. A train of integers is run
    /// without a floating-point operation, one of `f32` in `f32`.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no train; [`Error::WrongFrontEnd`] if it takes a vector.
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
            // The cores are integers: it cannot fail.
            return Ok(self.conclude_q16(found, memory, |logits| {
                train.logits(&phases, work, logits).unwrap_or_default();
            }));
        }
        let (mut angles, found) = self.text_features(text)?;
        self.meta.squash.apply(&mut angles);
        let logits = memory.0.get_mut(..self.classes()).unwrap_or_default();
        train.logits_f32(&angles, work, logits)?;
        self.conclude(&[], found, logits)
    }
}

/// All the memory that classification in 16-bit integers writes, beside the stack.
#[cfg(feature = "statevector-i16")]
#[derive(Clone, Debug, Default)]
pub struct ScratchI16 {
    state: StateI16,
    probabilities: Probabilities,
}

#[cfg(feature = "statevector-i16")]
impl ScratchI16 {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self { state: StateI16::new(), probabilities: Probabilities::new() }
    }
}

#[cfg(feature = "statevector-i16")]
impl Model<'_> {
    /// Classifies a text by the exact circuit in 16-bit integers. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
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
    pub fn classify_vector_i16<'s>(
        &self,
        input: &[f32],
        scratch: &'s mut ScratchI16,
    ) -> Result<Prediction<'s>, Error> {
        let phases = self.vector_phases(input)?;
        Ok(self.finish_i16(&phases, input.len() as u32, scratch))
    }

    /// The logits (Q16, one a class) that the circuit in 16-bit integers gives at encoder phases.
    pub fn logits_i16(&self, phases: &[u32; QUBITS], state: &mut StateI16, logits_q16: &mut [i32]) {
        let mut expectations = [0; MAX_OUTPUTS];
        self.program.run_i16(state, phases, &mut expectations);
        self.head.logits_q16(&expectations, logits_q16);
    }

    fn finish_i16<'s>(
        &self,
        phases: &[u32; QUBITS],
        found: u32,
        scratch: &'s mut ScratchI16,
    ) -> Prediction<'s> {
        let ScratchI16 { state, probabilities } = scratch;
        self.conclude_q16(found, probabilities, |logits| self.logits_i16(phases, state, logits))
    }
}

#[cfg(test)]
#[cfg(all(feature = "micromath", feature = "statevector", feature = "neighbours"))]
mod tests {
    use super::*;
    use std::format;

    /// Decisions and probabilities beside those of the circuit in `f64`, whose sines are libm's.
    #[test]
    fn micromath_decides_as_the_exact_circuit() {
        let model = Model::parse(include_bytes!("../../../tests/models/commands.qdm")).unwrap();
        let (mut scratch, mut exact) = (Scratch::new(), StateVector::<f64>::new());
        let (mut texts, mut equal, mut largest) = (0, 0, 0.0_f32);
        let verbs =
            ["turn on", "turn off", "what about", "play", "set", "stop", "call", "remind me of"];
        let things =
            ["the lamp", "the heating", "some music", "an alarm", "a timer", "the weather", "mum"];
        let ends = [
            "",
            "in the kitchen",
            "for ten minutes",
            "tomorrow at seven",
            "now please",
            "a bit louder",
        ];
        for (verb, thing) in verbs.into_iter().flat_map(|v| things.map(|t| (v, t))) {
            for text in ends.map(|end| format!("{verb} {thing} {end}")) {
                let (mut angles, found) = model.text_features(&text).unwrap();
                model.meta.squash.apply(&mut angles);
                let mut expectations = [0.0_f64; MAX_OUTPUTS];
                model.program.run(&mut exact, &angles.map(f64::from), &mut expectations);
                let expectations = expectations.map(|x| x as f32);
                let mut memory = [0.0; MAX_CLASSES];
                let reference = model.decide(&expectations, found, &mut memory).unwrap();
                let quick = model.classify(&text, &mut scratch).unwrap();
                texts += 1;
                equal += usize::from(quick.class() == reference.class());
                let pairs = quick.probabilities().iter().zip(reference.probabilities());
                largest = pairs.map(|(p, q)| (p - q).abs()).fold(largest, f32::max);
            }
        }
        std::println!("{equal} of {texts} decisions, probabilities within {largest:.4}");
        assert!(equal * 1000 >= texts * 995 && largest < 0.04, "{equal} of {texts}, {largest}");
    }
}
