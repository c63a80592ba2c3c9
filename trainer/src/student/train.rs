//! The training loop: emits events, prints nothing.

use super::backprop::Batcher;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::examples::{Examples, Sample};
use super::front_end::FrontEnd;
use super::loss::{LossWeights, loss};
use super::recipe::Recipe;
use super::shape::Shape;
use crate::numeric::argmax;
use crate::seed::stream;
use rand::RngCore;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub epoch: usize,
    /// Mean loss over the training texts, with dropout.
    pub train_loss: f64,
    pub valid: Judgement,
}

/// What the loop tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'e> {
    /// Texts trained on so far, over all epochs: for a progress bar.
    Texts(u64),
    Epoch(&'e Event),
}

/// How a student does on encoded texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub loss: f64,
    /// Share of labelled texts decided right; absent without labels.
    pub accuracy: Option<f64>,
    /// Share of texts decided as the teacher does; absent without a teacher.
    pub agreement: Option<f64>,
}

#[derive(Debug, Error)]
pub enum TrainError {
    /// The checkpoint cannot be used or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "training diverged in epoch {epoch}: the loss is not finite; lower --lr or --circuit-lr"
    )]
    Diverged { epoch: usize },
}

#[derive(Clone, Debug)]
pub struct Resume {
    pub path: PathBuf,
    pub fingerprint: String,
    pub every: Duration,
}

#[derive(Clone, Debug)]
pub struct Trained {
    pub theta: Vec<f32>,
    /// The epoch they are from, counted from 1.
    pub epoch: usize,
}

/// Trains a student for `epochs` epochs, or until its patience ends, and returns the parameters of the epoch with the
/// least validation loss.
///
/// # Errors
/// [`TrainError`]; the checkpoint then holds the last state that was good.
pub fn train<F: FrontEnd>(
    shape: &Shape<F>,
    recipe: &Recipe,
    epochs: usize,
    texts: &Examples<F::Item>,
    valid: &Examples<F::Item>,
    resume: Option<&Resume>,
    mut observe: impl FnMut(Moment<'_>),
) -> Result<Trained, TrainError> {
    let fresh = || {
        let fingerprint = resume.map(|r| r.fingerprint.clone()).unwrap_or_default();
        Checkpoint::fresh(fingerprint, shape.init(recipe.seed))
    };
    let mut state = match resume {
        Some(r) => Checkpoint::read(&r.path, &r.fingerprint)?.unwrap_or_else(fresh),
        None => fresh(),
    };
    let mut saved = Instant::now();
    let patience = recipe.patience.max(epochs / 5);
    while state.epochs < epochs && state.epochs < state.best_epoch + patience {
        let epoch = state.epochs + 1;
        let train_loss = pass(shape, recipe, epochs, texts, &mut state, &mut observe);
        let judged = judge(shape, &state.theta, recipe, valid);
        if !train_loss.is_finite() || !judged.loss.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        state.epochs = epoch;
        if judged.loss < state.best_loss {
            (state.best_loss, state.best_epoch) = (judged.loss, epoch);
            state.best.clone_from(&state.theta);
        }
        observe(Moment::Epoch(&Event { epoch, train_loss, valid: judged }));
        if let Some(r) = resume.filter(|r| saved.elapsed() >= r.every) {
            state.write(&r.path)?;
            saved = Instant::now();
        }
    }
    if let Some(r) = resume {
        state.write(&r.path)?;
    }
    Ok(Trained { theta: state.best, epoch: state.best_epoch })
}

/// The epochs that a run's checkpoint has done; 0 without one.
///
/// # Errors
/// [`CheckpointError`] as [`Checkpoint::read`].
pub fn epochs_done(path: &Path, fingerprint: &str) -> Result<usize, CheckpointError> {
    Ok(Checkpoint::read(path, fingerprint)?.map_or(0, |c| c.epochs))
}

/// One pass over the training texts; returns their mean loss.
fn pass<F: FrontEnd>(
    shape: &Shape<F>,
    recipe: &Recipe,
    epochs: usize,
    texts: &Examples<F::Item>,
    state: &mut Checkpoint,
    observe: &mut impl FnMut(Moment<'_>),
) -> f64 {
    let epoch = state.epochs + 1;
    let weights = weights(recipe, recipe.smoothing);
    let mut order: Vec<u32> = (0..texts.len() as u32).collect();
    order.shuffle(&mut stream(recipe.seed, &format!("shuffle {epoch}")));
    let dropout_key = stream(recipe.seed, &format!("dropout {epoch}")).next_u64();
    let steps = order.len().div_ceil(recipe.batch_size);
    let front = shape.weight_range();
    let mut total = 0.0;
    for (step, batch) in order.chunks(recipe.batch_size).enumerate() {
        observe(Moment::Texts((state.epochs * order.len() + step * recipe.batch_size) as u64));
        let done = (state.epochs * steps + step) as f32 / (epochs * steps) as f32;
        let left = if recipe.falls { 1.0 - done } else { 1.0 };
        let samples: Vec<Sample<'_, F::Item>> = batch
            .iter()
            .map(|&i| {
                let key = dropout_key ^ u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                texts.sample(i as usize, Some(key))
            })
            .collect();
        let mut gradient = vec![0.0; shape.parameters()];
        let batcher = Batcher::new(shape, &state.theta, recipe.dropout);
        total += batcher.gradient(&samples, &weights, &mut gradient) * batch.len() as f64;
        state.adam.step(&mut state.theta, &gradient, |i| {
            let (lr, decay) = if front.contains(&i) {
                (recipe.lr, recipe.weight_decay)
            } else {
                (recipe.circuit_lr, 0.0)
            };
            (lr * left, decay)
        });
    }
    total / order.len() as f64
}

fn weights(recipe: &Recipe, smoothing: f32) -> LossWeights {
    LossWeights { alpha: recipe.alpha, temperature: recipe.temperature, smoothing }
}

pub fn judge<F: FrontEnd>(
    shape: &Shape<F>,
    theta: &[f32],
    recipe: &Recipe,
    texts: &Examples<F::Item>,
) -> Judgement {
    let samples = texts.samples();
    let logits = Batcher::new(shape, theta, 0.0).logits(&samples);
    let weights = weights(recipe, 0.0);
    let mut unused = vec![0.0; shape.classes];
    let mut total = 0.0;
    let (mut right, mut labelled, mut agreed, mut taught) = (0, 0, 0, 0);
    for (sample, logits) in samples.iter().zip(&logits) {
        total += f64::from(loss(logits, sample.label, sample.teacher, &weights, &mut unused));
        let decided = argmax(logits);
        if let Some(label) = sample.label {
            labelled += 1;
            right += usize::from(decided == label);
        }
        if let Some(teacher) = sample.teacher {
            taught += 1;
            agreed += usize::from(decided == argmax(teacher));
        }
    }
    let share = |n: usize, of: usize| (of > 0).then(|| n as f64 / of as f64);
    Judgement {
        loss: total / samples.len().max(1) as f64,
        accuracy: share(right, labelled),
        agreement: share(agreed, taught),
    }
}
