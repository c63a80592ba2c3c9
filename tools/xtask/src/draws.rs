//! `draws`: the commands with 20 labels a class, over several draws of labels: what the teacher
//! knows, what the student learns from it, and what the labels alone would have given.

use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

const TOPIC: &str = "draws";

/// What the causal model of the demo's teacher reads.
const PROMPT: &str = "The command \"{text}\" asks the smart home to";

/// Options of `cargo xtask draws`.
#[derive(Args)]
pub struct Options {
    /// A teacher's model file or folder; give it again for a second model. `qdllm teach --help` says
    /// where the demo's two come from
    #[arg(long, required = true)]
    model: Vec<PathBuf>,
    /// Draws of labels
    #[arg(long, default_value_t = 5)]
    draws: u64,
    /// Labels a class that are kept
    #[arg(long, default_value_t = 20)]
    labels_per_class: u64,
}

/// Runs the command.
///
/// # Errors
/// When a run of the trainer fails.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let build = ["build", "--release", "--package", "qdllm-trainer", "--features", "teacher"];
    repo.host("cargo").args(build).go()?;
    let target = repo.target_dir()?;
    let (qdllm, work) = (target.join("release/qdllm").display().to_string(), target.join("draws"));
    std::fs::create_dir_all(&work)?;
    let data = repo.root.join("trainer/data/commands");
    let path = |name: &str| data.join(name).display().to_string();
    let (train, test, settings) = (path("train.tsv"), path("test.tsv"), path("demo.toml"));
    let file = |name: String| work.join(name).display().to_string();
    let cache = file("cache".into());
    let labels = options.labels_per_class.to_string();
    let ask = |args: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&repo.host(&qdllm).args(args).read()?)?)
    };
    let figure = |report: &Value, place: &str| {
        let figure = report.pointer(place).and_then(Value::as_f64);
        figure.with_context(|| format!("a report without {place}"))
    };
    let columns = ["teacher", "student", "linear control", "labels only"];
    println!("| draw | {} |\n|{}", columns.join(" | "), " --- |".repeat(columns.len() + 1));
    let mut rows: Vec<[f64; 4]> = Vec::new();
    for draw in 0..options.draws {
        say(TOPIC, format!("draw {draw}: teaching"));
        let soft = file(format!("soft.{draw}.jsonl"));
        let number = draw.to_string();
        let kept = ["--labels-per-class", &labels, "--label-draw", &number, "--data", &train];
        let models: Vec<String> = options.model.iter().map(|m| m.display().to_string()).collect();
        let mut teach = vec!["teach", "--json", "--test", &test, "--out", &soft, "--cache", &cache];
        teach.extend(kept);
        teach.extend(["--prompt", PROMPT]);
        teach.extend(models.iter().flat_map(|m| ["--model", m.as_str()]));
        let teacher = figure(&ask(&teach)?, "/test/accuracy")?;
        say(TOPIC, format!("draw {draw}: distilling"));
        let (with, without) =
            (file(format!("soft.{draw}.qdm")), file(format!("labels.{draw}.qdm")));
        let mut distill = vec!["distill", "--json", "--restart", "--config", &settings];
        distill.extend(kept);
        ask(&[&distill[..], &["--soft", &soft, "--out", &with]].concat())?;
        // 160 texts hold few n-grams that occur twice.
        ask(&[&distill[..], &["--rows", "128", "--out", &without]].concat())?;
        let eval = ["eval", "--json", "--data", &test];
        let report = ask(&[&eval[..], &[&with]].concat())?;
        let student = figure(&report, "/student/accuracy")?;
        let linear = figure(&report, "/control/accuracy")?;
        let report = ask(&[&eval[..], &[&without, "--no-control"]].concat())?;
        rows.push([teacher, student, linear, figure(&report, "/student/accuracy")?]);
        print_row(&number, &rows[rows.len() - 1]);
    }
    let mean = |i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64;
    print_row("mean", &[mean(0), mean(1), mean(2), mean(3)]);
    Ok(())
}

fn print_row(name: &str, figures: &[f64; 4]) {
    let cells: Vec<String> = figures.iter().map(|x| format!("{x:.4}")).collect();
    println!("| {name} | {} |", cells.join(" | "));
}
