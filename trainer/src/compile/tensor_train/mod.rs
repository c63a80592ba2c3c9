//! The circuit as a tensor train: how it is factored, ordered, fitted to texts, rounded and stored.
//!
//! Two are made: the exact one, and the smallest that decides as the statevector does often enough. What a truncation
//! drops is what matters least on texts; after each the cores are fitted to the calibration texts (`least_squares`).

mod chain;
mod error_bound;
mod least_squares;
pub mod quantise;

use super::agreement::{Circles, circles};
use super::coefficients::Coefficients;
use super::{Best, Compiled, Task, Tried};
use crate::seed::stream;
use anyhow::{Context as _, Result};
use chain::{Chain, Mode};
use error_bound::ErrorBound;
use least_squares::{Texts, Weighted, bases, evenly};
use qdllm_runtime::compiled::tensor_train::{Cores, MAX_BOND, TensorTrain, Work, section};
use qdllm_runtime::{Error, Probabilities};
use quantise::{Gauged, Site, quantise};
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// What an exact train may differ by at any input, as a share of the logits' size: with the `f32` of
/// the contraction, a millionth or so, it stays under 1e-5.
pub const EXACT: f64 = 8e-6;
/// By what the threshold of an exact train shrinks until it is sharp enough.
const STEP: f64 = 0.7;
/// Texts that fit the cores, at most.
const FITTED: usize = 3000;
const SWEEPS: usize = 2;
/// Random orders that a search begins with, and its passes over a chain at most.
const ORDERS: usize = 8;
const EXCHANGES: usize = 12;
/// The widest bond that is fitted: wider ones are close to the circuit anyway.
const WIDEST_FITTED: usize = 12;
/// Bytes of an evaluation's memory: that of the contraction, and one number a class.
const RAM_BYTES: usize = size_of::<Work>() + size_of::<Probabilities>();

/// The train of the circuit itself, in `f32`.
pub fn exact(task: &Task<'_>) -> Result<Compiled> {
    let train = exact_train(Coefficients::of(task.model))?;
    let tried = finish(task, &train, Cores::F32, &[])?.ok_or(Error::BadBackEnd)?;
    if tried.reported.share >= task.asked {
        return Ok(tried.compiled);
    }
    Err(task.out_of_reach("exact train", Some((tried.compiled.made_of, tried.reported))))
}

/// A train whose differences of logits are those of the coefficients to [`EXACT`] of the logits'
/// size (the root of their mean squares' sum), at every input.
///
/// The functions (1, sqrt 2 cosine, sqrt 2 sine) of `n` angles are `3^n` numbers of root sum square `3^(n/2)`, so
/// dropping singular values of root sum square `d` moves a difference of two logits by `sqrt(2 3^n) d` at most. Making
/// and rounding a train drops at each of `n` bonds twice at most `w` values, the widest that a bond can be: a threshold
/// of `allowed / (2 sqrt(3^n n w))` is always sharp enough. Larger ones make smaller trains; the first is taken with
/// which the coefficients that the train then has are close enough to those asked for, which is proven or, where the
/// proof would make the train twice as large, searched for an input that contradicts it (`ErrorBound::is_within`).
pub fn exact_train(tensor: Coefficients) -> Result<Gauged> {
    let wanted = tensor.clone();
    let weighted = Weighted::new(tensor, evenly());
    let order = order_of(&weighted.tensor, 1e-4 * weighted.size);
    let allowed = EXACT * weighted.size;
    let widest = (wanted.values.len() as f64).sqrt();
    let sharpest = allowed / (4.0 * (wanted.monomials() * wanted.qubits) as f64 * widest).sqrt();
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
    // The circuit is too entangled for an exact train.
    fits.then(|| Gauged::new(&chain)).flatten().with_context(|| {
        format!(
            "the exact train has a bond of {widest}, wider than the {MAX_BOND} that the runtime takes; compile a truncated one with --agreement"
        )
    })
}

/// The train of the fewest multiply-adds that decides at least a share `task.asked` as the statevector
/// does; of equals that of the fewest bytes. Its cores are stored in one of the ways of `allowed`
/// (fewest bytes first); the next of these lists counts only where the one before reaches nothing.
///
/// With nothing good enough the error names the best found.
pub fn truncated(task: &Task<'_>, allowed: &[&[Cores]]) -> Result<Compiled> {
    let mut refused: Best = None;
    for cores in allowed {
        match among(task, cores)? {
            Ok(done) => return Ok(done),
            Err(best) => refused = refused.or(best),
        }
    }
    Err(task.out_of_reach(&format!("train with bonds up to {MAX_BOND}"), refused))
}

fn among(task: &Task<'_>, allowed: &[Cores]) -> Result<Result<Compiled, Best>> {
    let used = &task.calibration.angles[..task.calibration.len().min(FITTED)];
    let weighted = Weighted::new(Coefficients::of(task.model), bases(used));
    let features: Vec<Circles> = used.iter().map(|a| weighted.features(a)).collect();
    let targets: Vec<Vec<f64>> = task.calibration.logits[..used.len()]
        .iter()
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let texts = Texts { features: &features, logits: &targets };
    let circles: Vec<Circles> = used.iter().map(circles).collect();
    let chosen: Vec<Circles> = task.choice.angles.iter().map(|a| weighted.features(a)).collect();

    let order = order_of(&weighted.tensor, 0.02 * weighted.size);
    let whole = Chain::new(&weighted.tensor, &order, 1e-4 * weighted.size);
    let mut best: Best = None;
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
            let logits = least_squares::logits(&chain, &chosen[i]);
            logits.iter().map(|&x| x as f32).collect()
        });
        let near = best.as_ref().is_none_or(|(_, b)| agreement.share > b.share);
        if !task.is_enough(&agreement) && !near {
            continue;
        }
        let Some(train) = Gauged::new(&weighted.plain(chain)) else { continue };
        for &cores in allowed {
            let Some(tried) = finish(task, &train, cores, &circles)? else { continue };
            let name = tried.compiled.made_of.clone();
            if let Some(done) = task.accept(tried, &name, &mut best) {
                return Ok(Ok(done));
            }
        }
    }
    Ok(Err(best))
}

/// Rounds a train and measures what the runtime makes of it. None where integers cannot hold it.
fn finish(
    task: &Task<'_>,
    train: &Gauged,
    cores: Cores,
    texts: &[Circles],
) -> Result<Option<Tried>> {
    let Some(chain) = quantise(train, cores, texts) else { return Ok(None) };
    let stored = format!("{cores:?}").to_lowercase();
    let bonds = |sites: Vec<&Site>| -> String {
        sites.iter().map(|site| site.bond.to_string()).collect::<Vec<_>>().join(" ")
    };
    let left = bonds(train.left.iter().collect());
    let right = bonds(train.right.iter().rev().collect());
    let (classes, qubits) = (task.model.classes(), task.model.program().qubits());
    let tried = task.measure(
        format!("{stored} cores, bonds {left} | {right}"),
        (train.multiply_adds(), RAM_BYTES),
        |measured| section(measured, &chain),
        |bytes, texts| Ok(texts.tensor_train(&TensorTrain::parse(bytes, classes, qubits)?)),
    )?;
    Ok(Some(tried))
}

/// The order of a train: which qubits stand beside which, and where the classes' leg is.
///
/// From several beginnings, neighbours are exchanged wherever that narrows a bond, there and back
/// until nothing changes; the cheapest chain found with singular values under `threshold` dropped wins.
fn order_of(tensor: &Coefficients, threshold: f64) -> Vec<Mode> {
    let n = tensor.qubits;
    let with_leg = |qubits: &[usize], at: usize| {
        let mut modes: Vec<Mode> = qubits.iter().map(|&q| Mode::Qubit(q)).collect();
        modes.insert(at, Mode::Leg);
        modes
    };
    let natural: Vec<usize> = (0..n).collect();
    let mut starts: Vec<Vec<Mode>> =
        [0, n / 3, n / 2, 2 * n / 3, n].iter().map(|&at| with_leg(&natural, at)).collect();
    let mut random = stream(0, "order of a train");
    for i in 0..ORDERS {
        let mut qubits = natural.clone();
        qubits.shuffle(&mut random);
        starts.push(with_leg(&qubits, i * n / ORDERS));
    }
    let found: Vec<(usize, Vec<Mode>)> = starts
        .into_par_iter()
        .map(|modes| {
            let chain = settled(Chain::new(tensor, &modes, threshold), threshold);
            (chain.multiply_adds(tensor.classes - 1), chain.modes())
        })
        .collect();
    // The first of equals, so that threads change nothing.
    found.into_iter().min_by_key(|(cost, _)| *cost).map_or(with_leg(&natural, n), |(_, m)| m)
}

fn settled(mut chain: Chain, threshold: f64) -> Chain {
    let last = chain.cores.len() - 1;
    chain.centre_at_first();
    for _ in 0..EXCHANGES {
        let mut changed = false;
        for k in 0..last {
            changed |= chain.exchange(k, threshold);
        }
        for k in (1..=last).rev() {
            chain.step_left(k);
        }
        if !changed {
            break;
        }
    }
    chain
}
