//! A model laid out on a processor: text to circuits, counts to an answer.

use crate::processor::Processor;
use crate::readout::{Answer, BitError, Counts, LinearHead, Part, answer, not_undone};
use crate::transpile::source::Source;
use crate::transpile::{Compiled, Options, Plan};
use anyhow::Result;
use qdllm_runtime::Model;

/// A model whose circuit has been laid out once; each text only sets angles (under 5 ms a text).
#[derive(Clone, Debug)]
pub struct Deployment<'m> {
    pub model: Model<'m>,
    pub head: LinearHead,
    plan: Plan,
}

impl<'m> Deployment<'m> {
    pub fn new(model: &Model<'m>, processor: &Processor, options: Options) -> Result<Self> {
        let plan = Plan::new(Source::from_model(model), processor, options)?;
        Ok(Self { model: *model, head: LinearHead::of(model)?, plan })
    }

    pub fn compile(&self, text: &str) -> Result<Vec<Compiled>> {
        self.plan.compile(&inputs_of(&self.model, text)?)
    }

    /// The decision that the counts of a text's circuits give, in the order of its circuits; with
    /// `undo`, read-out errors that the processor publishes are undone.
    pub fn answer(&self, circuits: &[Compiled], counts: &[Counts], undo: bool) -> Result<Answer> {
        let errors = circuits.iter().enumerate().map(|(i, c)| {
            let known = || {
                bit_errors(c, |q| self.plan.processor.bit_error(q))
                    .map_err(|bit| not_undone(i + 1, bit))
            };
            undo.then(known).transpose()
        });
        self.answer_with(circuits, counts, &errors.collect::<Result<Vec<_>, _>>()?)
    }

    /// As [`answer`](Self::answer), undoing the read-out errors that are given for each circuit, one a
    /// classical bit.
    pub fn answer_with(
        &self,
        circuits: &[Compiled],
        counts: &[Counts],
        errors: &[Option<Vec<BitError>>],
    ) -> Result<Answer> {
        let parts: Vec<Part<'_>> = circuits
            .iter()
            .zip(counts)
            .zip(errors)
            .map(|((c, counts), e)| Part {
                weight: c.weight,
                readouts: &c.readouts,
                counts,
                errors: e.as_deref(),
            })
            .collect();
        answer(&self.head, &parts)
    }
}

/// The encoder angles (radians) that a model gives to a text; an error when it takes vectors.
pub fn inputs_of(model: &Model<'_>, text: &str) -> Result<Vec<f64>, qdllm_runtime::Error> {
    let (mut features, _) = model.text_features(text)?;
    model.meta().squash.apply(&mut features);
    Ok(features.iter().map(|&x| f64::from(x)).collect())
}

/// The read-out error of each classical bit of a circuit, or the first bit whose qubit's error is unknown.
pub fn bit_errors(
    compiled: &Compiled,
    of: impl Fn(u8) -> Option<BitError>,
) -> Result<Vec<BitError>, usize> {
    let mut all = vec![BitError::default(); compiled.circuit.bits];
    for &(qubit, bit) in &compiled.circuit.measures {
        all[bit as usize] = of(qubit).ok_or(bit as usize)?;
    }
    Ok(all)
}
