//! Compiles a trained model's circuit to its largest monomials, and measures what that costs.
//!
//! Every expectation is multilinear in (1, cos, sin) of each encoder angle, so three values of each
//! angle - 0 and a third of a turn either way - determine all `3^n` coefficients. Monomials are taken
//! by coefficient times standard deviation over the calibration texts, the means of those left out go
//! into the constant, and the first size that decides as the statevector does often enough is kept.

use crate::batch::Batch;
use crate::metrics::argmax;
use qdllm_runtime::fuse::{Affine, Fused, FusedOp};
use qdllm_runtime::polynomial::{MAX_MONOMIALS, Measured, Polynomial, section};
use qdllm_runtime::program::{Op, Program};
use qdllm_runtime::{MAX_CLASSES, Model, QUBITS};
use rayon::prelude::*;
use std::f64::consts::TAU;
use thiserror::Error;

/// Calibration texts from which the deviations of monomials are estimated, at most.
const ESTIMATED: usize = 2000;

/// Why nothing was compiled.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The share asked for is no share.
    #[error("--agreement is {0}; give more than 0, at most 1, for example 0.999")]
    Agreement(f64),
    /// Too few texts to calibrate and to report on.
    #[error(
        "{0} texts; at least {LEAST_TEXTS} are needed: every second one calibrates, the others are reported on"
    )]
    TooFewTexts(usize),
    /// No size was good enough.
    #[error(
        "nothing up to {MAX_MONOMIALS} monomials agrees on {asked} of the texts; the best found: {monomials} monomials agree on {reached:.4} of {texts} texts. Ask for less with --agreement {floor:.4}"
    )]
    OutOfReach {
        /// Share asked for.
        asked: f64,
        /// Monomials of the best.
        monomials: usize,
        /// Its share on the texts reported on.
        reached: f64,
        /// The same, rounded down for the remedy.
        floor: f64,
        /// Texts reported on.
        texts: usize,
    },
    /// The runtime refuses a text or the result.
    #[error(transparent)]
    Runtime(#[from] qdllm_runtime::Error),
}

/// Fewest texts that can be calibrated with and reported on.
pub const LEAST_TEXTS: usize = 20;

/// A compiled polynomial: its section and what is stated in it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Bytes of the section.
    pub section: Vec<u8>,
    /// Monomials kept.
    pub monomials: usize,
    /// What was measured.
    pub measured: Measured,
}

/// A stored program as a fused circuit without parameters.
pub fn circuit_of(program: &Program<'_>) -> Fused {
    let constant = |x: f32| Affine { constant: f64::from(x), terms: Vec::new() };
    let ops = program.ops().map(|op| match op {
        Op::Phases(terms) => FusedOp::Phases(terms.map(|(mask, a)| (mask, constant(a))).collect()),
        Op::Ry(qubit, a) => FusedOp::Ry(qubit, constant(a)),
        Op::Linear(map) => FusedOp::Linear(map),
    });
    Fused { qubits: program.qubits() as u8, ops: ops.collect(), outputs: program.words().collect() }
}

/// Texts as the circuit sees them: encoder angles, and the statevector's logits less their mean.
struct Seen {
    angles: Vec<[f32; QUBITS]>,
    logits: Vec<Vec<f32>>,
}

impl Seen {
    fn new<'t>(
        model: &Model<'_>,
        batch: &Batch,
        texts: impl Iterator<Item = &'t String>,
    ) -> Result<Self, CompileError> {
        let mut angles = Vec::new();
        for text in texts {
            let (mut features, _) = model.text_features(text)?;
            model.meta().squash.apply(&mut features);
            angles.push(features);
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
        Ok(Self { angles, logits })
    }

    /// The share decided alike, and the largest difference of a logit.
    fn compare(&self, polynomial: &Polynomial<'_>, classes: usize) -> (f64, f32) {
        let (mut alike, mut largest) = (0, 0.0_f32);
        for (angles, exact) in self.angles.iter().zip(&self.logits) {
            let mut logits = [0.0; MAX_CLASSES];
            polynomial.logits(angles, &mut logits[..classes]);
            let logits = centred(logits[..classes].to_vec());
            alike += usize::from(argmax(&logits) == argmax(exact));
            largest = logits.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
        }
        (alike as f64 / self.angles.len() as f64, largest)
    }
}

/// Adding a number to all logits changes no probability; their mean is taken as that number's zero.
fn centred(mut logits: Vec<f32>) -> Vec<f32> {
    let mean = logits.iter().sum::<f32>() / logits.len() as f32;
    logits.iter_mut().for_each(|x| *x -= mean);
    logits
}

/// The smallest polynomial that decides at least a share `agreement` of the texts as the statevector
/// does. Every second text chooses the monomials and the size; the share must also be reached, and is
/// reported, on the others.
///
/// # Errors
/// [`CompileError`]; with nothing good enough it names the best found.
pub fn polynomial(
    model: &Model<'_>,
    texts: &[String],
    agreement: f64,
) -> Result<Compiled, CompileError> {
    if !(agreement > 0.0 && agreement <= 1.0) {
        return Err(CompileError::Agreement(agreement));
    }
    if texts.len() < LEAST_TEXTS {
        return Err(CompileError::TooFewTexts(texts.len()));
    }
    let batch = Batch::new(&circuit_of(model.program()), &[]);
    let calibration = Seen::new(model, &batch, texts.iter().step_by(2))?;
    let report = Seen::new(model, &batch, texts.iter().skip(1).step_by(2))?;
    let ranked = ranked(model, &batch, &calibration);
    let mut best = (0, 0.0);
    let mut count = 1;
    while count <= ranked.order.len().min(MAX_MONOMIALS) {
        let mut compiled = ranked.take(count, agreement, &report)?;
        let polynomial = Polynomial::parse(&compiled.section, model.classes(), batch.inputs())?;
        let (share, _) = calibration.compare(&polynomial, model.classes());
        if share >= agreement {
            let (share, error) = report.compare(&polynomial, model.classes());
            if share > best.1 {
                best = (count, share);
            }
            if share >= agreement {
                compiled.measured.agreement = share as f32;
                compiled.measured.largest_logit_error = error;
                return ranked.finish(compiled);
            }
        } else if best.1 == 0.0 || count * 21 / 20 + 1 > MAX_MONOMIALS {
            let (share, _) = report.compare(&polynomial, model.classes());
            if share > best.1 {
                best = (count, share);
            }
        }
        count = (count * 21 / 20).max(count + 1);
    }
    Err(CompileError::OutOfReach {
        asked: agreement,
        monomials: best.0,
        reached: best.1,
        floor: (best.1 * 1e4).floor() / 1e4,
        texts: report.angles.len(),
    })
}

/// All monomials of the logits, the most telling first.
struct Ranked {
    qubits: usize,
    classes: usize,
    /// By monomial (base 3, digit of qubit `q` is 1 for cosine, 2 for sine), one row a class.
    weights: Vec<f32>,
    /// Mean of each monomial over the calibration texts.
    means: Vec<f32>,
    /// Monomials other than the constant.
    order: Vec<u32>,
    /// The mean logits: what the constant is when every other monomial is at its mean.
    centre: Vec<f64>,
}

fn ranked(model: &Model<'_>, batch: &Batch, texts: &Seen) -> Ranked {
    let (qubits, classes) = (batch.inputs(), model.classes());
    let size = 3_usize.pow(qubits as u32);
    let weights = coefficients(model, batch);
    let used = &texts.angles[..texts.angles.len().min(ESTIMATED)];
    let (sums, squares) = used
        .par_chunks(64)
        .map(|texts| {
            let (mut sums, mut squares) = (vec![0.0_f32; size], vec![0.0_f32; size]);
            let mut values = vec![0.0_f32; size];
            for angles in texts {
                values[0] = 1.0;
                let mut filled = 1;
                for angle in &angles[..qubits] {
                    let (sin, cos) = angle.sin_cos();
                    for i in 0..filled {
                        values[filled + i] = values[i] * cos;
                        values[2 * filled + i] = values[i] * sin;
                    }
                    filled *= 3;
                }
                for ((sum, square), v) in sums.iter_mut().zip(&mut squares).zip(&values) {
                    *sum += v;
                    *square += v * v;
                }
            }
            (sums, squares)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .fold((vec![0.0; size], vec![0.0; size]), |(mut a, mut b), (c, d)| {
            a.iter_mut().zip(c).for_each(|(a, c)| *a += c);
            b.iter_mut().zip(d).for_each(|(b, d)| *b += d);
            (a, b)
        });
    let count = used.len() as f32;
    let means: Vec<f32> = sums.iter().map(|s| s / count).collect();
    let mut scores: Vec<(f32, u32)> = (1..size)
        .map(|m| {
            let variance = (squares[m] / count - means[m] * means[m]).max(0.0);
            let row = &weights[m * classes..(m + 1) * classes];
            (row.iter().map(|w| w * w).sum::<f32>() * variance, m as u32)
        })
        .collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let centre = (0..classes)
        .map(|c| (0..size).map(|m| f64::from(weights[m * classes + c]) * f64::from(means[m])).sum())
        .collect();
    let order = scores.into_iter().take(MAX_MONOMIALS).map(|(_, m)| m).collect();
    Ranked { qubits, classes, weights, means, order, centre }
}

/// Weight of every monomial in every logit (less the mean over classes).
fn coefficients(model: &Model<'_>, batch: &Batch) -> Vec<f32> {
    let (qubits, classes) = (batch.inputs(), model.classes());
    let size = 3_usize.pow(qubits as u32);
    #[allow(clippy::cast_possible_truncation)]
    let angles: Vec<f32> = (0..size)
        .flat_map(|i| (0..qubits).map(move |q| (i / 3_usize.pow(q as u32) % 3) as f64))
        .map(|digit| (digit * TAU / 3.0) as f32)
        .collect();
    let mut values = vec![0.0_f32; size * classes];
    for (row, e) in
        values.chunks_exact_mut(classes).zip(batch.run(&angles).chunks_exact(batch.outputs()))
    {
        model.head().logits(e, row);
        let mean = row.iter().sum::<f32>() / classes as f32;
        row.iter_mut().for_each(|x| *x -= mean);
    }
    // Along each qubit: values at three angles to weights of 1, cosine and sine.
    let half_root = 3.0_f32.sqrt() / 2.0;
    for q in 0..qubits {
        let step = 3_usize.pow(q as u32) * classes;
        for block in values.chunks_exact_mut(3 * step) {
            let (zero, rest) = block.split_at_mut(step);
            let (one, two) = rest.split_at_mut(step);
            for ((a, b), c) in zero.iter_mut().zip(one).zip(two) {
                let (f0, f1, f2) = (*a, *b, *c);
                *a = (f0 + f1 + f2) / 3.0;
                *b = (2.0 * f0 - f1 - f2) / 3.0;
                *c = 2.0 / 3.0 * half_root * (f1 - f2);
            }
        }
    }
    values
}

impl Ranked {
    /// The masks of a monomial.
    fn masks(&self, monomial: u32) -> (u16, u16) {
        let digit = |q: usize| monomial as usize / 3_usize.pow(q as u32) % 3;
        (0..self.qubits).fold((0, 0), |(c, s), q| {
            (c | u16::from(digit(q) == 1) << q, s | u16::from(digit(q) == 2) << q)
        })
    }

    /// The section of the constant and the first `count` monomials; what is measured is still open.
    fn take(&self, count: usize, asked: f64, report: &Seen) -> Result<Compiled, CompileError> {
        let row = |m: u32| &self.weights[m as usize * self.classes..][..self.classes];
        let kept = &self.order[..count.min(self.order.len()).min(MAX_MONOMIALS - 1)];
        let mut constant = self.centre.clone();
        let mut factors = 0;
        let mut monomials = vec![(0, 0, Vec::new())];
        for &m in kept {
            let mean = f64::from(self.means[m as usize]);
            constant.iter_mut().zip(row(m)).for_each(|(c, w)| *c -= f64::from(*w) * mean);
            let (cosines, sines) = self.masks(m);
            factors += (cosines.count_ones() + sines.count_ones()).saturating_sub(1);
            monomials.push((cosines, sines, row(m).to_vec()));
        }
        monomials[0].2 = constant.iter().map(|&c| c as f32).collect();
        let measured = Measured {
            asked: asked as f32,
            agreement: 0.0,
            texts: report.angles.len() as u32,
            largest_logit_error: 0.0,
            multiply_adds: factors + (monomials.len() * self.classes) as u32,
        };
        let section = section(&measured, &monomials)?;
        Ok(Compiled { section, monomials: monomials.len(), measured })
    }

    /// Writes what was measured into the section.
    fn finish(&self, compiled: Compiled) -> Result<Compiled, CompileError> {
        let polynomial = Polynomial::parse(&compiled.section, self.classes, self.qubits)?;
        let monomials: Vec<(u16, u16, Vec<f32>)> =
            polynomial.monomials().map(|m| (m.cosines, m.sines, m.weights().collect())).collect();
        Ok(Compiled { section: section(&compiled.measured, &monomials)?, ..compiled })
    }
}
