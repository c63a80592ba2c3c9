//! `qdllm distill --vectors`: a model that takes vectors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use qdllm_runtime::Scratch;

use super::{Keep, Outcome, beside, line, reopen};
use crate::options::Config;
use crate::progress::Progress;
use crate::resource_usage::peak_memory_bytes;
use crate::student::checkpoint::write_whole;
use crate::student::dense::config::{Preset, Recipe, SquashKind};
use crate::student::dense::export::export;
use crate::student::dense::prepared::Prepared;
use crate::student::dense::train::train;
use crate::student::distillation::Summary;
use crate::student::train::{Moment, Resume, epochs_done};

/// Options of the front end `dense`.
#[derive(clap::Args, Clone, Debug)]
pub struct DenseArgs {
    /// Vectors of the texts (.safetensors or .jsonl), for a model that takes vectors; may be given again
    #[arg(long, value_name = "FILE")]
    pub vectors: Vec<PathBuf>,
    /// Which design learns from vectors [default: product]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// How the 11 features of a vector become angles [default: as the preset]
    #[arg(long)]
    pub squash: Option<SquashKind>,
    /// Chance that an input of a vector is left out in training [default: 0.5]
    #[arg(long)]
    pub input_dropout: Option<f32>,
    /// Weight decay of the Dense layer [default: 10]
    #[arg(long)]
    pub dense_decay: Option<f32>,
    /// Learning rate of the Dense layer [default: 0.0003]
    #[arg(long)]
    pub dense_rate: Option<f32>,
    /// Learning rate under the preset paper [default: 0.01]
    #[arg(long)]
    pub paper_rate: Option<f32>,
}

impl DenseArgs {
    /// Lays the options over the settings.
    pub fn lay(&self, config: &mut Config) {
        if !self.vectors.is_empty() {
            config.sources.vectors.clone_from(&self.vectors);
        }
        let dense = &mut config.dense;
        let keep = |option: Option<f32>, place: &mut f32| *place = option.unwrap_or(*place);
        keep(self.input_dropout, &mut dense.dropout);
        keep(self.dense_decay, &mut dense.decay);
        keep(self.dense_rate, &mut dense.rate);
        keep(self.paper_rate, &mut dense.paper_rate);
        dense.preset = self.preset.unwrap_or(dense.preset);
        dense.squash = self.squash.or(dense.squash);
    }
}

/// Distils from vectors and writes the model, its settings and its metrics.
///
/// # Errors
/// With file, row and remedy; the model file is written only when it is complete.
pub fn distill(
    config: &Config,
    out: &Path,
    keep: Keep,
    progress: &mut Progress,
) -> Result<Outcome> {
    if let Some(circuit) = &config.student.circuit {
        bail!("{}: --vectors trains the preset circuit; leave --circuit out", circuit.display());
    }
    if out.is_dir() {
        bail!("{}: is a folder; --out names a file", out.display());
    }
    let started = Instant::now();
    let (checkpoint, metrics) = (beside(out, ".ckpt"), beside(out, ".metrics.jsonl"));
    if keep.restart && checkpoint.exists() {
        std::fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    }
    let recipe = Recipe::new(config);
    let prepared = Prepared::read(config, recipe.standardise, progress)?;
    let resume = Resume {
        path: checkpoint.clone(),
        fingerprint: prepared.fingerprint(config),
        every: keep.checkpoint_every,
    };
    let done = epochs_done(&checkpoint, &resume.fingerprint)?;
    let mut log = reopen(&metrics, done).with_context(|| metrics.display().to_string())?;
    let epochs = config.epochs_for(prepared.texts.len());
    progress.stage("training", (epochs * prepared.texts.len()) as u64);
    let mut failed = None;
    let trained = train(config, &recipe, &prepared, Some(&resume), |moment| {
        let event = match moment {
            Moment::Texts(done) => return progress.at(done),
            Moment::Epoch(event) => event,
        };
        progress.say(&line(event));
        let written = serde_json::to_string(event).map_err(std::io::Error::other);
        if let Err(e) = written.and_then(|json| writeln!(log, "{json}")) {
            failed.get_or_insert(e);
        }
    })?;
    progress.done();
    if let Some(e) = failed {
        return Err(e).with_context(|| metrics.display().to_string());
    }
    let exported = export(&trained, &prepared, config)?;
    write_whole(&beside(out, ".toml"), config.to_toml().as_bytes())
        .with_context(|| beside(out, ".toml").display().to_string())?;
    write_whole(out, &exported.bytes).with_context(|| out.display().to_string())?;
    std::fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    Ok(Outcome {
        model: out.to_owned(),
        bytes: exported.bytes.len(),
        ram_bytes: size_of::<Scratch>(),
        parameters: trained.shape.parameters(),
        train_seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
        summary: Summary {
            tally: prepared.tally,
            epoch: trained.epoch,
            before: trained.judged,
            after: trained.judged,
            temperature: trained.temperature,
        },
        largest_gap: exported.largest_gap,
        probes: exported.probes,
    })
}
