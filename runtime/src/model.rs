//! A model borrowed from its file, and the one call from text to class.

use crate::circuit::QUBITS;
use crate::error::Error;
use crate::features::{Pool, ROW, Rows, pool};
use crate::format::{Container, Kind};
use crate::head::{Head, Prediction};
use crate::meta::{Front, Meta, QasmSource, Source, TOKEN_RULES, Texts};
#[cfg(feature = "polynomial")]
use crate::polynomial::Polynomial;
use crate::program::{MAX_OUTPUTS, Program};
use crate::state::StateVector;
use crate::table::Floats;
use crate::token::{GramKinds, grams};
use crate::vocab::Vocab;

/// Classes that a model may have.
pub const MAX_CLASSES: usize = 64;

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

/// A validated model; copies nothing out of the bytes that it was given.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    container: Container<'a>,
    meta: Meta,
    labels: &'a [u8],
    front: FrontEnd<'a>,
    program: Program<'a>,
    head: Head<'a>,
}

/// The front end's tables.
#[derive(Clone, Copy, Debug)]
enum FrontEnd<'a> {
    /// Vocabulary, rows, and the scale and bias of each dimension.
    Words { kinds: GramKinds, pool: Pool, vocab: Vocab<'a>, rows: Rows<'a>, scale: Floats<'a> },
    /// 11 x inputs weights, then 11 biases.
    Dense { inputs: usize, table: Floats<'a> },
}

impl<'a> Model<'a> {
    /// Reads a model from exactly its bytes.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the first thing that is.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let container = Container::parse(bytes)?;
        let meta = Meta::parse(container.need(Kind::Meta)?)?;
        let classes = meta.classes as usize;
        if !(2..=MAX_CLASSES).contains(&classes) {
            return Err(Error::BadClassCount);
        }
        let labels = container.need(Kind::Labels)?;
        Texts::parse(labels, Some(classes))?;
        let program = Program::parse(container.need(Kind::Program)?)?;
        let head = Head::parse(
            classes,
            program.outputs(),
            container.need(Kind::Head)?,
            meta.temperature,
            meta.reject_below,
        )?;
        let front = FrontEnd::parse(&container, meta.front)?;
        #[cfg(feature = "polynomial")]
        if let Some(section) = container.get(Kind::Polynomial) {
            Polynomial::parse(section, classes, program.qubits())?;
        }
        Ok(Self { container, meta, labels, front, program, head })
    }

    /// Reads a model from the front of a longer region, such as a flash partition.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`Error::LengthMismatch`] if the model is longer than the region.
    pub fn from_region(region: &'a [u8]) -> Result<Self, Error> {
        let length = Container::stated_length(region)?;
        Self::parse(region.get(..length).ok_or(Error::LengthMismatch)?)
    }

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
        let FrontEnd::Words { kinds, pool: pooling, vocab, rows, scale } = &self.front else {
            return Err(Error::WrongFrontEnd);
        };
        let all = grams(text, *kinds).enumerate();
        let kept = all.filter(|(i, _)| Some(*i) != skip).map(|(_, gram)| gram);
        let (sums, found) = pool(kept, vocab, rows);
        let divisor = pooling.divisor(found);
        let mut features = [0.0; ROW];
        for (i, (x, sum)) in features.iter_mut().zip(sums).enumerate() {
            *x = sum as f32 * scale.get(i) / divisor + scale.get(ROW + i);
        }
        Ok((features, found))
    }

    fn vector_features(&self, input: &[f32]) -> Result<[f32; QUBITS], Error> {
        let FrontEnd::Dense { inputs, table } = &self.front else {
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

    /// Classifies a text by the compiled polynomial, without a statevector: `memory` is all it writes
    /// beside the stack. The prediction has no expectations.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the model carries no polynomial; else as [`classify`](Self::classify).
    #[cfg(feature = "polynomial")]
    pub fn classify_by_polynomial<'s>(
        &self,
        text: &str,
        memory: &'s mut [f32; MAX_CLASSES],
    ) -> Result<Prediction<'s>, Error> {
        let polynomial = self.polynomial().ok_or(Error::NoBackEnd)?;
        let (mut angles, found) = self.text_features(text)?;
        self.meta.squash.apply(&mut angles);
        let probabilities = &mut memory[..self.classes().min(MAX_CLASSES)];
        polynomial.logits(&angles, probabilities);
        self.head.softmax(probabilities);
        Ok(Prediction {
            probabilities,
            expectations: &[],
            reject_below: self.meta.reject_below,
            found,
        })
    }

    /// The compiled polynomial, if the file carries it.
    #[cfg(feature = "polynomial")]
    pub fn polynomial(&self) -> Option<Polynomial<'a>> {
        let section = self.container.get(Kind::Polynomial)?;
        Polynomial::parse(section, self.classes(), self.program.qubits()).ok()
    }

    /// Classes of the model.
    pub fn classes(&self) -> usize {
        self.meta.classes as usize
    }

    /// The name of a class; empty for a class that the model does not have.
    pub fn label(&self, class: usize) -> &'a str {
        Texts::parse(self.labels, None).ok().and_then(|mut all| all.nth(class)).unwrap_or("")
    }

    /// Bytes of the model file.
    pub fn len_bytes(&self) -> usize {
        self.container.bytes().len()
    }

    /// The sections as they lie in the file.
    pub fn container(&self) -> &Container<'a> {
        &self.container
    }

    /// Sizes and settings.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The fused circuit.
    pub fn program(&self) -> &Program<'a> {
        &self.program
    }

    /// The head.
    pub fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// The vocabulary of a `words` model.
    pub fn vocab(&self) -> Option<&Vocab<'a>> {
        match &self.front {
            FrontEnd::Words { vocab, .. } => Some(vocab),
            FrontEnd::Dense { .. } => None,
        }
    }

    /// The circuit by its named angles, if the file carries it.
    pub fn source(&self) -> Option<Source<'a>> {
        self.container.get(Kind::Source).and_then(|section| Source::parse(section).ok())
    }

    /// The circuit as QASM with its named angles, if the file carries it.
    pub fn qasm(&self) -> Option<QasmSource<'a>> {
        self.container.get(Kind::Qasm).and_then(|section| QasmSource::parse(section).ok())
    }

    /// Where the model comes from, as (name, value) pairs; empty if the file does not say.
    pub fn provenance(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let section = self.container.get(Kind::Provenance).unwrap_or(&[0]);
        let mut texts = Texts::parse(section, None).ok();
        core::iter::from_fn(move || {
            let texts = texts.as_mut()?;
            Some((texts.next()?, texts.next()?))
        })
    }
}

impl<'a> FrontEnd<'a> {
    fn parse(container: &Container<'a>, front: Front) -> Result<Self, Error> {
        match front {
            Front::Words { token_rules, kinds, pool, rows, bucket_bits, row_bits } => {
                if token_rules != TOKEN_RULES {
                    return Err(Error::UnsupportedVersion);
                }
                let count = rows as usize;
                let (ends, keys) = (container.need(Kind::Buckets)?, container.need(Kind::Keys)?);
                let vocab = Vocab::parse(bucket_bits, count, ends, keys)?;
                let rows = Rows::parse(row_bits, count, container.need(Kind::Rows)?)?;
                let scale = Floats::parse(container.need(Kind::Scale)?, 2 * ROW, Error::BadRows)?;
                Ok(Self::Words { kinds, pool, vocab, rows, scale })
            }
            Front::Dense { inputs } => {
                let count = inputs as usize;
                if count == 0 {
                    return Err(Error::BadMeta);
                }
                let section = container.need(Kind::Dense)?;
                let table = Floats::parse(section, ROW * (count + 1), Error::BadDense)?;
                Ok(Self::Dense { inputs: count, table })
            }
        }
    }
}
