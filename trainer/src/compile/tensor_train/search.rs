//! The smallest tensor train that decides as the statevector does often enough, and the exact one.
//!
//! What a truncation drops is what matters least on texts ([`super::whitening`]); after each truncation
//! the cores are fitted to the calibration texts ([`super::least_squares`]).

use super::chain::Chain;
use super::error_bound::ErrorBound;
use super::gauge::Gauged;
use super::least_squares::{self, Features, Texts};
use super::mode_order;
use super::quantise::quantise;
use super::whitening::{Circles, Weighted, bases, circles, evenly};
use crate::compile::agreement::{Agreement, CircuitInputs};
use crate::compile::coefficients::Coefficients;
use crate::compile::error::CompileError;
use crate::compile::evaluate;
use crate::compile::task::{Compiled, Task};
use qdllm_runtime::Probabilities;
use qdllm_runtime::compiled::measured::Measured;
use qdllm_runtime::compiled::tensor_train::{Cores, MAX_BOND, TensorTrain, Work, section};

/// What an exact train may differ by at any input, as a share of the logits' size: with the `f32` of
/// the contraction, a millionth or so, it stays under 1e-5.
pub const EXACT: f64 = 8e-6;
/// By what the threshold of an exact train shrinks until it is sharp enough.
const STEP: f64 = 0.7;
/// Texts that fit the cores, at most.
const FITTED: usize = 3000;
const SWEEPS: usize = 2;
/// The widest bond that is fitted: wider ones are close to the circuit anyway.
const WIDEST_FITTED: usize = 12;
/// Bytes of an evaluation's memory: that of the contraction, and one number a class.
const RAM_BYTES: u32 = (size_of::<Work>() + size_of::<Probabilities>()) as u32;

/// The train of the circuit itself, in `f32`.
///
/// # Errors
/// [`CompileError::TooWide`] where a bond is wider than the runtime takes.
pub fn exact(task: &Task<'_>) -> Result<Compiled, CompileError> {
    let train = exact_train(Coefficients::of(task.model))?;
    match finish(task, &train, Cores::F32, &[])? {
        Some((compiled, _, reported)) if reported.share >= task.asked => Ok(compiled),
        Some((compiled, _, reported)) => {
            Err(task.out_of_reach("exact train", (compiled.made_of, reported)))
        }
        None => Err(qdllm_runtime::Error::BadBackEnd.into()),
    }
}

/// A train whose differences of logits are those of the coefficients to [`EXACT`] of the logits'
/// size (the root of their mean squares' sum), at every input.
///
/// The functions (1, sqrt 2 cosine, sqrt 2 sine) of `n` angles are `3^n` numbers of root sum square
/// `3^(n/2)`, so dropping singular values of root sum square `d` moves a difference of two logits by
/// `sqrt(2 3^n) d` at most. Making and rounding a train drops at each of `n` bonds twice at most `w`
/// values, the widest that a bond can be: a threshold of `allowed / (2 sqrt(3^n n w))` is always sharp
/// enough. Larger ones make smaller trains; the first is taken with which the coefficients that the
/// train then has are close enough to those asked for, which is proven or, where the proof would make
/// the train twice as large, searched for an input that contradicts it ([`ErrorBound::is_within`]).
///
/// # Errors
/// As [`exact`].
pub fn exact_train(tensor: Coefficients) -> Result<Gauged, CompileError> {
    let wanted = tensor.clone();
    let weighted = Weighted::new(tensor, evenly());
    let order = mode_order::search(&weighted.tensor, 1e-4 * weighted.size);
    let allowed = EXACT * weighted.size;
    let widest = (wanted.values.len() as f64).sqrt();
    let sharpest = allowed / (4.0 * (wanted.len() * wanted.qubits) as f64 * widest).sqrt();
    let whole = Chain::new(&weighted.tensor, &order, sharpest);
    let rounded = |threshold| {
        let mut chain = whole.clone();
        chain.round(threshold, usize::MAX);
        weighted.plain(chain)
    };
    let mut threshold = allowed;
    let mut chain = rounded(threshold);
    while threshold > sharpest
        && !ErrorBound::new(&wanted, &chain.coefficients()).is_within(allowed)
    {
        threshold *= STEP;
        chain = rounded(threshold);
    }
    let widest = chain.bonds().into_iter().max().unwrap_or(1);
    let fits = widest <= MAX_BOND;
    fits.then(|| Gauged::new(&chain)).flatten().ok_or(CompileError::TooWide { widest })
}

/// The train of the fewest multiply-adds that decides at least a share `task.asked` as the statevector
/// does; of equals that of the fewest bytes. Its cores are stored in one of the ways of `allowed`
/// (fewest bytes first); the next of these lists counts only where the one before reaches nothing.
///
/// # Errors
/// [`CompileError`]; with nothing good enough it names the best found.
pub fn truncated(task: &Task<'_>, allowed: &[&[Cores]]) -> Result<Compiled, CompileError> {
    let mut refused = None;
    for cores in allowed {
        match among(task, cores) {
            Err(error @ CompileError::OutOfReach { .. }) => refused = refused.or(Some(error)),
            done => return done,
        }
    }
    Err(refused.unwrap_or(CompileError::Runtime(qdllm_runtime::Error::NoBackEnd)))
}

fn among(task: &Task<'_>, allowed: &[Cores]) -> Result<Compiled, CompileError> {
    let used = &task.calibration.angles[..task.calibration.len().min(FITTED)];
    let weighted = Weighted::new(Coefficients::of(task.model), bases(used));
    let features: Vec<Features> = used.iter().map(|a| weighted.features(a)).collect();
    let targets: Vec<Vec<f64>> = task.calibration.logits[..used.len()]
        .iter()
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let texts = Texts { features: &features, logits: &targets };
    let circles: Vec<Circles> = used.iter().map(circles).collect();
    let chosen: Vec<Features> = task.choice.angles.iter().map(|a| weighted.features(a)).collect();

    let order = mode_order::search(&weighted.tensor, 0.02 * weighted.size);
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
            least_squares::fit(&mut chain, &texts, SWEEPS);
        }
        let agreement = task.choice.compare(|i| {
            least_squares::logits(&chain, &chosen[i]).iter().map(|&x| x as f32).collect()
        });
        let near = best.as_ref().is_none_or(|(_, b)| agreement.share > b.share);
        if !task.is_enough(&agreement) && !near {
            continue;
        }
        let Some(train) = Gauged::new(&weighted.plain(chain)) else { continue };
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
    let bytes = section(&measured, &chain);
    let runtime = TensorTrain::parse(&bytes, task.model.classes(), task.model.program().qubits())?;
    let compare = |seen: &CircuitInputs| seen.compare(|i| evaluate::train(&runtime, seen, i));
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
