//! The training loop: emits events, prints nothing.

use super::backprop::Batcher;
use super::checkpoint::Checkpoint;
use super::front_end::{Examples, FrontEnd, Sample};
use super::loss::{LossWeights, loss};
use super::shape::Shape;
use crate::numeric::argmax;
use crate::options::TrainingConfig;
use crate::seed::stream;
use anyhow::{Result, bail};
use rand::RngCore;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

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

#[derive(Clone, Debug)]
pub struct Resume {
    pub path: PathBuf,
    pub fingerprint: String,
    pub every: Duration,
}

/// Trains a student for `settings.epochs` epochs, or until its patience ends: the parameters of the epoch with the least
/// validation loss, and that epoch, counted from 1. On an error the checkpoint holds the last state that was good.
pub fn train<F: FrontEnd>(
    shape: &Shape<F>,
    settings: &TrainingConfig,
    lr_falls: bool,
    texts: &Examples<F::Item>,
    valid: &Examples<F::Item>,
    resume: Option<&Resume>,
    mut observe: impl FnMut(Moment<'_>),
) -> Result<(Vec<f32>, usize)> {
    let epochs = settings.epochs;
    let fresh = || {
        let fingerprint = resume.map(|r| r.fingerprint.clone()).unwrap_or_default();
        Checkpoint::fresh(fingerprint, shape.init(settings.seed))
    };
    let mut state = match resume {
        Some(r) => Checkpoint::read(&r.path, &r.fingerprint)?.unwrap_or_else(fresh),
        None => fresh(),
    };
    let mut saved = Instant::now();
    let patience = settings.patience.max(epochs / 5);
    while state.epochs < epochs && state.epochs < state.best_epoch + patience {
        let epoch = state.epochs + 1;
        let train_loss = pass(shape, settings, lr_falls, texts, &mut state, &mut observe);
        let judged = judge(shape, &state.theta, settings, valid);
        if !train_loss.is_finite() || !judged.loss.is_finite() {
            bail!(
                "training diverged in epoch {epoch}: the loss is not finite; lower --lr or --circuit-lr"
            );
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
    Ok((state.best, state.best_epoch))
}

/// One pass over the training texts; returns their mean loss.
fn pass<F: FrontEnd>(
    shape: &Shape<F>,
    settings: &TrainingConfig,
    lr_falls: bool,
    texts: &Examples<F::Item>,
    state: &mut Checkpoint,
    observe: &mut impl FnMut(Moment<'_>),
) -> f64 {
    let (epoch, size) = (state.epochs + 1, settings.batch_size);
    let weights = LossWeights::of(settings);
    let mut order: Vec<u32> = (0..texts.count() as u32).collect();
    order.shuffle(&mut stream(settings.seed, &format!("shuffle {epoch}")));
    let dropout_key = stream(settings.seed, &format!("dropout {epoch}")).next_u64();
    let steps = order.len().div_ceil(size);
    let front = shape.weight_range();
    let mut total = 0.0;
    for (step, batch) in order.chunks(size).enumerate() {
        observe(Moment::Texts((state.epochs * order.len() + step * size) as u64));
        let done = (state.epochs * steps + step) as f32 / (settings.epochs * steps) as f32;
        let left = if lr_falls { 1.0 - done } else { 1.0 };
        let sample = |&i: &u32| {
            let key = dropout_key ^ u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            texts.sample(i as usize, Some(key))
        };
        let samples: Vec<Sample<'_, F::Item>> = batch.iter().map(sample).collect();
        let mut gradient = vec![0.0; shape.parameters()];
        let batcher = Batcher::new(shape, &state.theta, settings.dropout);
        total += batcher.gradient(&samples, &weights, &mut gradient) * batch.len() as f64;
        state.adam.step(&mut state.theta, &gradient, |i| {
            if front.contains(&i) {
                (settings.lr * left, settings.weight_decay)
            } else {
                (settings.circuit_lr * left, 0.0)
            }
        });
    }
    total / order.len() as f64
}

/// A student's loss, without smoothing, and decisions on encoded texts.
pub fn judge<F: FrontEnd>(
    shape: &Shape<F>,
    theta: &[f32],
    settings: &TrainingConfig,
    texts: &Examples<F::Item>,
) -> Judgement {
    let samples = texts.samples();
    let logits = Batcher::new(shape, theta, 0.0).logits(&samples);
    let weights = LossWeights { smoothing: 0.0, ..LossWeights::of(settings) };
    let mut unused = vec![0.0; shape.classes];
    let losses = samples
        .iter()
        .zip(&logits)
        .map(|(sample, z)| f64::from(loss(z, sample.label, sample.teacher, &weights, &mut unused)));
    let total: f64 = losses.sum();
    // Of the texts that have an answer, the share decided so.
    let share = |answer: fn(&Sample<'_, F::Item>) -> Option<usize>| {
        let all = samples.iter().zip(&logits).filter_map(|(s, z)| Some(answer(s)? == argmax(z)));
        let (right, of) = all.fold((0, 0), |(right, of), hit| (right + usize::from(hit), of + 1));
        (of > 0).then(|| right as f64 / f64::from(of))
    };
    Judgement {
        loss: total / samples.len().max(1) as f64,
        accuracy: share(|sample| sample.label),
        agreement: share(|sample| sample.teacher.map(argmax)),
    }
}
