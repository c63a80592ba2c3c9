//! `accuracy`: the READMEs' tables, every figure from a run of the trainer made now: students beside
//! their controls, or (`--agreement`) each back end beside the exact circuit.

use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};

const TOPIC: &str = "accuracy";

const ACCURACY: &str = "\
| task | student (circuit) | linear control | TF-IDF | fastText |
| --- | --- | --- | --- | --- |";
const AGREEMENT: &str = "\
| task | back end | equal decisions | largest logit error | bytes more | RAM | multiply-adds |
| --- | --- | --- | --- | --- | --- | --- |";

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
    /// Measures instead how often each back end decides as the exact circuit, and what it costs;
    /// compiled back ends are asked for this share of equal decisions
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.999")]
    agreement: Option<f64>,
}

/// A task and the settings of its student.
struct Task {
    name: &'static str,
    settings: &'static [&'static str],
}

impl Task {
    /// The task's training and test texts, if they are shipped or `data` has them.
    fn files(&self, repo: &Repo, data: Option<&Path>) -> Result<Option<(PathBuf, PathBuf)>> {
        let (folder, test) = match (self.name, data) {
            ("commands", _) => (repo.root.join("trainer/data/commands"), "test.tsv"),
            (name, Some(data)) => (data.join(name), "valid.tsv"),
            (_, None) => return Ok(None),
        };
        let train = folder.join("train.tsv");
        if !train.is_file() {
            let (file, name) = (train.display(), self.name);
            bail!("{file}: not found; --data names a folder with {name}/train.tsv");
        }
        Ok(Some((train, folder.join(test))))
    }
}

/// Settings per task: topics are told by single words, feelings by overlapping n-grams, commands also by how they begin
/// and end, hidden messages by how words follow each other.
const TASKS: [Task; 4] = [
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

/// A back end as `qdllm compile` takes it, and as `qdllm agreement` names it.
const BACKENDS: [(&[&str], &str); 4] = [
    (&["polynomial"], "polynomial"),
    (&["tensor-train"], "tensor train"),
    (&["tensor-train", "--exact"], "tensor train"),
    (&["statevector-i16"], "statevector i16"),
];

/// The trainer's program, and a task's files as it takes them.
struct Trainer<'a> {
    repo: &'a Repo,
    qdllm: &'a str,
    work: &'a Path,
    task: &'a Task,
    train: String,
    test: String,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let qdllm = repo.trainer()?;
    let work = repo.target_dir()?.join(TOPIC);
    std::fs::create_dir_all(&work)?;
    println!("{}", if options.agreement.is_some() { AGREEMENT } else { ACCURACY });
    let mut short = Vec::new();
    for task in &TASKS {
        if !options.tasks.is_empty() && !options.tasks.iter().any(|t| t == task.name) {
            continue;
        }
        let Some((train, test)) = task.files(repo, options.data.as_deref())? else {
            let why = "its data is not shipped; give --data FOLDER";
            say(TOPIC, format!("SKIPPED {}: {why}", task.name));
            continue;
        };
        let [train, test] = [train, test].map(|path| path.display().to_string());
        let trainer = Trainer { repo, qdllm: &qdllm, work: &work, task, train, test };
        match options.agreement {
            None => println!("{}", trainer.accuracy(options.seeds)?),
            Some(share) => short.extend(trainer.agreement(share)?),
        }
    }
    if short.is_empty() { Ok(()) } else { bail!("under what was asked: {}", short.join(", ")) }
}

impl Trainer<'_> {
    fn ask(&self, args: &[&str]) -> Result<Value> {
        self.repo.ask(self.qdllm, args)
    }

    fn file(&self, ending: &str) -> String {
        self.work.join(format!("{}{ending}", self.task.name)).display().to_string()
    }

    /// Early stopping holds out a part of the training texts: the test texts are never looked at.
    fn distill(&self, model: &str, seed: u64) -> Result<()> {
        say(TOPIC, format!("{}, seed {seed}", self.task.name));
        let files = ["distill", "--json", "--restart", "--data", &self.train, "--out", model];
        let seed = seed.to_string();
        self.ask(&[&files[..], &["--seed", &seed], self.task.settings].concat()).map(drop)
    }

    /// The task's row of students beside their controls.
    fn accuracy(&self, seeds: u64) -> Result<String> {
        let model = self.file(".qdm");
        let [mut student, mut linear, mut tfidf, mut fasttext] =
            std::array::from_fn(|_| Measured::default());
        for seed in 0..seeds {
            self.distill(&model, seed)?;
            let report = self.ask(&["eval", &model, "--data", &self.test, "--json"])?;
            student.add(&report["student"]["accuracy"], &report["student_bytes"])?;
            linear.add(&report["control"]["accuracy"], &report["control_bytes"])?;
            let data = ["--data", &self.train, "--test", &self.test, "--seed", &seed.to_string()];
            let controls = self.ask(&[&["controls", "--json"][..], &data].concat())?;
            for control in controls["controls"].as_array().context("no controls in the report")? {
                let measured =
                    if control["control"] == "tfidf" { &mut tfidf } else { &mut fasttext };
                measured.add(&control["accuracy"], &control["bytes"])?;
            }
        }
        let cells = [&student, &linear, &tfidf, &fasttext].map(Measured::shown);
        Ok(format!("| {} | {} |", self.task.name, cells.join(" | ")))
    }

    /// Prints the task's rows of back ends; gives those that fall short.
    fn agreement(&self, share: f64) -> Result<Vec<String>> {
        let (model, compiled) = (self.file(".qdm"), self.file(".compiled.qdm"));
        let name = self.task.name;
        self.distill(&model, 0)?;
        let mut short = Vec::new();
        for (backend, shown) in BACKENDS {
            let exact = backend.contains(&"--exact");
            let words = backend.join(" ");
            say(TOPIC, format!("{name}: {words}"));
            let files = ["compile", &model, "--data", &self.train, "--out", &compiled, "--json"];
            let asked = share.to_string();
            let asked: &[&str] = if exact { &[] } else { &["--agreement", &asked] };
            let report = self.ask(&[&files[..], asked, &["--backend"], backend].concat())?;
            let found = self.ask(&["agreement", &compiled, "--data", &self.test, "--json"])?;
            let rows = found.as_array().context("no rows")?;
            let row = rows.iter().find(|row| row["backend"] == shown);
            let row = row.with_context(|| format!("no row for {shown}"))?;
            let number = |key: &str| row[key].as_f64().context("a report without a number");
            let texts = number("texts")?;
            println!(
                "| {name} | {words} | {} of {texts} | {:.4} | {} | {} | {} |",
                texts - number("different")?,
                number("largest_logit_error")?,
                report["section_bytes"],
                report["ram_bytes"],
                report["multiply_adds"],
            );
            if number("agreement")? < if exact { 1.0 } else { share } {
                short.push(format!("{name} {words}"));
            }
        }
        Ok(short)
    }
}
