//! The report: everything that the runs came to, as one object, written as JSON, Markdown and two plots.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::figures::{Figures, figures};
use super::findings::Findings;
use super::journal::Run;
use super::method::Method;
use super::{environment, markdown, plot, task};
use crate::student::checkpoint::write_whole;

/// The resolved settings of the latest command, and the tasks of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Seeds asked for.
    pub seeds: u64,
    /// Percentages of known labels.
    pub shares: Vec<u32>,
    /// Sizes of the edge student.
    pub sizes: Vec<String>,
    /// Settings beneath every student's, as TOML.
    pub base: String,
    /// The tasks.
    pub tasks: Vec<TaskNote>,
}

/// A task as the report describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskNote {
    /// Its name.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Training texts.
    pub train_texts: usize,
    /// Validation texts: all figures are of these.
    pub valid_texts: usize,
    /// How the split came about.
    pub split: String,
    /// Who teaches.
    pub teacher: String,
    /// Where hidden states come from; `None` without.
    pub hidden_states: Option<String>,
}

impl Settings {
    /// Those that a command left in the folder.
    ///
    /// # Errors
    /// When the file is missing or not what a command wrote.
    pub fn read(out: &Path) -> Result<Self> {
        let path = out.join("settings.json");
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }
}

/// A task and its figures.
#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// What is known of it, where the settings tell.
    pub about: Option<TaskNote>,
    /// Its figures: shares falling, methods in a fixed order.
    pub figures: Vec<Figures>,
}

impl TaskReport {
    /// The shares that have figures, falling.
    pub fn shares(&self) -> Vec<u32> {
        let mut shares: Vec<u32> = self.figures.iter().map(|f| f.share).collect();
        shares.dedup();
        shares
    }

    /// A method's figures on one share.
    pub fn of(&self, share: u32, method: Method) -> Option<&Figures> {
        let name = method.to_string();
        self.figures.iter().find(|f| f.share == share && f.method == name)
    }
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Versions of the program that made the runs.
    pub versions: BTreeSet<String>,
    /// Their commits, where known.
    pub commits: BTreeSet<String>,
    /// The machines.
    pub machines: BTreeSet<String>,
    /// When the first and the last run were done, UTC.
    pub dates: (String, String),
    /// Runs.
    pub runs: usize,
    /// The settings.
    pub settings: Settings,
    /// One entry a task.
    pub tasks: Vec<TaskReport>,
    /// What the figures say.
    pub findings: Findings,
}

impl Report {
    /// Of some runs, and what the settings say of their tasks.
    pub fn of(runs: &[Run], settings: Settings) -> Self {
        let all = |of: &dyn Fn(&Run) -> Option<String>| runs.iter().filter_map(of).collect();
        let done = || runs.iter().map(|run| run.finished);
        let names: BTreeSet<&str> = runs.iter().map(|run| run.task.as_str()).collect();
        let task = |name: &str| TaskReport {
            name: name.to_owned(),
            title: task::title(name),
            about: settings.tasks.iter().find(|task| task.name == name).cloned(),
            figures: figures(runs, name),
        };
        Self {
            versions: all(&|run| Some(run.version.clone())),
            commits: all(&|run| run.commit.clone()),
            machines: all(&|run| Some(run.machine.clone())),
            dates: (
                environment::date(done().min().unwrap_or(0)),
                environment::date(done().max().unwrap_or(0)),
            ),
            runs: runs.len(),
            tasks: names.into_iter().map(task).collect(),
            findings: Findings::of(runs),
            settings,
        }
    }
}

/// Writes `report.json`, `report.md`, `accuracy-bytes.svg` and `accuracy-labels.svg`; returns the JSON.
///
/// # Errors
/// When a file cannot be written.
pub fn write(out: &Path, runs: &[Run]) -> Result<String> {
    let report = Report::of(runs, Settings::read(out).unwrap_or_default());
    let json = serde_json::to_string_pretty(&report)?;
    for (name, text) in [
        ("report.json", json.clone() + "\n"),
        ("report.md", markdown::page(&report)),
        ("accuracy-bytes.svg", plot::by_bytes(&report)),
        ("accuracy-labels.svg", plot::by_labels(&report)),
    ] {
        let path = out.join(name);
        write_whole(&path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(json)
}
