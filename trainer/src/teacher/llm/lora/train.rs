//! Fine-tuning: LoRA pairs and a classification head trained on labelled texts, the model itself left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use rand::Rng;
use rand::seq::SliceRandom;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::seed;
use crate::teacher::llm::classifier::Classifier;
use crate::teacher::llm::config::Kind;
use crate::teacher::llm::lora::adamw::{AdamW, clip};
use crate::teacher::llm::lora::adapter::{self, About};
use crate::teacher::llm::lora::checkpoint::{self, Place};
use crate::teacher::llm::parameters::Trainable;
use crate::teacher::llm::pretrained::Pretrained;
use crate::teacher::{Result, TeacherError};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    pub rank: usize,
    /// Their product is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Last parts of the names of the matrices that get a pair; empty for the family's query and value.
    pub targets: Vec<String>,
    pub epochs: u64,
    pub batch: usize,
    pub accumulate: usize,
    /// Highest learning rate; it falls to 0 in a line.
    pub rate: f64,
    pub decay: f64,
    pub max_tokens: usize,
    /// Decides the first numbers and the order of the texts.
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    ids: Vec<u32>,
    class: usize,
}

/// Query and value under the names of a kind of model.
fn targets(kind: &Kind) -> [&'static str; 2] {
    match kind {
        Kind::Decoder(spec) => spec.family.names().targets,
        Kind::Encoder(spec) if spec.distilled => ["q_lin", "v_lin"],
        Kind::Encoder(_) => ["query", "value"],
    }
}

/// A LoRA pair begins as nothing: the first matrix random, the second zero. Heads begin small.
fn first_numbers(root: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    if name.ends_with(".lora_B.weight") || name.ends_with(".bias") {
        return vec![0.0; count];
    }
    let inputs = shape.last().copied().unwrap_or(1).max(1) as f32;
    let reach = if name.contains(".lora_A.") { 1.0 / inputs.sqrt() } else { 0.02 * 3f32.sqrt() };
    let mut draw = seed::stream(root, &format!("tune {name}"));
    (0..count).map(|_| draw.random_range(-reach..reach)).collect()
}

/// What must be equal for a checkpoint to be gone on from.
fn fingerprint(
    model: &str,
    classes: &[String],
    settings: &Settings,
    train: &[Row],
    valid: &[Row],
) -> Vec<u8> {
    let mut hash = Sha256::new_with_prefix(b"qdllm tune");
    hash.update(format!("{model}\0{classes:?}\0{settings:?}\0{}", train.len()));
    for row in train.iter().chain(valid) {
        hash.update((row.class as u64).to_le_bytes());
        hash.update((row.ids.len() as u64).to_le_bytes());
        row.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    }
    hash.finalize().to_vec()
}

/// Longest that all gradients together may be.
const CLIP: f64 = 1.0;
const WARM_UP: f64 = 0.06;
const CHECKPOINT: &str = "checkpoint.safetensors";

pub type Labelled<'a> = &'a [(String, usize)];

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Epoch {
    pub epoch: u64,
    /// Mean cross-entropy of the training texts as they came, nats.
    pub train_loss: f64,
    pub valid_loss: Option<f64>,
    pub valid_accuracy: Option<f64>,
}

pub struct Tuner {
    model: Classifier,
    variables: BTreeMap<String, Var>,
    adam: AdamW,
    settings: Settings,
    train: Vec<Row>,
    valid: Vec<Row>,
    about: About,
    place: Place,
    best: BTreeMap<String, Tensor>,
    folder: PathBuf,
    fingerprint: Vec<u8>,
    /// Texts, training and validation, that were longer than the limit and were cut.
    pub cut: usize,
    pub resumed: bool,
}

impl Tuner {
    /// Loads the model, makes the variables, and takes up the checkpoint in `folder` if there is one.
    pub fn open(
        mut pretrained: Pretrained,
        classes: &[String],
        (train, valid): (Labelled<'_>, Labelled<'_>),
        mut settings: Settings,
        folder: &Path,
        device: &Device,
    ) -> Result<Self> {
        if classes.len() < 2 || train.is_empty() {
            let what = format!(
                "tuning needs labelled texts of at least 2 classes, got {} texts of {}",
                train.len(),
                classes.len()
            );
            return Err(TeacherError::Labels(what));
        }
        if settings.targets.is_empty() {
            settings.targets = targets(&pretrained.kind).map(str::to_owned).to_vec();
        }
        settings.max_tokens = settings.max_tokens.min(pretrained.kind.context());
        pretrained.tokenizer.cut_at(settings.max_tokens)?;
        let mut cut = 0;
        let mut read = |rows: Labelled<'_>| {
            let row = |(text, class): &(String, usize)| {
                let (ids, short) = pretrained.tokenizer.whole(text)?;
                cut += usize::from(short);
                Ok(Row { ids, class: *class })
            };
            rows.iter().map(row).collect::<Result<Vec<Row>>>()
        };
        let (train, valid) = (read(train)?, read(valid)?);
        let fingerprint = fingerprint(&pretrained.digest, classes, &settings, &train, &valid);
        let (root, limit) = (settings.seed, settings.max_tokens);
        let new = Trainable {
            targets: settings.targets.clone(),
            rank: settings.rank,
            scale: settings.alpha / settings.rank as f64,
            variables: BTreeMap::new(),
            draw: Box::new(move |name, shape| first_numbers(root, name, shape)),
        };
        let (model, trained) = pretrained.load(device, |parameters, kind| {
            parameters.trainable = Some(new);
            Classifier::load(parameters, kind, limit, Some(classes.len()), device)
        })?;
        let variables = trained.map(|t| t.variables).unwrap_or_default();
        for target in &settings.targets {
            let hit = |name: &String| name.contains(&format!(".{target}.lora_A"));
            if !variables.keys().any(hit) {
                let what = format!("has no matrix named `{target}`; correct --targets");
                return Err(TeacherError::model(&pretrained.path, what));
            }
        }
        let adam = AdamW::new(&variables, settings.decay)?;
        let about = About {
            classes: classes.to_vec(),
            model: pretrained.name,
            digest: pretrained.digest,
            max_tokens: limit,
            epoch: 0,
        };
        std::fs::create_dir_all(folder).map_err(TeacherError::io(folder))?;
        let mut tuner = Self {
            model,
            variables,
            adam,
            settings,
            train,
            valid,
            about,
            place: Place::default(),
            best: BTreeMap::new(),
            folder: folder.to_owned(),
            fingerprint,
            cut,
            resumed: false,
        };
        let file = tuner.folder.join(CHECKPOINT);
        if file.is_file() {
            let (variables, adam) = (&tuner.variables, &mut tuner.adam);
            let taken = checkpoint::load(&file, &tuner.fingerprint, variables, adam, device)?;
            (tuner.place, tuner.best) = taken;
            tuner.resumed = true;
        }
        Ok(tuner)
    }

    pub fn parameters(&self) -> usize {
        self.variables.values().map(|v| v.elem_count()).sum()
    }

    pub fn progress(&self) -> (u64, u64) {
        (self.place.updates, self.updates_an_epoch() * self.settings.epochs)
    }

    pub fn epochs_done(&self) -> u64 {
        self.place.updates / self.updates_an_epoch()
    }

    fn updates_an_epoch(&self) -> u64 {
        let texts = self.settings.batch * self.settings.accumulate;
        self.train.len().div_ceil(texts.max(1)) as u64
    }

    /// One update; the figures of the epoch when it was the epoch's last. `None` also when nothing is left to do.
    pub fn step(&mut self) -> Result<Option<Epoch>> {
        let (done, all) = self.progress();
        if done >= all {
            return Ok(None);
        }
        let (epoch, within) = (done / self.updates_an_epoch(), done % self.updates_an_epoch());
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut seed::stream(self.settings.seed, &format!("tune epoch {epoch}")));
        let texts = self.settings.batch * self.settings.accumulate;
        let from = within as usize * texts;
        let rows = &order[from..(from + texts).min(order.len())];
        let mut sum: BTreeMap<String, Tensor> = BTreeMap::new();
        for batch in rows.chunks(self.settings.batch.max(1)) {
            let (loss, _) = self.losses(&self.train, batch)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                return Err(TeacherError::Labels(format!(
                    "the loss of update {} is not finite; lower --rate",
                    done + 1
                )));
            }
            self.place.losses =
                (self.place.losses.0 + value, self.place.losses.1 + batch.len() as u64);
            let mut store = (loss / rows.len() as f64)?.backward()?;
            for (name, variable) in &self.variables {
                let Some(gradient) = store.remove(variable) else { continue };
                let gradient = gradient.detach();
                let total = match sum.remove(name) {
                    Some(earlier) => (earlier + gradient)?,
                    None => gradient,
                };
                sum.insert(name.clone(), total);
            }
        }
        clip(&mut sum, CLIP)?;
        self.adam.update(&self.variables, &sum, self.rate(done, all))?;
        self.place.updates += 1;
        if within + 1 < self.updates_an_epoch() {
            return Ok(None);
        }
        self.close(epoch + 1).map(Some)
    }

    /// The learning rate of an update: up in a line, then down in a line.
    fn rate(&self, done: u64, all: u64) -> f64 {
        let warm = ((all as f64 * WARM_UP).ceil()).max(1.0);
        let at = done as f64 + 1.0;
        let left = (all as f64 - done as f64) / (all as f64 - warm + 1.0).max(1.0);
        self.settings.rate * (at / warm).min(left).min(1.0)
    }

    /// Sum of the cross-entropies of some rows, and how many are classified right.
    fn losses(&self, rows: &[Row], which: &[usize]) -> Result<(Tensor, usize)> {
        let ids: Vec<&[u32]> = which.iter().map(|&i| rows[i].ids.as_slice()).collect();
        let classes: Vec<u32> = which.iter().map(|&i| rows[i].class as u32).collect();
        let logits = self.model.logits(&ids)?;
        let classes = Tensor::from_vec(classes, which.len(), logits.device())?;
        let right = logits.argmax(1)?.eq(&classes)?.to_dtype(candle_core::DType::F32)?;
        let right = right.sum_all()?.to_scalar::<f32>()? as usize;
        let loss = (candle_nn::loss::cross_entropy(&logits, &classes)? * which.len() as f64)?;
        Ok((loss, right))
    }

    /// Ends an epoch: validation, and the variables kept when they are the best so far.
    fn close(&mut self, epoch: u64) -> Result<Epoch> {
        let (sum, texts) = std::mem::take(&mut self.place.losses);
        let mut report = Epoch {
            epoch,
            train_loss: sum / texts.max(1) as f64,
            valid_loss: None,
            valid_accuracy: None,
        };
        let kept = if self.valid.is_empty() {
            self.place.best = Some((report.train_loss, epoch));
            true
        } else {
            let (loss, accuracy) = self.validate()?;
            (report.valid_loss, report.valid_accuracy) = (Some(loss), Some(accuracy));
            let better = self.place.best.is_none_or(|(least, _)| loss < least);
            if better {
                self.place.best = Some((loss, epoch));
            }
            better
        };
        if kept {
            let copy =
                |(name, v): (&String, &Var)| Ok((name.clone(), v.as_tensor().copy()?.detach()));
            self.best = self.variables.iter().map(copy).collect::<Result<_>>()?;
        }
        Ok(report)
    }

    fn validate(&self) -> Result<(f64, f64)> {
        let (mut loss, mut right) = (0.0, 0);
        let all: Vec<usize> = (0..self.valid.len()).collect();
        for batch in all.chunks(self.settings.batch.max(1)) {
            let (part, hits) = self.losses(&self.valid, batch)?;
            loss += f64::from(part.to_scalar::<f32>()?);
            right += hits;
        }
        let texts = all.len().max(1) as f64;
        Ok((loss / texts, right as f64 / texts))
    }

    /// Writes a checkpoint into the folder; a later [`Self::open`] goes on from it.
    pub fn checkpoint(&self) -> Result<()> {
        let path = self.folder.join(CHECKPOINT);
        let (variables, best) = (&self.variables, &self.best);
        checkpoint::save(&path, &self.fingerprint, &self.place, variables, best, &self.adam)
    }

    /// Writes the adapter of the best epoch and takes the checkpoint away.
    pub fn finish(mut self) -> Result<About> {
        self.about.epoch = self.place.best.map_or(0, |(_, epoch)| epoch);
        let Settings { rank, alpha, targets, .. } = &self.settings;
        adapter::write(&self.folder, &self.best, (*rank, *alpha, targets), &self.about)?;
        let path = self.folder.join(CHECKPOINT);
        if path.is_file() {
            std::fs::remove_file(&path).map_err(TeacherError::io(&path))?;
        }
        Ok(self.about)
    }
}
