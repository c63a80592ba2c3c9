//! The smallest tensor train that decides as the statevector does often enough, and the exact one.
//!
//! The functions (1, cosine, sine) of each qubit are turned into three that are uncorrelated and of
//! equal size over the calibration texts, so that what a truncation drops is what matters least on
//! texts. After each truncation the cores are fitted to the calibration texts ([`super::fit`]).

use super::chain::{Chain, Mode};
use super::coefficients::Coefficients;
use super::fit::{self, Features, Texts};
use super::gauge::Gauged;
use super::quantise::{Circles, quantise};
use super::seen::{Agreement, Seen, from_q16};
use super::{CompileError, Compiled, Task, order};
use nalgebra::Matrix3;
use qdllm_runtime::measured::Measured;
use qdllm_runtime::train::{Cores, MAX_BOND, Train, Work, section};
use qdllm_runtime::{MAX_CLASSES, QUBITS};

/// What may be dropped of an exact train, as a share of the logits' size.
const EXACT: f64 = 4e-7;
/// Texts that fit the cores, at most.
const FITTED: usize = 3000;
/// Passes of the fit.
const SWEEPS: usize = 2;
/// The widest bond that is fitted: wider ones are close to the circuit anyway.
const WIDEST_FITTED: usize = 12;
/// Bytes of an evaluation's memory: that of the contraction, and one number a class.
const RAM_BYTES: u32 = (size_of::<Work>() + 4 * MAX_CLASSES) as u32;

/// The train of the circuit itself, in `f32`.
///
/// # Errors
/// [`CompileError::OutOfReach`] where a bond is wider than the runtime takes.
pub fn exact(task: &Task<'_>) -> Result<Compiled, CompileError> {
    let bases =
        [Matrix3::from_diagonal(&nalgebra::Vector3::new(1.0, 0.5_f64.sqrt(), 0.5_f64.sqrt()));
            QUBITS];
    let weighted = Weighted::new(task, bases);
    let order = order::search(&weighted.tensor, 1e-4 * weighted.size);
    let mut chain = Chain::new(&weighted.tensor, &order, EXACT * weighted.size);
    chain.round(EXACT * weighted.size, usize::MAX);
    let plain = weighted.plain(&chain);
    let widest = chain.bonds().into_iter().max().unwrap_or(1);
    let train = if widest > MAX_BOND { None } else { Gauged::new(&plain) };
    let Some(train) = train else {
        let none = Agreement { share: 0.0, largest_error: 0.0, expected_loss: 0.0 };
        let best = format!("the exact one, whose widest bond is {widest},");
        return Err(task.out_of_reach(&format!("train with bonds up to {MAX_BOND}"), (best, none)));
    };
    let (compiled, _, _) = finish(task, &train, Cores::F32, &[])?
        .ok_or(CompileError::Runtime(qdllm_runtime::Error::BadBackEnd))?;
    Ok(compiled)
}

/// The train of the fewest multiply-adds that decides at least a share `task.asked` as the statevector
/// does; of equals that of the fewest bytes. Its cores are stored in one of the ways of `allowed`
/// (fewest bytes first).
///
/// # Errors
/// [`CompileError`]; with nothing good enough it names the best found.
pub fn truncated(task: &Task<'_>, allowed: &[Cores]) -> Result<Compiled, CompileError> {
    let used = &task.calibration.angles[..task.calibration.len().min(FITTED)];
    let weighted = Weighted::new(task, bases(used));
    let features: Vec<Features> = used.iter().map(|a| weighted.features(a)).collect();
    let targets: Vec<Vec<f64>> = task.calibration.logits[..used.len()]
        .iter()
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let texts = Texts { features: &features, logits: &targets };
    let circles: Vec<Circles> = used.iter().map(circles).collect();
    let chosen: Vec<Features> = task.choice.angles.iter().map(|a| weighted.features(a)).collect();

    let order = order::search(&weighted.tensor, 0.02 * weighted.size);
    let whole = Chain::new(&weighted.tensor, &order, 1e-4 * weighted.size);
    let mut best: Option<(String, Agreement)> = None;
    let mut threshold = 0.5 * weighted.size;
    let mut before = Vec::new();
    while threshold > 2e-4 * weighted.size {
        let mut chain = whole.clone();
        chain.round(threshold, MAX_BOND);
        threshold *= 0.85;
        if chain.bonds() == before {
            continue;
        }
        before = chain.bonds();
        if before.iter().all(|&bond| bond <= WIDEST_FITTED) {
            fit::fit(&mut chain, &texts, SWEEPS);
        }
        let agreement = task
            .choice
            .compare(|i| fit::logits(&chain, &chosen[i]).iter().map(|&x| x as f32).collect());
        let near = best.as_ref().is_none_or(|(_, b)| agreement.share > b.share);
        if !task.is_enough(&agreement) && !near {
            continue;
        }
        let Some(train) = Gauged::new(&weighted.plain(&chain)) else { continue };
        for &cores in allowed {
            let Some((compiled, chose, reported)) = finish(task, &train, cores, &circles)? else {
                continue;
            };
            if task.is_enough(&chose) && reported.share >= task.asked {
                return Ok(compiled);
            }
            if best.as_ref().is_none_or(|(_, b)| reported.share > b.share) {
                best = Some((compiled.made_of, reported));
            }
        }
    }
    let none =
        || ("none".to_owned(), Agreement { share: 0.0, largest_error: 0.0, expected_loss: 0.0 });
    Err(task.out_of_reach(&format!("train with bonds up to {MAX_BOND}"), best.unwrap_or_else(none)))
}

/// Coefficients by three uncorrelated functions of each angle.
struct Weighted {
    tensor: Coefficients,
    /// The functions are the inverse of this lower triangle times (1, cosine, sine).
    inverses: [Matrix3<f64>; QUBITS],
    /// Root of the sum of squares of the logits' mean.
    size: f64,
}

impl Weighted {
    fn new(task: &Task<'_>, bases: [Matrix3<f64>; QUBITS]) -> Self {
        let mut tensor = Coefficients::of(task.model, &task.batch);
        for (q, basis) in bases.iter().enumerate().take(tensor.qubits) {
            let turned = basis.transpose();
            tensor.along(q, &std::array::from_fn(|i| std::array::from_fn(|j| turned[(i, j)])));
        }
        let size = tensor.values.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A triangle without zeros on its diagonal has an inverse.
        let inverses = bases.map(|b| b.try_inverse().unwrap_or_else(Matrix3::identity));
        Self { tensor, inverses, size }
    }

    fn features(&self, angles: &[f32; QUBITS]) -> Features {
        let circles = circles(angles);
        std::array::from_fn(|q| {
            let turned = self.inverses[q] * nalgebra::Vector3::from(circles[q]);
            [turned[0], turned[1], turned[2]]
        })
    }

    /// A chain of these functions as one of (1, cosine, sine).
    fn plain(&self, chain: &Chain) -> Chain {
        let mut plain = chain.clone();
        for core in &mut plain.cores {
            let Mode::Qubit(q) = core.mode else { continue };
            let right = core.right;
            for block in core.data.chunks_exact_mut(3 * right) {
                for b in 0..right {
                    let old =
                        nalgebra::Vector3::new(block[b], block[right + b], block[2 * right + b]);
                    let new = self.inverses[q].transpose() * old;
                    (block[b], block[right + b], block[2 * right + b]) = (new[0], new[1], new[2]);
                }
            }
        }
        plain
    }
}

/// Triangles `L` with `L L^T` the second moments of (1, cosine, sine) on texts, mixed with a little of
/// those of angles all round the circle, so that no direction is left out.
fn bases(angles: &[[f32; QUBITS]]) -> [Matrix3<f64>; QUBITS] {
    let all: Vec<Circles> = angles.iter().map(circles).collect();
    std::array::from_fn(|q| {
        let sum: Matrix3<f64> =
            all.iter().map(|c| nalgebra::Vector3::from(c[q])).map(|v| v * v.transpose()).sum();
        let round = Matrix3::from_diagonal(&nalgebra::Vector3::new(1.0, 0.5, 0.5));
        let moments = sum / angles.len() as f64 * 0.99 + round * 0.01;
        moments.cholesky().map_or_else(Matrix3::identity, |c| c.l())
    })
}

fn circles(angles: &[f32; QUBITS]) -> Circles {
    angles.map(|a| {
        let (sin, cos) = f64::from(a).sin_cos();
        [1.0, cos, sin]
    })
}

/// Rounds a train and measures what the runtime makes of it: the section, its agreement on the texts
/// that choose and on those that are reported on. None where integers cannot hold it.
fn finish(
    task: &Task<'_>,
    train: &Gauged,
    cores: Cores,
    texts: &[Circles],
) -> Result<Option<(Compiled, Agreement, Agreement)>, CompileError> {
    let Some(chain) = quantise(train, cores, texts) else { return Ok(None) };
    let mut measured = Measured {
        asked: task.asked as f32,
        agreement: 0.0,
        texts: task.report.len() as u32,
        largest_logit_error: 0.0,
        multiply_adds: train.multiply_adds() as u32,
        ram_bytes: RAM_BYTES,
    };
    let classes = task.model.classes();
    let bytes = section(&measured, &chain);
    let runtime = Train::parse(&bytes, classes, task.model.program().qubits())?;
    let compare = |seen: &Seen| seen.compare(|i| logits(&runtime, classes, seen, i));
    let (chosen, reported) = (compare(&task.choice), compare(&task.report));
    measured.agreement = reported.share as f32;
    measured.largest_logit_error = reported.largest_error;
    let stored = match cores {
        Cores::F32 => "f32",
        Cores::I16 => "i16",
        Cores::I8 => "i8",
    };
    let bonds: Vec<String> = train.sites().map(|site| site.bond.to_string()).collect();
    let (left, right) = bonds.split_at(train.left.len());
    let right: Vec<String> = right.iter().rev().cloned().collect();
    let made_of = format!("{stored} cores, bonds {} | {}", left.join(" "), right.join(" "));
    let section = section(&measured, &chain);
    Ok(Some((Compiled { section, made_of, measured }, chosen, reported)))
}

fn logits(train: &Train<'_>, classes: usize, seen: &Seen, i: usize) -> Vec<f32> {
    let mut work = Work::new();
    if train.cores() == Cores::F32 {
        let mut logits = vec![0.0; classes];
        // The cores were just asked about.
        let _ = train.logits_f32(&seen.angles[i], &mut work, &mut logits);
        logits
    } else {
        let mut logits = vec![0; classes];
        let _ = train.logits(&seen.phases[i], &mut work, &mut logits);
        from_q16(&logits)
    }
}
