//! Texts as the circuit sees them, and how a back end's decisions compare on them.

use crate::gradient::batch::Batch;
use crate::numeric::argmax;
use qdllm_runtime::circuit::affine::Affine;
use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::program::{Op, Program};
use qdllm_runtime::compiled::polynomial::Polynomial;
use qdllm_runtime::compiled::tensor_train::{Cores, TensorTrain, Work};
use qdllm_runtime::state::StateI16;
use qdllm_runtime::{Error, Model, QUBITS};
use rayon::prelude::*;

/// How much errors are enlarged to see how often decisions would change.
const ENLARGED: f32 = 16.0;
/// Texts whose errors are tried on each text.
const TRIALS: usize = 8;

pub struct CircuitInputs {
    pub angles: Vec<[f32; QUBITS]>,
    /// Encoder phases from the front end in integers, 2^32 one turn.
    pub phases: Vec<[u32; QUBITS]>,
    /// The statevector's logits less their mean, one row a text.
    pub logits: Vec<Vec<f32>>,
}

/// (1, cosine, sine) of every encoder angle.
pub type Circles = [[f64; 3]; QUBITS];

pub fn circles(angles: &[f32; QUBITS]) -> Circles {
    angles.map(|a| {
        let (sin, cos) = f64::from(a).sin_cos();
        [1.0, cos, sin]
    })
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    pub share: f64,
    /// The largest difference of a logit, less the mean over classes.
    pub largest_error: f32,
    /// The share expected to be decided otherwise on such texts, less noisy than `1 - share`.
    pub expected_loss: f64,
}

impl CircuitInputs {
    /// Runs the front end and the circuit on texts.
    pub fn new<'t>(
        model: &Model<'_>,
        texts: impl Iterator<Item = &'t String>,
    ) -> Result<Self, Error> {
        let batch = Batch::new(&circuit_of(model.program()), &[]);
        let (mut angles, mut phases) = (Vec::new(), Vec::new());
        for text in texts {
            let (mut features, _) = model.text_features(text)?;
            model.meta().squash.apply(&mut features);
            angles.push(features);
            phases.push(model.text_phases(text)?.0);
        }
        let inputs = batch.inputs();
        let flat: Vec<f32> = angles.iter().flat_map(|a| a[..inputs].iter().copied()).collect();
        let logits = batch
            .run(&flat)
            .chunks_exact(batch.outputs())
            .map(|e| {
                let mut logits = vec![0.0; model.classes()];
                model.head().logits(e, &mut logits);
                centred(logits)
            })
            .collect();
        Ok(Self { angles, phases, logits })
    }

    pub fn len(&self) -> usize {
        self.angles.len()
    }

    pub fn polynomial(&self, runtime: &Polynomial<'_>) -> Agreement {
        self.compare(|i| self.integers(i, |logits| runtime.logits(&self.phases[i], logits)))
    }

    pub fn tensor_train(&self, runtime: &TensorTrain<'_>) -> Agreement {
        self.compare(|i| {
            let (mut work, mut floats) = (Work::new(), vec![0.0; self.logits[i].len()]);
            let run = "the cores were asked about";
            if runtime.cores() == Cores::F32 {
                runtime.logits_f32(&self.angles[i], &mut work, &mut floats).expect(run);
                return floats;
            }
            self.integers(i, |out| runtime.logits(&self.phases[i], &mut work, out).expect(run))
        })
    }

    /// The circuit in 16-bit integers.
    pub fn statevector_i16(&self, model: &Model<'_>) -> Agreement {
        self.compare(|i| {
            let mut state = Box::new(StateI16::new());
            self.integers(i, |logits| model.logits_i16(&self.phases[i], &mut state, logits))
        })
    }

    /// What `run` gives for text number `i`, of its units of 1/65536.
    fn integers(&self, i: usize, run: impl FnOnce(&mut [i32])) -> Vec<f32> {
        let mut logits = vec![0; self.logits[i].len()];
        run(&mut logits);
        logits.iter().map(|&x| x as f32 / 65_536.0).collect()
    }

    /// Compares with what `logits` gives for text number `i` (up to a number added to all).
    ///
    /// The expected loss takes decisions as an experiment: every text's logits with errors of other
    /// texts, enlarged 16 times. Few logits lie near a border, so the share that changes grows in
    /// proportion to the error, and a sixteenth of it is what the error itself is worth.
    pub(super) fn compare(&self, logits: impl Fn(usize) -> Vec<f32> + Sync) -> Agreement {
        let errors: Vec<Vec<f32>> = (0..self.len())
            .into_par_iter()
            .map(|i| {
                let found = centred(logits(i));
                found.iter().zip(&self.logits[i]).map(|(a, b)| a - b).collect()
            })
            .collect();
        let moved = |i: usize, error: &[f32], by: f32| {
            let sum: Vec<f32> = self.logits[i].iter().zip(error).map(|(x, e)| x + by * e).collect();
            argmax(&sum) != argmax(&self.logits[i])
        };
        let changed = (0..self.len()).filter(|&i| moved(i, &errors[i], 1.0)).count();
        let largest_error = errors.iter().flatten().fold(0.0_f32, |most, e| most.max(e.abs()));
        let trials: usize = (0..self.len())
            .into_par_iter()
            .map(|i| {
                // Strides without a common pattern with the order of the texts.
                let other = |t: usize| &errors[(i + t * 97) % self.len()];
                let both = (0..TRIALS).flat_map(|t| [(t, ENLARGED), (t, -ENLARGED)]);
                both.filter(|&(t, by)| moved(i, other(t), by)).count()
            })
            .sum();
        Agreement {
            share: 1.0 - changed as f64 / self.len() as f64,
            largest_error,
            expected_loss: trials as f64 / (2 * TRIALS * self.len()) as f64 / f64::from(ENLARGED),
        }
    }
}

/// Adding a number to all logits changes no probability; their mean is taken as that number's zero.
fn centred(mut logits: Vec<f32>) -> Vec<f32> {
    let mean = logits.iter().sum::<f32>() / logits.len() as f32;
    logits.iter_mut().for_each(|x| *x -= mean);
    logits
}

/// A stored program as a fused circuit without parameters.
pub fn circuit_of(program: &Program<'_>) -> Fused {
    let constant = |x: f32| Affine { constant: f64::from(x), terms: Vec::new() };
    let ops = program.ops().map(|op| match op {
        Op::Phases(terms) => FusedOp::Phases(terms.map(|(mask, a)| (mask, constant(a))).collect()),
        Op::Ry(qubit, a) => FusedOp::Ry(qubit, constant(a)),
        Op::IndexMap(map) => FusedOp::IndexMap(map),
    });
    Fused { qubits: program.qubits() as u8, ops: ops.collect(), outputs: program.words().collect() }
}
