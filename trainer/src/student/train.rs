//! The training loop with its optimiser and its checkpoint: emits events, prints nothing.

use super::backprop::{Batcher, loss};
use super::front_end::Shape;
use super::front_end::{Examples, FrontEnd, Sample};
use crate::metrics::Report;
use crate::numeric::argmax;
use crate::options::{Config, Judge, TrainingConfig};
use crate::seed::stream;
use anyhow::{Context as _, Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::write_whole;
use rand::RngCore;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub epoch: usize,
    /// Mean loss over the training texts, with dropout.
    pub train_loss: f64,
    pub valid: Judgement,
}

#[derive(Clone, Copy, Debug)]
pub enum Moment<'e> {
    /// Texts trained on so far, over all epochs: for a progress bar.
    Texts(u64),
    Epoch(&'e Event),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub loss: f64,
    /// Share of labelled texts decided right; absent without labels.
    pub accuracy: Option<f64>,
    /// Mean over the classes of their F1, by the labels, or by the teacher where no text has one.
    pub macro_f1: Option<f64>,
    /// Share of texts decided as the teacher does; absent without a teacher.
    pub agreement: Option<f64>,
}

impl Judgement {
    /// The lower, the better; equal shares go by the loss.
    fn score(&self, by: Judge) -> f64 {
        let share = match by {
            Judge::Loss => return self.loss,
            Judge::Accuracy => self.accuracy.or(self.agreement),
            Judge::MacroF1 => self.macro_f1,
        };
        1.0 - share.unwrap_or(0.0) + 1e-9 * self.loss
    }
}

#[derive(Clone, Debug)]
pub struct Resume {
    pub path: PathBuf,
    pub fingerprint: String,
    pub every: Duration,
    pub earlier: Option<Checkpoint>,
}

pub struct Training<'r, F: FrontEnd> {
    pub shape: &'r Shape<F>,
    pub settings: TrainingConfig,
    /// Whether learning rates fall linearly to zero over the whole run.
    pub lr_falls: bool,
    pub texts: &'r Examples<F::Item>,
    pub valid: &'r Examples<F::Item>,
}

impl<'r, F: FrontEnd> Training<'r, F> {
    /// As the settings ask of so many texts.
    pub fn new(
        shape: &'r Shape<F>,
        config: &Config,
        texts: &'r Examples<F::Item>,
        valid: &'r Examples<F::Item>,
    ) -> Self {
        let (settings, lr_falls) = F::training(config, texts.count());
        Self { shape, settings, lr_falls, texts, valid }
    }

    /// Trains for `settings.epochs` epochs, or until its patience ends: the parameters of the best epoch on the
    /// validation texts, and that epoch, counted from 1. On an error the checkpoint holds the last state that was good.
    pub fn run(
        &self,
        mut resume: Option<Resume>,
        mut observe: impl FnMut(Moment<'_>),
    ) -> Result<(Vec<f32>, usize)> {
        let epochs = self.settings.epochs;
        let earlier = resume.as_mut().and_then(|r| r.earlier.take());
        let mut state = earlier.unwrap_or_else(|| {
            let theta = self.shape.init(self.settings.seed);
            Checkpoint {
                fingerprint: resume.as_ref().map(|r| r.fingerprint.clone()).unwrap_or_default(),
                epochs: 0,
                adam: Adam::new(theta.len()),
                best: theta.clone(),
                theta,
                best_score: f64::INFINITY,
                best_epoch: 0,
            }
        });
        let mut saved = Instant::now();
        let patience = self.settings.patience.max(epochs / 5);
        while state.epochs < epochs && state.epochs < state.best_epoch + patience {
            let epoch = state.epochs + 1;
            let train_loss = self.pass(&mut state, &mut observe);
            let judged = self.judge(&state.theta);
            if !train_loss.is_finite() || !judged.loss.is_finite() {
                bail!(
                    "training diverged in epoch {epoch}: the loss is not finite; lower --lr or --circuit-lr"
                );
            }
            state.epochs = epoch;
            let score = judged.score(self.settings.criterion);
            if score < state.best_score {
                (state.best_score, state.best_epoch) = (score, epoch);
                state.best.clone_from(&state.theta);
            }
            observe(Moment::Epoch(&Event { epoch, train_loss, valid: judged }));
            if let Some(r) = resume.as_ref().filter(|r| saved.elapsed() >= r.every) {
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
    fn pass(&self, state: &mut Checkpoint, observe: &mut impl FnMut(Moment<'_>)) -> f64 {
        let Self { shape, settings, texts, .. } = self;
        let (epoch, size) = (state.epochs + 1, settings.batch_size);
        let mut order: Vec<u32> = (0..texts.count() as u32).collect();
        order.shuffle(&mut stream(settings.seed, &format!("shuffle {epoch}")));
        let dropout_key = stream(settings.seed, &format!("dropout {epoch}")).next_u64();
        let steps = order.len().div_ceil(size);
        let front = shape.weight_range();
        let mut total = 0.0;
        for (step, batch) in order.chunks(size).enumerate() {
            observe(Moment::Texts((state.epochs * order.len() + step * size) as u64));
            let done = (state.epochs * steps + step) as f32 / (settings.epochs * steps) as f32;
            let left = if self.lr_falls { 1.0 - done } else { 1.0 };
            let sample = |&i: &u32| {
                let key = dropout_key ^ u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                texts.sample(i as usize, Some(key))
            };
            let samples: Vec<Sample<'_, F::Item>> = batch.iter().map(sample).collect();
            let mut gradient = vec![0.0; shape.parameters()];
            let batcher = Batcher::new(shape, &state.theta, settings.dropout);
            total += batcher.gradient(&samples, settings, &mut gradient) * batch.len() as f64;
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

    /// Loss, without smoothing, and decisions on the validation texts.
    pub fn judge(&self, theta: &[f32]) -> Judgement {
        let samples = self.valid.samples();
        let logits = Batcher::new(self.shape, theta, 0.0).logits(&samples);
        let settings = TrainingConfig { smoothing: 0.0, ..self.settings.clone() };
        let mut unused = vec![0.0; self.shape.classes];
        let losses = samples
            .iter()
            .zip(&logits)
            .map(|(sample, z)| f64::from(loss(z, sample, &settings, &mut unused)));
        let total: f64 = losses.sum();
        // Of the texts that have an answer, the share decided so.
        let share = |answer: fn(&Sample<'_, F::Item>) -> Option<usize>| {
            let pairs = samples.iter().zip(&logits);
            let hits = pairs.filter_map(|(s, z)| Some(answer(s)? == argmax(z)));
            let (right, of) = hits.fold((0, 0), |(r, of), hit| (r + usize::from(hit), of + 1));
            (of > 0).then(|| right as f64 / f64::from(of))
        };
        Judgement {
            loss: total / samples.len().max(1) as f64,
            accuracy: share(|sample| sample.label),
            macro_f1: self.macro_f1(&samples, &logits),
            agreement: share(|sample| sample.teacher.map(argmax)),
        }
    }

    fn macro_f1(&self, samples: &[Sample<'_, F::Item>], logits: &[Vec<f32>]) -> Option<f64> {
        let labelled = samples.iter().any(|sample| sample.label.is_some());
        let truth = samples.iter().map(|s| if labelled { s.label } else { s.class() });
        let pairs = truth.zip(logits).filter_map(|(truth, z)| Some((truth?, z)));
        let (truth, logits): (Vec<usize>, Vec<&Vec<f32>>) = pairs.unzip();
        let nameless = vec![String::new(); self.shape.classes];
        // The predictions of logits are those of their probabilities.
        (!truth.is_empty()).then(|| Report::from(&nameless, &truth, &logits).macro_avg.f1)
    }
}

/// The state of a run after some epochs: written whole by temporary name and rename, so that a run ended at any moment
/// goes on with exactly the bytes it would have reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Digest of settings and data: another run's checkpoint is not taken up.
    pub fingerprint: String,
    pub epochs: usize,
    pub theta: Vec<f32>,
    pub adam: Adam,
    /// Parameters of the best epoch so far.
    pub best: Vec<f32>,
    /// The lower, the better.
    pub best_score: f64,
    pub best_epoch: usize,
}

impl Checkpoint {
    /// Reads a checkpoint; `None` if there is no file.
    pub fn read(path: &Path, fingerprint: &str) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.of_file(path)?,
        };
        let body = bytes.split_at_checked(32);
        let body = body.filter(|(digest, body)| Sha256::digest(body).as_slice() == *digest);
        let found = body.and_then(|(_, body)| postcard::from_bytes::<Self>(body).ok());
        let path = path.display();
        let found = found.with_context(|| {
            format!("{path}: not a whole checkpoint; delete it, or give --restart, to train from the beginning")
        })?;
        ensure!(
            found.fingerprint == fingerprint,
            "{path}: belongs to a run with other settings or data; give --restart to train from the beginning, or the settings of that run to go on with it"
        );
        Ok(Some(found))
    }

    /// On an error the earlier checkpoint is still whole.
    pub fn write(&self, path: &Path) -> Result<()> {
        let body = postcard::to_allocvec(self)?;
        let mut bytes = Sha256::digest(&body).to_vec();
        bytes.extend_from_slice(&body);
        write_whole(path, &bytes).of_file(path)
    }
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Parameters that one task updates; a fixed number, so that results do not depend on threads.
const CHUNK: usize = 8192;

/// Adam (arXiv 1412.6980) with a state that can be saved and restored exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: u64,
}

impl Adam {
    pub fn new(count: usize) -> Self {
        Self { mean: vec![0.0; count], square: vec![0.0; count], steps: 0 }
    }

    /// One step: `rate` gives (learning rate, weight decay) of each parameter; the decay is decoupled
    /// (`AdamW`, arXiv 1711.05101) and shrinks a parameter by `rate * decay` of itself.
    pub fn step(
        &mut self,
        parameters: &mut [f32],
        gradient: &[f32],
        rate: impl Fn(usize) -> (f32, f32) + Sync,
    ) {
        self.steps += 1;
        let steps = self.steps.min(1 << 24) as i32;
        let (fix1, fix2) = (1.0 - BETA1.powi(steps), 1.0 - BETA2.powi(steps));
        parameters
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(self.mean.par_chunks_mut(CHUNK))
            .zip(self.square.par_chunks_mut(CHUNK))
            .enumerate()
            .for_each(|(chunk, (((parameters, gradient), mean), square))| {
                for (i, (p, &g)) in parameters.iter_mut().zip(gradient).enumerate() {
                    mean[i] = BETA1 * mean[i] + (1.0 - BETA1) * g;
                    square[i] = BETA2 * square[i] + (1.0 - BETA2) * g * g;
                    let step = (mean[i] / fix1) / ((square[i] / fix2).sqrt() + EPSILON);
                    let (rate, decay) = rate(chunk * CHUNK + i);
                    *p -= rate * (step + decay * *p);
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_and_a_parabola_is_descended() {
        let mut x = [3.0_f32];
        let mut adam = Adam::new(1);
        adam.step(&mut x, &[6.0], |_| (0.1, 0.0));
        assert!((x[0] - 2.9).abs() < 1e-6, "a first step has the size of the rate");
        for _ in 0..500 {
            let slope = [2.0 * x[0]];
            adam.step(&mut x, &slope, |_| (0.1, 0.0));
        }
        assert!(x[0].abs() < 1e-2, "{}", x[0]);
    }

    #[test]
    fn comes_back_as_written_and_refuses_damage_and_strangers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.ckpt");
        assert!(Checkpoint::read(&path, "a").unwrap().is_none());
        let state = Checkpoint {
            fingerprint: "a".into(),
            epochs: 3,
            theta: vec![0.1, -2.5, f32::MIN_POSITIVE],
            adam: Adam::new(3),
            best: vec![1.0; 3],
            best_score: 0.25,
            best_epoch: 2,
        };
        state.write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path, "a").unwrap(), Some(state));
        let refused = |fingerprint| Checkpoint::read(&path, fingerprint).unwrap_err().to_string();
        assert!(refused("b").contains("belongs to a run with other settings"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.pop();
        std::fs::write(&path, &bytes).unwrap();
        assert!(refused("a").contains("not a whole checkpoint"));
    }
}
