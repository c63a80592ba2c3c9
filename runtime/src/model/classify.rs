//! Text or vector to features, and to a class: by the exact circuit in `f32` or in 16-bit integers, or
//! by what was compiled from it. All but `f32` runs without a floating-point operation.

use crate::circuit::QUBITS;
#[cfg(any(feature = "statevector", feature = "statevector-i16"))]
use crate::circuit::program::MAX_OUTPUTS;
#[cfg(feature = "tensor-train")]
use crate::compiled::tensor_train::{Cores, Work};
use crate::error::Error;
use crate::format::floats::Floats;
#[cfg(any(feature = "statevector", feature = "_integer"))]
use crate::format::meta::USUAL_CLASSES;
use crate::head::Prediction;
use crate::integer::to_fixed;
use crate::integer::{features_q24, phases, phases_of_f32};
use crate::model::{Model, Tables};
use crate::reject::{EVIDENCE, Evidence, Found, evidence};
#[cfg(feature = "statevector")]
use crate::state::StateVector;
#[cfg(feature = "statevector-i16")]
use crate::state::i16::StateI16;
use crate::text::ngram::grams;
use crate::text::pool::{Pool, ROW, pool};
use core::cell::Cell;

struct Pooled<'a> {
    sums: [i32; ROW],
    found: Found,
    pool: Pool,
    scale: Floats<'a>,
}

/// A vector is known as a whole.
#[cfg(any(feature = "statevector", feature = "statevector-i16"))]
fn whole(input: &[f32]) -> Found {
    let count = input.len() as u32;
    Found { known: count, total: count }
}

impl<'a> Model<'a> {
    fn pooled(&self, text: &str, skip: Option<usize>) -> Result<Pooled<'a>, Error> {
        let total = Cell::new(0);
        let counted = |kinds| {
            let all = grams(text, kinds).enumerate();
            let kept = all.filter(move |(i, _)| Some(*i) != skip);
            kept.map(|(_, gram)| gram).inspect(|_| total.set(total.get() + 1))
        };
        let ((sums, known), pool, scale) = match &self.front {
            Tables::Words { kinds, pool: pooling, vocab, rows, scale } => {
                (pool(counted(*kinds), vocab, rows), *pooling, *scale)
            }
            #[cfg(feature = "compact")]
            Tables::Compact { kinds, pool, tables, scale } => {
                (tables.pool(counted(*kinds)), *pool, *scale)
            }
            Tables::Dense { .. } => return Err(Error::WrongFrontEnd),
        };
        Ok(Pooled { sums, found: Found { known, total: total.get() }, pool, scale })
    }

    /// The 11 features of a text before they become angles, and the n-grams found.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
    pub fn text_features(&self, text: &str) -> Result<([f32; QUBITS], Found), Error> {
        self.features_without(text, None)
    }

    fn features_without(
        &self,
        text: &str,
        skip: Option<usize>,
    ) -> Result<([f32; QUBITS], Found), Error> {
        let Pooled { sums, found, pool, scale } = self.pooled(text, skip)?;
        let divisor = pool.divisor(found.known);
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
    pub fn text_phases(&self, text: &str) -> Result<([u32; QUBITS], Found), Error> {
        let Pooled { sums, found, pool, scale } = self.pooled(text, None)?;
        let features = features_q24(&sums, found.known, pool, &scale);
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
    /// whose n-grams were `found`; missing expectations count as zero. `memory` holds one number a class.
    ///
    /// # Errors
    /// [`Error::LogitNotFinite`]; [`Error::BadClassCount`] for too little memory.
    pub fn decide<'s>(
        &self,
        expectations: &'s [f32],
        found: Found,
        memory: &'s mut [f32],
    ) -> Result<Prediction<'s>, Error> {
        let probabilities = memory.get_mut(..self.classes()).ok_or(Error::BadClassCount)?;
        self.head.logits(expectations, probabilities);
        self.conclude(expectations, found, probabilities)
    }

    /// The prediction of logits, which become the probabilities in place.
    fn conclude<'s>(
        &self,
        expectations: &'s [f32],
        found: Found,
        logits: &'s mut [f32],
    ) -> Result<Prediction<'s>, Error> {
        if found.known == 0 {
            logits.fill(0.0);
        }
        let evidence = self.evidence(logits.iter().map(|&z| to_fixed(z, 16)), found);
        self.head.softmax(logits)?;
        Ok(self.prediction(expectations, found, logits, evidence))
    }

    /// What a rule of rejection looks at, but for the probability; zeros where the model has none.
    fn evidence(&self, logits_q16: impl Iterator<Item = i32>, found: Found) -> Evidence {
        match self.rejection() {
            Some(_) => evidence(logits_q16, found),
            None => Evidence::default(),
        }
    }

    /// The prediction with these probabilities; where nothing was found, with the classes' shares.
    fn prediction<'s>(
        &self,
        expectations: &'s [f32],
        found: Found,
        probabilities: &'s mut [f32],
        mut evidence: Evidence,
    ) -> Prediction<'s> {
        if found.known == 0 {
            self.write_shares(probabilities);
        }
        let reject_below = self.meta.reject_below;
        let mut prediction = Prediction {
            probabilities,
            expectations,
            reject_below,
            found,
            evidence,
            foreign: false,
        };
        if let Some(rule) = self.rejection() {
            evidence[EVIDENCE - 1] = to_fixed(prediction.probability(), 16);
            (prediction.evidence, prediction.foreign) = (evidence, rule.rejects(&evidence));
        }
        prediction
    }
}

/// All the memory that classification writes, beside the stack: the statevector and two small
/// vectors, for models of at most `CLASSES` classes. Its size is a constant: `size_of::<Scratch>()`.
#[cfg(feature = "statevector")]
#[derive(Clone, Debug)]
pub struct ScratchFor<const CLASSES: usize> {
    state: StateVector<f32>,
    expectations: [f32; MAX_OUTPUTS],
    probabilities: [f32; CLASSES],
}

/// [`ScratchFor`] as many classes as most boards take.
#[cfg(feature = "statevector")]
pub type Scratch = ScratchFor<USUAL_CLASSES>;

#[cfg(feature = "statevector")]
impl<const CLASSES: usize> ScratchFor<CLASSES> {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self {
            state: StateVector::new(),
            expectations: [0.0; MAX_OUTPUTS],
            probabilities: [0.0; CLASSES],
        }
    }
}

#[cfg(feature = "statevector")]
impl<const CLASSES: usize> Default for ScratchFor<CLASSES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "statevector")]
impl Model<'_> {
    /// Classifies a text.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector; [`Error::LogitNotFinite`].
    pub fn classify<'s, const CLASSES: usize>(
        &self,
        text: &str,
        scratch: &'s mut ScratchFor<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        self.classify_without(text, None, scratch)
    }

    /// Classifies a text as if n-gram number `skip` (in the order of [`grams`]) were not in it.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn classify_without<'s, const CLASSES: usize>(
        &self,
        text: &str,
        skip: Option<usize>,
        scratch: &'s mut ScratchFor<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let (features, found) = self.features_without(text, skip)?;
        self.finish(features, found, scratch)
    }

    /// Classifies a vector with a `dense` model.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`], [`Error::WrongInputLength`] or [`Error::InputNotFinite`].
    pub fn classify_vector<'s, const CLASSES: usize>(
        &self,
        input: &[f32],
        scratch: &'s mut ScratchFor<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let features = self.vector_features(input)?;
        self.finish(features, whole(input), scratch)
    }

    fn finish<'s, const CLASSES: usize>(
        &self,
        mut features: [f32; QUBITS],
        found: Found,
        scratch: &'s mut ScratchFor<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        self.meta.squash.apply(&mut features);
        self.program.run(&mut scratch.state, &features, &mut scratch.expectations);
        let outputs = self.program.outputs().min(MAX_OUTPUTS);
        self.decide(&scratch.expectations[..outputs], found, &mut scratch.probabilities)
    }
}

/// Room for one probability a class, of at most `CLASSES`: all the memory that a compiled back end writes, beside the
/// stack.
#[cfg(feature = "_integer")]
#[derive(Clone, Debug)]
pub struct ProbabilitiesFor<const CLASSES: usize>([f32; CLASSES]);

/// [`ProbabilitiesFor`] as many classes as most boards take.
#[cfg(feature = "_integer")]
pub type Probabilities = ProbabilitiesFor<USUAL_CLASSES>;

#[cfg(feature = "_integer")]
impl<const CLASSES: usize> ProbabilitiesFor<CLASSES> {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self([0.0; CLASSES])
    }
}

#[cfg(feature = "_integer")]
impl<const CLASSES: usize> Default for ProbabilitiesFor<CLASSES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "_integer")]
impl Model<'_> {
    /// The prediction of logits in Q16 that `logits` writes, one a class.
    fn conclude_q16<'s, const CLASSES: usize>(
        &self,
        found: Found,
        memory: &'s mut ProbabilitiesFor<CLASSES>,
        logits: impl FnOnce(&mut [i32; CLASSES]),
    ) -> Result<Prediction<'s>, Error> {
        let mut logits_q16 = [0; CLASSES];
        if found.known > 0 {
            logits(&mut logits_q16);
        }
        let logits = logits_q16.get(..self.classes()).ok_or(Error::BadClassCount)?;
        let probabilities = memory.0.get_mut(..logits.len()).unwrap_or_default();
        let evidence = self.evidence(logits.iter().copied(), found);
        crate::integer::softmax_q16(logits, self.head.temperature(), probabilities);
        Ok(self.prediction(&[], found, probabilities, evidence))
    }

    /// Classifies a text by the compiled polynomial, without a statevector: `memory` is all it writes
    /// beside the stack. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no polynomial; [`Error::WrongFrontEnd`] if it takes a
    /// vector.
    #[cfg(feature = "polynomial")]
    pub fn classify_by_polynomial<'s, const CLASSES: usize>(
        &self,
        text: &str,
        memory: &'s mut ProbabilitiesFor<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let polynomial = self.polynomial().ok_or(Error::NoBackEnd)?;
        let (phases, found) = self.text_phases(text)?;
        self.conclude_q16(found, memory, |logits| polynomial.logits(&phases, logits))
    }

    /// Classifies a text by the compiled tensor train, without a statevector: `work` and `memory` are
    /// all it writes beside the stack. The prediction has no expectations. A train of integers is run
    /// without a floating-point operation, one of `f32` in `f32`.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no train; [`Error::WrongFrontEnd`] if it takes a vector.
    #[cfg(feature = "tensor-train")]
    pub fn classify_by_tensor_train<'s, const CLASSES: usize>(
        &self,
        text: &str,
        work: &mut Work,
        memory: &'s mut ProbabilitiesFor<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let train = self.tensor_train().ok_or(Error::NoBackEnd)?;
        if train.cores() != Cores::F32 {
            let (phases, found) = self.text_phases(text)?;
            // The cores are integers: it cannot fail.
            return self.conclude_q16(found, memory, |logits| {
                train.logits(&phases, work, logits).unwrap_or_default();
            });
        }
        let (mut angles, found) = self.text_features(text)?;
        self.meta.squash.apply(&mut angles);
        let logits = memory.0.get_mut(..self.classes()).ok_or(Error::BadClassCount)?;
        train.logits_f32(&angles, work, logits)?;
        self.conclude(&[], found, logits)
    }
}

/// All the memory that classification in 16-bit integers writes, beside the stack, for models of at most `CLASSES` classes.
#[cfg(feature = "statevector-i16")]
#[derive(Clone, Debug, Default)]
pub struct ScratchI16For<const CLASSES: usize> {
    state: StateI16,
    probabilities: ProbabilitiesFor<CLASSES>,
}

/// [`ScratchI16For`] as many classes as most boards take.
#[cfg(feature = "statevector-i16")]
pub type ScratchI16 = ScratchI16For<USUAL_CLASSES>;

#[cfg(feature = "statevector-i16")]
impl<const CLASSES: usize> ScratchI16For<CLASSES> {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self { state: StateI16::new(), probabilities: ProbabilitiesFor::new() }
    }
}

#[cfg(feature = "statevector-i16")]
impl Model<'_> {
    /// Classifies a text by the exact circuit in 16-bit integers. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`] if the model takes a vector.
    pub fn classify_i16<'s, const CLASSES: usize>(
        &self,
        text: &str,
        scratch: &'s mut ScratchI16For<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let (phases, found) = self.text_phases(text)?;
        self.finish_i16(&phases, found, scratch)
    }

    /// Classifies a vector likewise.
    ///
    /// # Errors
    /// [`Error::WrongFrontEnd`], [`Error::WrongInputLength`] or [`Error::InputNotFinite`].
    pub fn classify_vector_i16<'s, const CLASSES: usize>(
        &self,
        input: &[f32],
        scratch: &'s mut ScratchI16For<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let phases = self.vector_phases(input)?;
        self.finish_i16(&phases, whole(input), scratch)
    }

    /// The logits (Q16, one a class) that the circuit in 16-bit integers gives at encoder phases.
    pub fn logits_i16(&self, phases: &[u32; QUBITS], state: &mut StateI16, logits_q16: &mut [i32]) {
        let mut expectations = [0; MAX_OUTPUTS];
        self.program.run_i16(state, phases, &mut expectations);
        self.head.logits_q16(&expectations, logits_q16);
    }

    fn finish_i16<'s, const CLASSES: usize>(
        &self,
        phases: &[u32; QUBITS],
        found: Found,
        scratch: &'s mut ScratchI16For<CLASSES>,
    ) -> Result<Prediction<'s>, Error> {
        let ScratchI16For { state, probabilities } = scratch;
        self.conclude_q16(found, probabilities, |logits| self.logits_i16(phases, state, logits))
    }
}

#[cfg(all(feature = "micromath", feature = "statevector", feature = "neighbours"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::meta::MAX_CLASSES;
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
