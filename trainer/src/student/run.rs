//! A training run on disk: checkpoint and metrics while it lasts, then settings and model beside them.

use super::compact::Compact;
use super::dense::Dense;
use super::export::export;
use super::front_end::FrontEnd;
use super::left_out;
use super::reject::Rule;
use super::shape::Ansatz;
use super::train::{Checkpoint, Judgement, Moment, Resume};
use super::words::Words;
use super::{Prepared, Summary};
use crate::options::{Config, FrontEndKind, HiddenLayer};
use crate::resource_usage::peak_memory_bytes;
use anyhow::{Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::write_whole;
use qdllm_host::guard;
use qdllm_host::terminal::Progress;
use qdllm_runtime::Scratch;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Refuses what cannot be learnt from, or be written to `out` without taking the place of something that is read; the
/// settings file beside it may be the one that was read, if it says the same.
pub fn check(config: &Config, out: &Path, same_settings: bool) -> Result<()> {
    config.check()?;
    let (student, sources) = (&config.student, &config.sources);
    let dense = !sources.vectors.is_empty();
    if !dense && student.heart != HiddenLayer::Circuit {
        bail!("the heart `{:?}` is a control; only `circuit` makes a model file", student.heart);
    }
    if let Some(path) = &student.circuit {
        ensure!(
            !dense,
            "{}: --vectors trains the preset circuit; leave --circuit out",
            path.display()
        );
        Ansatz::read(path)?;
    }
    ensure!(!out.is_dir(), "{}: is a folder; --out names a file", out.display());
    guard::reads(config.files().cloned());
    let mut written = vec![out.to_owned()];
    written.extend([".ckpt", ".metrics.jsonl"].map(|suffix| beside(out, suffix)));
    written.extend((!same_settings).then(|| beside(out, ".toml")));
    guard::writes(&written)
}

/// Distils and writes the model, its settings and its metrics; the model file is written only when it is complete. With
/// `restart` an earlier, unfinished run is forgotten. A teacher that does harm is left out, also of the settings.
pub fn distill(
    config: &Config,
    out: &Path,
    (restart, checkpoint_every): (bool, Duration),
    progress: &mut Progress,
) -> Result<Outcome> {
    check(config, out, true)?;
    let dense = !config.sources.vectors.is_empty();
    let started = Instant::now();
    let checkpoint = beside(out, ".ckpt");
    if restart && checkpoint.exists() {
        std::fs::remove_file(&checkpoint).of_file(&checkpoint)?;
    }
    let time = (started, checkpoint_every);
    if dense {
        train_and_write(left_out::prepare(Dense::prepare, config, progress)?, out, time, progress)
    } else if config.compact.front_end == FrontEndKind::Compact {
        train_and_write(left_out::prepare(Compact::prepare, config, progress)?, out, time, progress)
    } else {
        train_and_write(left_out::prepare(Words::prepare, config, progress)?, out, time, progress)
    }
}

fn train_and_write<F: FrontEnd>(
    (prepared, config): (Prepared<F>, Config),
    out: &Path,
    (started, every): (Instant, Duration),
    progress: &mut Progress,
) -> Result<Outcome> {
    let (checkpoint, metrics) = (beside(out, ".ckpt"), beside(out, ".metrics.jsonl"));
    let fingerprint = prepared.fingerprint(&config);
    let earlier = Checkpoint::read(&checkpoint, &fingerprint)?;
    let done = earlier.as_ref().map_or(0, |state| state.epochs);
    if done > 0 {
        progress.say(&format!("going on after epoch {done} of {}", checkpoint.display()));
    }
    let mut log = reopen(&metrics, done).of_file(&metrics)?;
    if let Some(note) = prepared.weights_note() {
        progress.say(&note);
    }
    progress.stage("training", prepared.passes(&config));
    let resume = Resume { path: checkpoint.clone(), fingerprint, every, earlier };
    let mut failed = None;
    let student = prepared.distill(&config, Some(resume), |moment| {
        let event = match moment {
            Moment::Texts(done) => return progress.at(done),
            Moment::Epoch(event) => event,
        };
        let (epoch, loss) = (event.epoch, event.train_loss);
        progress.say(&format!("epoch {epoch:>3}  train loss {loss:.4}  valid {}", event.valid));
        let written = serde_json::to_string(event).map_err(std::io::Error::other);
        if let Err(e) = written.and_then(|json| writeln!(log, "{json}")) {
            failed.get_or_insert(e);
        }
    })?;
    progress.done();
    if let Some(e) = failed {
        return Err(e).of_file(&metrics);
    }
    let (bytes, largest_gap, rejection) = export(&student, &prepared, &config)?;
    let settings = beside(out, ".toml");
    if !guard::is_read(&settings) {
        write_whole(&settings, config.to_toml().as_bytes()).of_file(&settings)?;
    }
    write_whole(out, &bytes).of_file(out)?;
    std::fs::remove_file(&checkpoint).of_file(&checkpoint)?;
    Ok(Outcome {
        model: out.to_owned(),
        bytes: bytes.len(),
        ram_bytes: size_of::<Scratch>(),
        parameters: student.shape.parameters(),
        train_seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
        classes: prepared.classes.iter().cloned().zip(prepared.counts.iter().copied()).collect(),
        summary: student.summary,
        linear_accuracy: prepared.linear,
        largest_gap,
        rejection,
        probes: prepared.probes.len().min(super::COMPARED),
    })
}

/// The metrics file with the lines of the epochs that the checkpoint has done.
pub fn reopen(path: &Path, epochs: usize) -> std::io::Result<std::fs::File> {
    let kept: String = match std::fs::read_to_string(path) {
        Ok(text) => text.lines().take(epochs).map(|l| format!("{l}\n")).collect(),
        Err(_) => String::new(),
    };
    write_whole(path, kept)?;
    std::fs::OpenOptions::new().append(true).open(path)
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss {:.4}", self.loss)?;
        let (accuracy, macro_f1, agreement) = (self.accuracy, self.macro_f1, self.agreement);
        for (name, share) in
            [("accuracy", accuracy), ("macro F1", macro_f1), ("as the teacher", agreement)]
        {
            share.map_or(Ok(()), |x| write!(f, "  {name} {x:.4}"))?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub model: PathBuf,
    pub bytes: usize,
    pub ram_bytes: usize,
    pub parameters: usize,
    /// Wall-clock time from the first file read to the model's last byte written.
    pub train_seconds: f64,
    /// The most memory the process held at once; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// The classes, and how many rows of the labelled files are of each.
    pub classes: Vec<(String, u64)>,
    #[serde(flatten)]
    pub summary: Summary,
    /// As [`Prepared::linear`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_accuracy: Option<f64>,
    /// What the rule of rejection gives up and recalls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rule>,
    /// Largest difference of a probability between trainer and runtime.
    pub largest_gap: f32,
    pub probes: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line = |name: &str, what: String| writeln!(f, "{name:13}{what}");
        let (s, tally) = (&self.summary, &self.summary.tally);
        let (labelled, soft_only, valid) = (tally.labelled, tally.soft_only, tally.valid);
        let texts = format!("{labelled} with labels, {soft_only} with soft labels alone");
        line("texts", format!("{texts}, {valid} for validation"))?;
        let classes: Vec<_> = self.classes.iter().map(|(name, n)| format!("{name} {n}")).collect();
        line("classes", format!("{}: {}", classes.len(), classes.join(", ")))?;
        for (count, what) in [
            (tally.duplicates, "left out as duplicates"),
            (tally.leaked, "left out since validation holds them"),
            (tally.unused, "unused: label hidden and no teacher"),
            (tally.skipped, "bad rows skipped"),
            (tally.disputed, "with several labels"),
            (tally.undecided, "of these left out, no label being chosen"),
        ] {
            if count > 0 {
                line("", format!("{count} {what}"))?;
            }
        }
        line("best epoch", s.epoch.to_string())?;
        if s.before == s.after {
            line("validation", s.after.to_string())?;
        } else {
            line("validation", format!("before quantisation: {}", s.before))?;
            line("", format!("after quantisation:  {}", s.after))?;
        }
        if let (Some(linear), Some(own)) = (self.linear_accuracy, s.after.accuracy) {
            line(
                "control",
                format!(
                    "a linear head in the circuit's place: accuracy {linear:.4} ({:+.2} points)",
                    100.0 * (linear - own)
                ),
            )?;
        }
        line("temperature", format!("{:.3}", s.temperature))?;
        if let Some(rule) = &self.rejection {
            line("rejects", rule.to_string())?;
        }
        let (probes, gap) = (self.probes, self.largest_gap);
        let within = format!("probabilities within {gap:.1e}");
        line("checked", format!("the runtime agrees on {probes} texts, {within}"))?;
        line("model", format!("{} ({} bytes)", self.model.display(), self.bytes))?;
        line("RAM", format!("{} bytes beside the stack", self.ram_bytes))
    }
}
