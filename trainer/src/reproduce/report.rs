//! The report: everything that the runs came to, as one object.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::figures::{Figures, figures};
use super::findings::Findings;
use super::journal::Run;
use super::method::Method;
use super::{environment, task};

/// The resolved settings of the latest command, and the tasks of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    pub seeds: u64,
    pub shares: Vec<u32>,
    pub sizes: Vec<String>,
    pub base: String,
    pub tasks: Vec<TaskNote>,
}

/// A task as the report describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskNote {
    pub name: String,
    pub classes: Vec<String>,
    pub train_texts: usize,
    pub valid_texts: usize,
    pub split: String,
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

#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    pub name: String,
    pub title: String,
    /// What is known of it, where the settings tell.
    pub about: Option<TaskNote>,
    /// Its figures: shares falling, methods in a fixed order.
    pub figures: Vec<Figures>,
}

impl TaskReport {
    pub fn shares(&self) -> Vec<u32> {
        let mut shares: Vec<u32> = self.figures.iter().map(|f| f.share).collect();
        shares.dedup();
        shares
    }

    pub fn of(&self, share: u32, method: Method) -> Option<&Figures> {
        let name = method.to_string();
        self.figures.iter().find(|f| f.share == share && f.method == name)
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub versions: BTreeSet<String>,
    pub commits: BTreeSet<String>,
    pub machines: BTreeSet<String>,
    /// When the first and the last run were done, UTC.
    pub dates: (String, String),
    pub runs: usize,
    pub settings: Settings,
    pub tasks: Vec<TaskReport>,
    pub findings: Findings,
}

impl Report {
    /// Of some runs, and what the settings say of their tasks.
    pub fn of(runs: &[Run], settings: Settings) -> Self {
        let date = |finished: Option<u64>| environment::date(finished.unwrap_or(0));
        let done = || runs.iter().map(|run| run.finished);
        let names: BTreeSet<&str> = runs.iter().map(|run| run.task.as_str()).collect();
        let task = |name: &str| TaskReport {
            name: name.to_owned(),
            title: task::title(name),
            about: settings.tasks.iter().find(|task| task.name == name).cloned(),
            figures: figures(runs, name),
        };
        Self {
            versions: runs.iter().map(|run| run.version.clone()).collect(),
            commits: runs.iter().filter_map(|run| run.commit.clone()).collect(),
            machines: runs.iter().map(|run| run.machine.clone()).collect(),
            dates: (date(done().min()), date(done().max())),
            runs: runs.len(),
            tasks: names.into_iter().map(task).collect(),
            findings: Findings::of(runs),
            settings,
        }
    }
}
