//! The front ends: a text or a vector to the 11 features, in floating point or in integers.

use crate::circuit::QUBITS;
use crate::error::Error;
use crate::format::floats::Floats;
use crate::integer::{features_q24, phases, phases_of_f32};
use crate::model::{Model, Tables};
use crate::text::ngram::grams;
use crate::text::pool::{Pool, ROW, pool};

/// The rows of a text, summed.
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

    pub(crate) fn features_without(
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

    pub(crate) fn vector_features(&self, input: &[f32]) -> Result<[f32; QUBITS], Error> {
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
}
