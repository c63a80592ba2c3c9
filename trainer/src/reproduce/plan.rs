//! What a command line comes to: tasks, seeds, shares, methods, and their order.

use std::path::Path;

use anyhow::Result;

use super::method::{Method, Size, Supervision};
use super::options::ReproduceArgs;
use super::report::{Settings, TaskNote};
use super::task::{TASKS, Task};
use super::{hidden_states, teacher};
use crate::options::Config;
use anyhow::Context as _;
use qdllm_host::files::write_whole;

pub struct Plan {
    pub tasks: Vec<String>,
    seeds: u64,
    pub shares: Vec<u32>,
    methods: Vec<Method>,
    pub base: Config,
}

impl Plan {
    /// What a command line comes to.
    ///
    /// # Errors
    /// When the settings file cannot be read.
    pub fn new(args: &ReproduceArgs) -> Result<Self> {
        let quick = args.quick;
        let mut tasks = args.tasks.clone();
        if tasks.is_empty() {
            tasks = TASKS[..if quick { 3 } else { 4 }].iter().map(ToString::to_string).collect();
        }
        let sizes = if quick { &[Size::K1, Size::K4][..] } else { &args.sizes };
        let asked = |m: &Method| {
            (args.methods.is_empty() || args.methods.contains(m))
                && !matches!(m, Method::Edge(size, _) if !sizes.contains(size))
        };
        let mut shares = if quick { vec![100, 10] } else { args.shares.clone() };
        shares.sort_unstable_by(|a, b| b.cmp(a));
        shares.dedup();
        Ok(Self {
            tasks,
            seeds: if quick { 1 } else { args.seeds },
            shares,
            methods: Method::all().into_iter().filter(asked).collect(),
            base: args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default(),
        })
    }

    /// The methods of a place; those that fit the task.
    pub fn methods(&self, task: &Task, share: u32, seed: u64) -> Vec<Method> {
        let here = |m: &&Method| m.fits(task) && (seed == 0 || m.varies(share));
        self.methods.iter().filter(here).copied().collect()
    }

    /// Every task, share and seed: whole seeds first, so that a table that is cut short has as many of all.
    pub fn places<'t>(&self, tasks: &'t [Task]) -> Vec<(&'t Task, u32, u64)> {
        let of = |seed| {
            tasks
                .iter()
                .flat_map(move |task| self.shares.iter().map(move |&share| (task, share, seed)))
        };
        (0..self.seeds).flat_map(of).collect()
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
            teacher: teacher::describe(!task.vectors.is_empty()),
            hidden_states: task.vectors.first().map(|path| hidden_states::describe(path)),
        };
        let edge = |size| Method::Edge(size, Supervision::Labels);
        let sizes = Size::ALL.into_iter().filter(|&size| self.methods.contains(&edge(size)));
        let mut settings = Settings {
            seeds: self.seeds,
            shares: self.shares.clone(),
            sizes: sizes.map(|size| size.name().to_owned()).collect(),
            base: self.base.to_toml(),
            tasks: tasks.iter().map(task).collect(),
        };
        // Tasks of an earlier command of the same folder stay described.
        let earlier = Settings::read(out).unwrap_or_default().tasks;
        settings.tasks.extend(earlier.into_iter().filter(|task| !self.tasks.contains(&task.name)));
        let path = out.join("settings.json");
        write_whole(&path, &serde_json::to_vec_pretty(&settings)?)
            .with_context(|| path.display().to_string())
    }
}
