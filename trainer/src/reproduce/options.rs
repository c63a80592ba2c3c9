//! The options of `qdllm reproduce`, and what they come to: tasks, seeds, shares, methods, and their order.

use super::method::{Learner, METHODS, Method, SIZES};
use super::report::Settings;
use super::task::{TASKS, Task};
use crate::options::Config;
use anyhow::Result;
use qdllm_host::files;
use std::path::{Path, PathBuf};

/// Reproduce the paper's tasks: students, teachers and controls by seed and share of labels
#[derive(clap::Args, Clone, Debug)]
#[command(long_about = include_str!("help.txt").trim_end())]
pub struct ReproduceArgs {
    /// The folder with a folder a task
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["report_only", "lesson"])]
    pub data: Option<PathBuf>,
    /// The folder for runs, soft labels and report
    #[arg(long, value_name = "FOLDER", required_unless_present = "lesson")]
    pub out: Option<PathBuf>,
    /// One seed, shares 100 and 10, sizes 1k and 4k, three tasks: minutes instead of hours
    #[arg(long, conflicts_with_all = ["seeds", "shares", "sizes"])]
    pub quick: bool,
    /// Tasks; NAME-groups splits NAME by near-duplicate group [default: senti,stega,topic,topic-groups]
    #[arg(long, value_delimiter = ',', value_name = "TASK,..")]
    pub tasks: Vec<String>,
    /// Seeds 0 to N-1: of the label draw and of training
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Percentages of the training labels that are known
    #[arg(long, value_delimiter = ',', default_value = "100,25,10,5", value_name = "P,..", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub shares: Vec<u32>,
    /// Rows of the edge student's vocabulary: 1024, 4096, or 16384 with word pairs and int8
    #[arg(long, value_delimiter = ',', default_value = "1k,4k,16k", value_name = "K,..", value_parser = SIZES)]
    pub sizes: Vec<String>,
    /// Methods, by the names that runs.jsonl has [default: all]
    #[arg(long, value_delimiter = ',', value_name = "METHOD,..", value_parser = method)]
    pub methods: Vec<&'static Method>,
    /// A folder of hidden states: TASK.safetensors or TASK.jsonl
    #[arg(long, value_name = "FOLDER")]
    pub vectors: Option<PathBuf>,
    /// A local model that makes the hidden states first; again for a second (feature `teacher`)
    #[arg(long, value_name = "PATH", conflicts_with = "vectors")]
    pub model: Vec<PathBuf>,
    /// The layer whose states are taken [default: chosen on as few labels as the smallest share has]
    #[arg(long, value_name = "L", requires = "model")]
    pub layer: Option<usize>,
    /// Settings beneath every student's (TOML, as `distill` takes them)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Forget all runs of the folder
    #[arg(long)]
    pub restart: bool,
    /// Write the report of the runs that are there, and run nothing
    #[arg(long, conflicts_with_all = ["restart", "quick"])]
    pub report_only: bool,
    /// Print report.json at the end
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
    /// One teacher's lesson: what this command runs as a child process
    #[arg(long, hide = true)]
    pub lesson: Option<PathBuf>,
}

fn method(name: &str) -> Result<&'static Method, String> {
    let names = || METHODS.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(", ");
    Method::named(name).ok_or_else(|| format!("the methods are {}", names()))
}

impl ReproduceArgs {
    /// With every choice made: tasks, shares falling, and the methods that are asked for.
    pub fn resolved(&self) -> Self {
        let mut args = self.clone();
        if args.quick {
            (args.seeds, args.shares) = (1, vec![100, 10]);
            args.sizes.truncate(2);
        }
        if args.tasks.is_empty() {
            args.tasks = TASKS.map(str::to_owned)[..if args.quick { 3 } else { 4 }].to_vec();
        }
        let of_size =
            |name: &str| args.sizes.iter().any(|k| name.starts_with(&format!("edge-{k}")));
        let asked = |m: &&'static Method| {
            (self.methods.is_empty() || self.methods.contains(m))
                && (!matches!(m.learner, Learner::Edge(_)) || of_size(&m.name))
        };
        args.methods = METHODS.iter().filter(asked).collect();
        args.shares.sort_unstable_by(|a, b| b.cmp(a));
        args.shares.dedup();
        args
    }

    /// Writes the resolved settings beside the runs: the report tells them.
    pub fn note(&self, base: &Config, tasks: &[Task], out: &Path) -> Result<()> {
        let asked = |k: &&str| self.methods.iter().any(|m| m.name == format!("edge-{k}"));
        let mut settings = Settings {
            seeds: self.seeds,
            shares: self.shares.clone(),
            sizes: SIZES.into_iter().filter(asked).map(str::to_owned).collect(),
            base: base.to_toml(),
            tasks: tasks.iter().map(|task| task.about.clone()).collect(),
        };
        // Tasks of an earlier command of the same folder stay described.
        let earlier = Settings::read(out).unwrap_or_default().tasks;
        settings.tasks.extend(earlier.into_iter().filter(|task| !self.tasks.contains(&task.name)));
        files::write(&out.join("settings.json"), serde_json::to_vec_pretty(&settings)?)
    }
}
