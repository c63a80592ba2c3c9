//! A training run on disk: checkpoint and metrics while it lasts, then settings and model beside them.

use super::dense::Dense;
use super::distillation::Prepared;
use super::export::export;
use super::front_end::FrontEnd;
use super::outcome::{Outcome, shares};
use super::train::{Event, Moment, Resume, epochs_done};
use super::words::Words;
use crate::options::{Config, HiddenLayer};
use crate::resource_usage::peak_memory_bytes;
use anyhow::{Context, Result, bail};
use qdllm_host::files::write_whole;
use qdllm_host::terminal::Progress;
use qdllm_runtime::Scratch;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a run deals with an earlier one and with its own end.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Whether an earlier, unfinished run is forgotten.
    pub restart: bool,
    pub checkpoint_every: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { restart: false, checkpoint_every: Duration::from_secs(1) }
    }
}

/// A path with something appended to its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Distils and writes the model, its settings and its metrics.
///
/// # Errors
/// With file, line and remedy; the model file is written only when it is complete.
pub fn distill(
    config: &Config,
    out: &Path,
    keep: Keep,
    progress: &mut Progress,
) -> Result<Outcome> {
    let student = &config.student;
    let dense = !config.sources.vectors.is_empty();
    if !dense && student.heart != HiddenLayer::Circuit {
        bail!("the heart `{:?}` is a control; only `circuit` makes a model file", student.heart);
    }
    if let (true, Some(circuit)) = (dense, &student.circuit) {
        bail!("{}: --vectors trains the preset circuit; leave --circuit out", circuit.display());
    }
    if out.is_dir() {
        bail!("{}: is a folder; --out names a file", out.display());
    }
    let started = Instant::now();
    let checkpoint = beside(out, ".ckpt");
    if keep.restart && checkpoint.exists() {
        std::fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    }
    let mut outcome = if dense {
        train_and_write(&Dense::prepare(config, progress)?, config, out, keep, progress)?
    } else {
        train_and_write(&Words::prepare(config, progress)?, config, out, keep, progress)?
    };
    outcome.train_seconds = started.elapsed().as_secs_f64();
    Ok(outcome)
}

fn train_and_write<F: FrontEnd>(
    prepared: &Prepared<F>,
    config: &Config,
    out: &Path,
    keep: Keep,
    progress: &mut Progress,
) -> Result<Outcome> {
    let (checkpoint, metrics) = (beside(out, ".ckpt"), beside(out, ".metrics.jsonl"));
    let resume = Resume {
        path: checkpoint.clone(),
        fingerprint: prepared.fingerprint(config),
        every: keep.checkpoint_every,
    };
    let done = epochs_done(&checkpoint, &resume.fingerprint)?;
    if done > 0 {
        progress.say(&format!("going on after epoch {done} of {}", checkpoint.display()));
    }
    let mut log = reopen(&metrics, done).with_context(|| metrics.display().to_string())?;
    progress.stage("training", prepared.passes(config));
    let mut failed = None;
    let student = prepared.distill(config, Some(&resume), |moment| {
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
    let exported = export(&student, prepared, config)?;
    let settings = beside(out, ".toml");
    write_whole(&settings, config.to_toml().as_bytes())
        .with_context(|| settings.display().to_string())?;
    write_whole(out, &exported.bytes).with_context(|| out.display().to_string())?;
    std::fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    Ok(Outcome {
        model: out.to_owned(),
        bytes: exported.bytes.len(),
        ram_bytes: size_of::<Scratch>(),
        parameters: student.shape.parameters(),
        train_seconds: 0.0,
        peak_memory_bytes: peak_memory_bytes(),
        summary: student.summary,
        largest_gap: exported.largest_gap,
        probes: exported.probes,
    })
}

/// The metrics file with the lines of the epochs that the checkpoint has done.
fn reopen(path: &Path, epochs: usize) -> std::io::Result<std::fs::File> {
    let kept: String = match std::fs::read_to_string(path) {
        Ok(text) => text.lines().take(epochs).map(|l| format!("{l}\n")).collect(),
        Err(_) => String::new(),
    };
    std::fs::write(path, kept)?;
    std::fs::OpenOptions::new().append(true).open(path)
}

fn line(event: &Event) -> String {
    format!(
        "epoch {:>3}  train loss {:.4}  valid loss {:.4}{}",
        event.epoch,
        event.train_loss,
        event.valid.loss,
        shares(&event.valid),
    )
}
