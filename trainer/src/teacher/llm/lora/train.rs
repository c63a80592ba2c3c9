//! Fine-tuning: LoRA pairs and a classification head trained on labelled texts, the model itself left as it is.

use crate::seed;
use crate::teacher::llm::classifier::Classifier;
use crate::teacher::llm::layers::Trainable;
use crate::teacher::llm::lora::adapter::{self, About};
use crate::teacher::llm::lora::checkpoint::{Named, State, clip};
use crate::teacher::llm::pretrained::Pretrained;
use anyhow::{Context as _, Result, bail};
use candle_core::{Device, Tensor, Var};
use qdllm_host::errors::OfFile as _;
use qdllm_host::values::{above_zero, within};
use rand::seq::SliceRandom;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a model is tuned. A checkpoint belongs to what this prints.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Rank of the LoRA matrices
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = within(1_usize..))]
    pub rank: usize,
    /// Their product is multiplied by alpha / rank
    #[arg(long, default_value_t = 16.0, value_name = "X", value_parser = within(0.0..=1e6))]
    pub alpha: f64,
    /// Matrices that get LoRA, by the last part of their names [default: query and value]
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub targets: Vec<String>,
    /// Times through the data
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = within(1_u64..))]
    pub epochs: u64,
    /// Texts run together
    #[arg(long = "batch-size", alias = "batch", default_value_t = 8, value_name = "N", value_parser = within(1_usize..))]
    pub batch: usize,
    /// Batches whose gradients are added up for one update
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = within(1_usize..))]
    pub accumulate: usize,
    /// Highest learning rate; it rises over the first 6% of the updates and falls to 0
    #[arg(long = "lr", alias = "rate", default_value_t = 5e-4, value_name = "X", value_parser = within(above_zero(1.0)))]
    pub rate: f64,
    /// Weight decay of matrices
    #[arg(long = "weight-decay", alias = "decay", default_value_t = 0.01, value_name = "X", value_parser = within(0.0..=10.0))]
    pub decay: f64,
    /// Most tokens of a text; longer texts are cut and counted
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = within(1_usize..))]
    pub max_tokens: usize,
    /// Decides the first numbers and the order of the texts
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// The tokens of a text and its class.
type Row = (Vec<u32>, usize);

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
    state: State,
    settings: Settings,
    train: Vec<Row>,
    valid: Vec<Row>,
    about: About,
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
            bail!(
                "tuning needs labelled texts of at least 2 classes, got {} texts of {}",
                train.len(),
                classes.len()
            );
        }
        if settings.targets.is_empty() {
            settings.targets = pretrained.spec.family.targets();
        }
        settings.max_tokens = settings.max_tokens.min(pretrained.spec.context);
        pretrained.tokenizer.cut_at(settings.max_tokens)?;
        let mut cut = 0;
        let mut read = |rows: Labelled<'_>| {
            let row = |(text, class): &(String, usize)| {
                let (ids, short) = pretrained.tokenizer.whole(text)?;
                cut += usize::from(short);
                Ok((ids, *class))
            };
            rows.iter().map(row).collect::<Result<Vec<Row>>>()
        };
        let (train, valid) = (read(train)?, read(valid)?);
        // What must be equal for a checkpoint to be gone on from.
        let mut hash = Sha256::new_with_prefix(b"qdllm tune");
        hash.update(format!("{}\0{classes:?}\0{settings:?}\0{}", pretrained.digest, train.len()));
        for (ids, class) in train.iter().chain(&valid) {
            hash.update((*class as u64).to_le_bytes());
            hash.update((ids.len() as u64).to_le_bytes());
            ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        }
        let fingerprint = hash.finalize().to_vec();
        let limit = settings.max_tokens;
        let new = Trainable {
            targets: settings.targets.clone(),
            rank: settings.rank,
            scale: settings.alpha / settings.rank as f64,
            variables: BTreeMap::new(),
            seed: settings.seed,
        };
        let (model, trained) = pretrained.load(device, |parameters| {
            parameters.trainable = Some(new);
            Classifier::load(parameters, limit, Some(classes.len()))
        })?;
        let mut state = State::new(trained.map(|t| t.variables).unwrap_or_default())?;
        for target in &settings.targets {
            let hit = |name: &String| name.contains(&format!(".{target}.lora_A"));
            if !state.variables.keys().any(hit) {
                let path = pretrained.path.display();
                bail!("{path}: has no matrix named `{target}`; correct --targets");
            }
        }
        let about = About {
            classes: classes.to_vec(),
            model: pretrained.name,
            digest: pretrained.digest,
            max_tokens: limit,
            epoch: 0,
        };
        std::fs::create_dir_all(folder).of_file(folder)?;
        let checkpoint = folder.join(CHECKPOINT);
        let resumed = checkpoint.is_file();
        if resumed {
            state.load(&checkpoint, &fingerprint, device)?;
        }
        let folder = folder.to_owned();
        Ok(Self { model, state, settings, train, valid, about, folder, fingerprint, cut, resumed })
    }

    pub fn parameters(&self) -> usize {
        self.state.variables.values().map(|v| v.elem_count()).sum()
    }

    pub fn progress(&self) -> (u64, u64) {
        (self.state.updates, self.updates_an_epoch() * self.settings.epochs)
    }

    pub fn updates_an_epoch(&self) -> u64 {
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
        let mut sum = Named::new();
        for batch in rows.chunks(self.settings.batch.max(1)) {
            let (loss, _) = self.losses(&self.train, batch).context("running the model failed")?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                bail!("the loss of update {} is not finite; lower --rate", done + 1);
            }
            self.state.losses.0 += value;
            self.state.losses.1 += batch.len() as u64;
            let mut store = (loss / rows.len() as f64)?.backward()?;
            for (name, variable) in &self.state.variables {
                let Some(gradient) = store.remove(variable) else { continue };
                let gradient = gradient.detach();
                let earlier = sum.remove(name);
                let total = earlier.map_or(Ok(gradient.clone()), |earlier| earlier + gradient)?;
                sum.insert(name.clone(), total);
            }
        }
        clip(&mut sum, CLIP)?;
        self.state.update(&sum, self.rate(done, all), self.settings.decay)?;
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
        let ids: Vec<&[u32]> = which.iter().map(|&i| rows[i].0.as_slice()).collect();
        let classes: Vec<u32> = which.iter().map(|&i| rows[i].1 as u32).collect();
        let logits = self.model.logits(&ids)?;
        let classes = Tensor::from_vec(classes, which.len(), logits.device())?;
        let right = logits.argmax(1)?.eq(&classes)?.to_dtype(candle_core::DType::F32)?;
        let right = right.sum_all()?.to_scalar::<f32>()? as usize;
        let loss = (candle_nn::loss::cross_entropy(&logits, &classes)? * which.len() as f64)?;
        Ok((loss, right))
    }

    /// Ends an epoch: validation, and the variables kept when they are the best so far.
    fn close(&mut self, epoch: u64) -> Result<Epoch> {
        let (sum, texts) = std::mem::take(&mut self.state.losses);
        let train_loss = sum / texts.max(1) as f64;
        let found = (!self.valid.is_empty()).then(|| self.validate()).transpose()?;
        let (valid_loss, valid_accuracy) = found.unzip();
        let loss = valid_loss.unwrap_or(train_loss);
        if valid_loss.is_none() || self.state.best.is_none_or(|(least, _)| loss < least) {
            self.state.best = Some((loss, epoch));
            let copy =
                |(name, v): (&String, &Var)| Ok((name.clone(), v.as_tensor().copy()?.detach()));
            self.state.kept = self.state.variables.iter().map(copy).collect::<Result<_>>()?;
        }
        Ok(Epoch { epoch, train_loss, valid_loss, valid_accuracy })
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
        self.state.save(&self.folder.join(CHECKPOINT), &self.fingerprint)
    }

    /// Writes the adapter of the best epoch and takes the checkpoint away.
    pub fn finish(mut self) -> Result<About> {
        self.about.epoch = self.state.best.map_or(0, |(_, epoch)| epoch);
        let Settings { rank, alpha, targets, .. } = &self.settings;
        adapter::write(&self.folder, &self.state.kept, (*rank, *alpha, targets), &self.about)?;
        let path = self.folder.join(CHECKPOINT);
        if path.is_file() {
            std::fs::remove_file(&path).of_file(&path)?;
        }
        Ok(self.about)
    }
}
