//! Training on vectors: the loop of texts, with the front end `dense` in place of the vocabulary.

use rand::seq::SliceRandom;

use super::config::Recipe;
use super::prepared::{Items, Prepared};
use super::student::{DenseBatcher, DenseShape, Sample};
use crate::metrics::argmax;
use crate::options::Config;
use crate::seed::stream;
use crate::student::calibrate::temperature;
use crate::student::checkpoint::Checkpoint;
use crate::student::loss::{LossWeights, loss};
use crate::student::train::{Event, Judgement, Moment, Resume, TrainError};

/// A trained student.
pub struct Trained {
    /// Sizes.
    pub shape: DenseShape,
    /// Parameters, for standardised inputs.
    pub theta: Vec<f32>,
    /// The epoch they are from, counted from 1.
    pub epoch: usize,
    /// Validation.
    pub judged: Judgement,
    /// Temperature of the softmax.
    pub temperature: f32,
}

/// Trains a student; the parameters of the epoch with the least validation loss are kept.
///
/// # Errors
/// [`TrainError`]; the checkpoint then holds the last state that was good.
pub fn train(
    config: &Config,
    recipe: &Recipe,
    prepared: &Prepared,
    resume: Option<&Resume>,
    mut observe: impl FnMut(Moment<'_>),
) -> Result<Trained, TrainError> {
    let shape = DenseShape::new(prepared.inputs(), prepared.classes.len(), recipe.squash);
    let epochs = config.epochs_for(prepared.texts.len());
    let fresh = || {
        let fingerprint = resume.map(|r| r.fingerprint.clone()).unwrap_or_default();
        Checkpoint::fresh(fingerprint, shape.init(config.training.seed))
    };
    let mut state = match resume {
        Some(r) => Checkpoint::read(&r.path, &r.fingerprint)?.unwrap_or_else(fresh),
        None => fresh(),
    };
    let mut saved = std::time::Instant::now();
    let patience = config.training.patience.max(epochs / 5);
    while state.epochs < epochs && state.epochs < state.best_epoch + patience {
        let epoch = state.epochs + 1;
        let train_loss = pass(&shape, config, recipe, epochs, prepared, &mut state, &mut observe);
        let judged = judge(&shape, &state.theta, recipe, prepared, &prepared.valid);
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
            saved = std::time::Instant::now();
        }
    }
    if let Some(r) = resume {
        state.write(&r.path)?;
    }
    let theta = state.best;
    let judged = judge(&shape, &theta, recipe, prepared, &prepared.valid);
    let temperature = temperature(&pairs(&shape, &theta, prepared));
    Ok(Trained { shape, theta, epoch: state.best_epoch, judged, temperature })
}

fn pass(
    shape: &DenseShape,
    config: &Config,
    recipe: &Recipe,
    epochs: usize,
    prepared: &Prepared,
    state: &mut Checkpoint,
    observe: &mut impl FnMut(Moment<'_>),
) -> f64 {
    let (epoch, training) = (state.epochs + 1, &config.training);
    let weights = weights(recipe, recipe.smoothing);
    let mut order: Vec<u32> = (0..prepared.texts.len() as u32).collect();
    order.shuffle(&mut stream(training.seed, &format!("shuffle {epoch}")));
    let key = Prepared::dropout_key(training.seed, epoch);
    let steps = order.len().div_ceil(training.batch);
    let dense = shape.weight_range();
    let mut total = 0.0;
    for (step, batch) in order.chunks(training.batch).enumerate() {
        observe(Moment::Texts((state.epochs * order.len() + step * training.batch) as u64));
        let done = (state.epochs * steps + step) as f32 / (epochs * steps) as f32;
        let left = if recipe.falls { 1.0 - done } else { 1.0 };
        let samples: Vec<Sample<'_>> = batch
            .iter()
            .map(|&i| {
                let key = key ^ u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                prepared.sample(&prepared.texts, i as usize, Some(key))
            })
            .collect();
        let mut gradient = vec![0.0; shape.parameters()];
        let batcher = DenseBatcher::new(shape, &state.theta, recipe.dropout);
        total += batcher.gradient(&samples, &weights, &mut gradient) * batch.len() as f64;
        state.adam.step(&mut state.theta, &gradient, |i| {
            let dense = dense.contains(&i);
            let rate = if dense { recipe.rates.0 } else { recipe.rates.1 };
            (rate * left, if dense { recipe.decay } else { 0.0 })
        });
    }
    total / order.len() as f64
}

fn weights(recipe: &Recipe, smoothing: f32) -> LossWeights {
    LossWeights { alpha: recipe.alpha, temperature: recipe.temperature, smoothing }
}

fn judge(
    shape: &DenseShape,
    theta: &[f32],
    recipe: &Recipe,
    prepared: &Prepared,
    part: &Items,
) -> Judgement {
    let samples = prepared.samples(part);
    let logits = DenseBatcher::new(shape, theta, 0.0).logits(&samples);
    let (weights, mut unused) = (weights(recipe, 0.0), vec![0.0; shape.classes]);
    let (mut total, mut labelled, mut taught) = (0.0, Share::default(), Share::default());
    for (sample, logits) in samples.iter().zip(&logits) {
        total += f64::from(loss(logits, sample.label, sample.teacher, &weights, &mut unused));
        let decided = argmax(logits);
        sample.label.into_iter().for_each(|label| labelled.count(decided == label));
        sample.teacher.into_iter().for_each(|teacher| taught.count(decided == argmax(teacher)));
    }
    Judgement {
        loss: total / samples.len().max(1) as f64,
        accuracy: labelled.value(),
        agreement: taught.value(),
    }
}

#[derive(Default)]
struct Share {
    of: usize,
    right: usize,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.of += 1;
        self.right += usize::from(right);
    }

    fn value(&self) -> Option<f64> {
        (self.of > 0).then(|| self.right as f64 / self.of as f64)
    }
}

/// Validation logits with the class to believe: the label, else the teacher's.
fn pairs(shape: &DenseShape, theta: &[f32], prepared: &Prepared) -> Vec<(Vec<f32>, usize)> {
    let samples = prepared.samples(&prepared.valid);
    let logits = DenseBatcher::new(shape, theta, 0.0).logits(&samples);
    let class = |s: &Sample<'_>| s.label.or_else(|| s.teacher.map(argmax));
    logits.into_iter().zip(&samples).filter_map(|(z, s)| Some((z, class(s)?))).collect()
}
