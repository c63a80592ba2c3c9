//! `accuracy`: the README's table, every figure from a run of the trainer made now.

use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};

const TOPIC: &str = "accuracy";

/// Options of `cargo xtask accuracy`.
#[derive(Args)]
pub struct Options {
    /// A folder with TASK/train.tsv and TASK/valid.tsv for the tasks topic, senti and stega; without
    /// it only the shipped commands are measured
    #[arg(long)]
    data: Option<PathBuf>,
    /// Tasks to measure [default: all that there is data for]
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
    /// Runs with different seeds that are averaged
    #[arg(long, default_value_t = 5)]
    seeds: u64,
}

/// A task and the settings of its student.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) settings: &'static [&'static str],
}

impl Task {
    /// The task's training and test texts, if they are shipped or `data` has them.
    ///
    /// # Errors
    /// When `data` does not hold the task.
    pub(crate) fn files(
        &self,
        repo: &Repo,
        data: Option<&Path>,
    ) -> Result<Option<(PathBuf, PathBuf)>> {
        let (folder, test) = match (self.name, data) {
            ("commands", _) => (repo.root.join("trainer/data/commands"), "test.tsv"),
            (name, Some(data)) => (data.join(name), "valid.tsv"),
            (_, None) => return Ok(None),
        };
        let train = folder.join("train.tsv");
        if !train.is_file() {
            bail!(
                "{}: not found; --data names a folder with {}/train.tsv",
                train.display(),
                self.name
            );
        }
        Ok(Some((train, folder.join(test))))
    }
}

/// Settings per task: topics are told by single words, feelings by overlapping n-grams, commands also by how they begin
/// and end, hidden messages by how words follow each other.
pub(crate) const TASKS: [Task; 4] = [
    Task { name: "commands", settings: &["--rows", "1024", "--bigrams", "--edges"] },
    Task { name: "topic", settings: &["--rows", "4096"] },
    Task {
        name: "senti",
        settings: &["--rows", "1000", "--bigrams", "--prefixes", "--select", "weight"],
    },
    Task {
        name: "stega",
        settings: &[
            "--rows",
            "4096",
            "--bigrams",
            "--trigrams",
            "--edges",
            "--regression",
            "--select",
            "weight",
        ],
    },
];

/// Accuracies over seeds, and the bytes of the model.
#[derive(Default)]
struct Measured {
    accuracy: Vec<f64>,
    bytes: u64,
}

impl Measured {
    fn add(&mut self, accuracy: &Value, bytes: &Value) -> Result<()> {
        self.accuracy.push(accuracy.as_f64().context("a report without accuracy")?);
        self.bytes = bytes.as_u64().context("a report without bytes")?;
        Ok(())
    }

    fn shown(&self) -> String {
        let n = self.accuracy.len() as f64;
        let mean = self.accuracy.iter().sum::<f64>() / n;
        let square: f64 = self.accuracy.iter().map(|a| (a - mean).powi(2)).sum();
        let spread =
            if n > 1.0 { format!(" ±{:.4}", (square / (n - 1.0)).sqrt()) } else { String::new() };
        format!("{mean:.4}{spread} ({} B)", self.bytes)
    }
}

/// Runs the command.
///
/// # Errors
/// When a run of the trainer fails or a task has no data.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    repo.host("cargo").args(["build", "--release", "--package", "qdllm-trainer"]).go()?;
    let target = repo.target_dir()?;
    let (qdllm, work) = (target.join("release/qdllm"), target.join("accuracy"));
    std::fs::create_dir_all(&work)?;
    println!("| task | student (circuit) | linear control | TF-IDF | fastText |");
    println!("| --- | --- | --- | --- | --- |");
    for task in &TASKS {
        if !options.tasks.is_empty() && !options.tasks.iter().any(|t| t == task.name) {
            continue;
        }
        let Some((train, test)) = task.files(repo, options.data.as_deref())? else {
            say(
                TOPIC,
                format!("SKIPPED {}: its data is not shipped; give --data FOLDER", task.name),
            );
            continue;
        };
        println!("{}", row(repo, &qdllm, &work, task, &train, &test, options.seeds)?);
    }
    Ok(())
}

fn row(
    repo: &Repo,
    qdllm: &Path,
    work: &Path,
    task: &Task,
    train: &Path,
    test: &Path,
    seeds: u64,
) -> Result<String> {
    let qdllm = qdllm.display().to_string();
    let ask = |args: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&repo.host(&qdllm).args(args).read()?)?)
    };
    let (train, test) = (train.display().to_string(), test.display().to_string());
    let model = work.join(format!("{}.qdm", task.name)).display().to_string();
    let [mut student, mut linear, mut tfidf, mut fasttext] =
        std::array::from_fn(|_| Measured::default());
    for seed in 0..seeds {
        say(TOPIC, format!("{}, seed {seed}", task.name));
        let seed = seed.to_string();
        // Early stopping holds out a part of the training texts: the test texts are never looked at.
        let mut distill = vec!["distill", "--json", "--restart", "--data", &train, "--out", &model];
        distill.extend(["--seed", &seed]);
        distill.extend(task.settings);
        ask(&distill)?;
        let report = ask(&["eval", &model, "--data", &test, "--json"])?;
        student.add(&report["student"]["accuracy"], &report["student_bytes"])?;
        linear.add(&report["control"]["accuracy"], &report["control_bytes"])?;
        let controls =
            ask(&["controls", "--json", "--data", &train, "--test", &test, "--seed", &seed])?;
        for control in controls["controls"].as_array().context("no controls in the report")? {
            let measured = if control["control"] == "tfidf" { &mut tfidf } else { &mut fasttext };
            measured.add(&control["accuracy"], &control["bytes"])?;
        }
    }
    let cells = [&student, &linear, &tfidf, &fasttext].map(Measured::shown);
    Ok(format!("| {} | {} |", task.name, cells.join(" | ")))
}
