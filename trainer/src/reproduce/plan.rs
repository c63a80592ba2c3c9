//! What a command line comes to: tasks, seeds, shares, methods, and their order.

use std::path::Path;

use anyhow::{Context, Result};

use super::hidden_states;
use super::label_source::By;
use super::method::{Method, Size};
use super::process::Group;
use super::report::{Settings, TaskNote};
use super::task::{self, Task};
use crate::commands::reproduce::ReproduceArgs;
use crate::options::Config;
use crate::student::checkpoint::write_whole;

/// The settings of the table, resolved.
pub struct Plan {
    /// Tasks by name.
    pub tasks: Vec<String>,
    /// Seeds 0 to this less one.
    pub seeds: u64,
    /// Percentages of known labels, falling.
    pub shares: Vec<u32>,
    /// Methods in the order of the report.
    pub methods: Vec<Method>,
    /// Settings beneath every student's.
    pub base: Config,
}

impl Plan {
    /// What a command line comes to.
    ///
    /// # Errors
    /// When the settings file cannot be read.
    pub fn new(args: &ReproduceArgs) -> Result<Self> {
        let all = if args.quick { &task::TASKS[..3] } else { &task::TASKS[..] };
        let mut tasks = args.tasks.clone();
        if tasks.is_empty() {
            tasks = all.iter().map(|&name| name.to_owned()).collect();
        }
        let sizes = if args.quick { vec![Size::K1, Size::K4] } else { args.sizes.clone() };
        let asked = |m: &Method| args.methods.is_empty() || args.methods.contains(m);
        let of_size = |m: &Method| !matches!(m, Method::Edge(size, _) if !sizes.contains(size));
        let mut shares = if args.quick { vec![100, 10] } else { args.shares.clone() };
        shares.sort_unstable_by(|a, b| b.cmp(a));
        shares.dedup();
        Ok(Self {
            tasks,
            seeds: if args.quick { 1 } else { args.seeds },
            shares,
            methods: Method::all().into_iter().filter(|m| asked(m) && of_size(m)).collect(),
            base: args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default(),
        })
    }

    /// The methods of a place; those that fit the task.
    pub fn methods<'a>(
        &'a self,
        task: &'a Task,
        share: u32,
        seed: u64,
    ) -> impl Iterator<Item = Method> + 'a {
        let here = move |m: &Method| m.fits(task) && (seed == 0 || m.varies(share));
        self.methods.iter().copied().filter(here)
    }

    /// Every group: whole seeds first, so that a table that is cut short has as many of all.
    pub fn groups(&self, tasks: usize) -> Vec<(usize, u32, u64)> {
        let mut groups = Vec::new();
        for seed in 0..self.seeds {
            for task in 0..tasks {
                groups.extend(self.shares.iter().map(|&share| (task, share, seed)));
            }
        }
        groups
    }

    /// Writes the resolved settings beside the runs: the report tells them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&self, tasks: &[Task], out: &Path) -> Result<()> {
        let task = |task: &Task| TaskNote {
            name: task.name.clone(),
            classes: task.classes.clone(),
            train_texts: task.train.len(),
            valid_texts: task.valid.len(),
            split: task.split.clone(),
            teacher: Group::teacher_is(task),
            hidden_states: task.vectors.first().map(|path| hidden_states::describe(path)),
        };
        let sizes =
            Size::ALL.iter().filter(|s| self.methods.contains(&Method::Edge(**s, By::Labels)));
        let path = out.join("settings.json");
        let mut settings = Settings {
            seeds: self.seeds,
            shares: self.shares.clone(),
            sizes: sizes.map(|s| s.name().to_owned()).collect(),
            base: self.base.to_toml(),
            tasks: tasks.iter().map(task).collect(),
        };
        // Tasks of an earlier command of the same folder stay described.
        if let Ok(earlier) = Settings::read(out) {
            let known = |name: &str| self.tasks.iter().any(|task| task == name);
            settings.tasks.extend(earlier.tasks.into_iter().filter(|task| !known(&task.name)));
        }
        let text = serde_json::to_vec_pretty(&settings)?;
        write_whole(&path, &text).with_context(|| path.display().to_string())
    }
}
