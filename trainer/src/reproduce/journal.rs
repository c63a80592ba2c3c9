//! What has been run: one JSON line a run, on disk before the next begins, and never a mixture.

use super::method::Method;
use super::task::{Inputs, Task};
use crate::metrics::Scores;
use crate::options::Config;
use anyhow::{Context, Result, bail};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One run: its place in the table, what it was made from, and its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub task: String,
    /// Percentage of the training labels that were known.
    pub share: u32,
    /// Seed of the label draw and of training.
    pub seed: u64,
    pub method: String,
    pub inputs: Inputs,
    pub settings: String,
    pub version: String,
    pub commit: Option<String>,
    pub machine: String,
    pub finished: u64,
    pub labels: usize,
    pub unlabelled: usize,
    pub test_texts: usize,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Rows of the vocabulary, where there is one.
    pub rows: Option<usize>,
    pub accuracy: f64,
    /// Over the classes, weighted by their texts.
    #[serde(flatten)]
    pub weighted: Scores,
    pub parameters: Option<usize>,
    pub bytes: Option<usize>,
    pub peak_memory_bytes: Option<u64>,
    pub train_seconds: f64,
    pub microseconds_per_text: Option<f64>,
}

impl Run {
    fn place(&self) -> (&str, u32, u64, &str) {
        (&self.task, self.share, self.seed, &self.method)
    }
}

/// The file of runs, locked against other writers.
pub struct Journal {
    path: PathBuf,
    file: File,
    runs: Vec<Run>,
}

impl Journal {
    /// Opens or creates the file. Half a line at its end, left by a run that was ended, is cut off.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, text) = match files::open_lines(path) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => bail!(
                "{}: another run writes here; wait for it, or give another --out",
                path.display()
            ),
            opened => opened.of_file(path)?,
        };
        Ok(Self { path: path.into(), file, runs: parse(path, &text)? })
    }

    /// The runs of a file that is only read.
    pub fn read(path: &Path) -> Result<Vec<Run>> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{}: no runs to report; run without --report-only first", path.display())
        })?;
        parse(path, files::whole_lines(&text))
    }

    pub fn restart(&mut self) -> Result<()> {
        self.runs.clear();
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map(drop).of_file(&self.path)
    }

    /// Refuses to go on with runs of another version, other data or other settings.
    pub fn check(&self, tasks: &[Task], base: &Config) -> Result<()> {
        for run in &self.runs {
            let task = tasks.iter().find(|task| task.about.name == run.task);
            let method = task.zip(Method::named(&run.method));
            let settings = method.map(|(task, method)| method.settings(task, run.seed, base));
            let (then, now) = (&run.inputs, task.map_or(&run.inputs, |task| &task.inputs));
            let vectors = [then, now].map(|inputs| inputs.vectors.as_deref().unwrap_or("none"));
            let parts: [(&str, &str, &str); 5] = [
                ("version", &run.version, VERSION),
                ("training file", &then.train, &now.train),
                ("validation file", &then.valid, &now.valid),
                ("set of vectors", vectors[0], vectors[1]),
                ("set of settings", &run.settings, settings.as_ref().unwrap_or(&run.settings)),
            ];
            if let Some((what, then, now)) = parts.into_iter().find(|(_, a, b)| a != b) {
                bail!(
                    "{}: holds runs of another {what} ({}, {}% of the labels, seed {}, {}: {then} then, {now} now); give another --out, or --restart to forget them",
                    self.path.display(),
                    run.task,
                    run.share,
                    run.seed,
                    run.method,
                )
            }
        }
        Ok(())
    }

    /// Adds a run; it is on the disk when this returns.
    pub fn add(&mut self, run: Run) -> Result<()> {
        let line = serde_json::to_string(&run)? + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.of_file(&self.path)?;
        self.runs.push(run);
        Ok(())
    }

    pub fn has(&self, task: &str, share: u32, seed: u64, method: &str) -> bool {
        self.runs.iter().any(|run| run.place() == (task, share, seed, method))
    }
}

/// The runs of a file, the last one of each place in the table.
fn parse(path: &Path, text: &str) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let run: Run = serde_json::from_str(line).with_context(|| {
            format!("{}:{}: not a run; remove the line, or give --restart", path.display(), i + 1)
        })?;
        match runs.iter_mut().find(|earlier| earlier.place() == run.place()) {
            Some(earlier) => *earlier = run,
            None => runs.push(run),
        }
    }
    Ok(runs)
}
