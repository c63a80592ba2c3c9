//! What has been run: one JSON line a run, on disk before the next begins, and never a mixture.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::task::Inputs;
use crate::whole_lines::{self, WholeLinesError};

/// One run: its place in the table, what it was made from, and its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The task.
    pub task: String,
    /// Percentage of the training labels that were known.
    pub share: u32,
    /// Seed of the label draw and of training.
    pub seed: u64,
    /// The method's name.
    pub method: String,
    /// Digests of the data.
    pub inputs: Inputs,
    /// Digest of the settings.
    pub settings: String,
    /// Version of the program.
    pub version: String,
    /// Its commit, if it was built with one.
    pub commit: Option<String>,
    /// Processor, cores and memory of the machine.
    pub machine: String,
    /// When it was done, seconds since 1970 in UTC.
    pub finished: u64,
    /// Training texts with a label.
    pub labels: usize,
    /// Training texts without.
    pub unlabelled: usize,
    /// Texts it was judged on.
    pub test_texts: usize,
    /// Rows of the vocabulary, where there is one.
    pub rows: Option<usize>,
    /// Share of the test texts classified right.
    pub accuracy: f64,
    /// Precision over the classes, weighted by their texts; so are recall and F1.
    pub precision: f64,
    /// Weighted recall.
    pub recall: f64,
    /// Weighted F1.
    pub f1: f64,
    /// Numbers that were trained, where they are counted.
    pub parameters: Option<u64>,
    /// Bytes of the model.
    pub bytes: Option<u64>,
    /// The most memory that training held at once.
    pub peak_memory_bytes: Option<u64>,
    /// Wall-clock time of training.
    pub train_seconds: f64,
    /// Time of one text.
    pub microseconds_per_text: Option<f64>,
}

/// Where a run stands in the table.
pub type Place = (String, u32, u64, String);

impl Run {
    /// Task, share, seed, method.
    pub fn place(&self) -> Place {
        (self.task.clone(), self.share, self.seed, self.method.clone())
    }

    fn describe(&self) -> String {
        format!("{}, {}% of the labels, seed {}, {}", self.task, self.share, self.seed, self.method)
    }
}

/// What a new run of the same place would be made from.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Digests of the task's data.
    pub inputs: Inputs,
    /// Digest of the settings; `None` where the place is not asked for now.
    pub settings: Option<String>,
}

/// The file of runs, locked against other writers.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    runs: Vec<Run>,
}

impl Journal {
    /// Opens or creates the file. Half a line at its end, left by a run that was ended, is cut off.
    ///
    /// # Errors
    /// When another run holds the file, or a line of it is not a run.
    pub fn open(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let (file, text) = match whole_lines::open(path) {
            Ok(opened) => opened,
            Err(WholeLinesError::Busy) => {
                bail!("{}: another run writes here; wait for it, or give another --out", name())
            }
            Err(error) => return Err(error).with_context(name),
        };
        Ok(Self { path: path.into(), file, runs: parse(path, &text)? })
    }

    /// The runs of a file that is only read.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(path: &Path) -> Result<Vec<Run>> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{}: no runs to report; run without --report-only first", path.display())
        })?;
        parse(path, whole_lines::whole(&text))
    }

    /// Forgets every run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn restart(&mut self) -> Result<()> {
        self.runs.clear();
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map(|_| ()).with_context(|| self.path.display().to_string())
    }

    /// Refuses to go on with runs of another version, other data or other settings.
    ///
    /// # Errors
    /// Names the first run that differs, what differs, and what to do.
    pub fn check(&self, version: &str, wanted: impl Fn(&Run) -> Option<Wanted>) -> Result<()> {
        for run in &self.runs {
            let differs = |what: &str, then: &str, now: &str| {
                bail!(
                    "{}: holds runs of another {what} ({}: {then} then, {now} now); give another --out, or --restart to forget them",
                    self.path.display(),
                    run.describe()
                )
            };
            if run.version != version {
                return differs("version", &run.version, version);
            }
            let Some(wanted) = wanted(run) else { continue };
            let (then, now) = (&run.inputs, &wanted.inputs);
            let none = "none".to_owned();
            for (what, then, now) in [
                ("training file", &then.train, &now.train),
                ("validation file", &then.valid, &now.valid),
                (
                    "set of vectors",
                    then.vectors.as_ref().unwrap_or(&none),
                    now.vectors.as_ref().unwrap_or(&none),
                ),
            ] {
                if then != now {
                    return differs(what, then, now);
                }
            }
            if let Some(now) = wanted.settings.filter(|now| *now != run.settings) {
                return differs("set of settings", &run.settings, &now);
            }
        }
        Ok(())
    }

    /// Adds a run; it is on the disk when this returns.
    ///
    /// # Errors
    /// When writing fails.
    pub fn add(&mut self, run: Run) -> Result<()> {
        let mut line = serde_json::to_string(&run)?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .with_context(|| self.path.display().to_string())?;
        self.runs.push(run);
        Ok(())
    }

    /// Whether a place of the table is filled.
    pub fn has(&self, place: &Place) -> bool {
        self.runs.iter().any(|run| run.place() == *place)
    }
}

/// The lines of a file, the last run of each place.
fn parse(path: &Path, text: &str) -> Result<Vec<Run>> {
    let mut places: HashMap<Place, usize> = HashMap::new();
    let mut runs: Vec<Run> = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let run: Run = serde_json::from_str(line).with_context(|| {
            format!("{}:{}: not a run; remove the line, or give --restart", path.display(), i + 1)
        })?;
        match places.get(&run.place()) {
            Some(&at) => runs[at] = run,
            None => {
                places.insert(run.place(), runs.len());
                runs.push(run);
            }
        }
    }
    Ok(runs)
}
