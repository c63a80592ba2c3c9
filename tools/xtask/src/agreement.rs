//! `agreement`: how often each back end decides as the statevector on texts that compiled none of them.

use crate::accuracy::{TASKS, Task};
use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};

const TOPIC: &str = "agreement";

/// Options of `cargo xtask agreement`.
#[derive(Args)]
pub struct Options {
    /// A folder with TASK/train.tsv and TASK/valid.tsv for the tasks topic, senti and stega; without
    /// it only the shipped commands are measured
    #[arg(long)]
    data: Option<PathBuf>,
    /// Tasks to measure [default: all that there is data for]
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
    /// Share of equal decisions asked of compiled back ends
    #[arg(long, default_value_t = 0.999)]
    agreement: f64,
}

/// A back end as `qdllm compile` takes it, and as `qdllm agreement` names it.
const BACKENDS: [(&[&str], &str); 4] = [
    (&["polynomial"], "polynomial"),
    (&["tensor-train"], "tensor train"),
    (&["tensor-train", "--exact"], "tensor train"),
    (&["statevector-i16"], "statevector i16"),
];

/// Runs the command.
///
/// # Errors
/// When a run of the trainer fails, or a back end agrees less often than was asked.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    repo.host("cargo").args(["build", "--release", "--package", "qdllm-trainer"]).go()?;
    let target = repo.target_dir()?;
    let (qdllm, work) = (target.join("release/qdllm"), target.join("agreement"));
    std::fs::create_dir_all(&work)?;
    println!(
        "| task | back end | equal decisions | largest logit error | bytes more | RAM | multiply-adds |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut short = Vec::new();
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
        short.extend(rows(repo, &qdllm, &work, task, (&train, &test), options.agreement)?);
    }
    if short.is_empty() { Ok(()) } else { bail!("under what was asked: {}", short.join(", ")) }
}

/// Prints a task's rows; gives the back ends that fall short.
fn rows(
    repo: &Repo,
    qdllm: &Path,
    work: &Path,
    task: &Task,
    (train, test): (&Path, &Path),
    agreement: f64,
) -> Result<Vec<String>> {
    let qdllm = qdllm.display().to_string();
    let ask = |args: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&repo.host(&qdllm).args(args).read()?)?)
    };
    let text = |path: &Path| path.display().to_string();
    let (train, test) = (text(train), text(test));
    let model = text(&work.join(format!("{}.qdm", task.name)));
    let compiled = text(&work.join(format!("{}.compiled.qdm", task.name)));
    let asked = agreement.to_string();
    say(TOPIC, format!("{}: training", task.name));
    let distill = ["distill", "--json", "--restart", "--data", &train, "--out", &model];
    ask(&[&distill[..], task.settings].concat())?;
    let mut short = Vec::new();
    for (backend, name) in BACKENDS {
        let exact = backend.contains(&"--exact");
        say(TOPIC, format!("{}: {}", task.name, backend.join(" ")));
        let files = ["compile", &model, "--data", &train, "--out", &compiled, "--json"];
        let share: &[&str] = if exact { &[] } else { &["--agreement", &asked] };
        let report = ask(&[&files[..], share, &["--backend"], backend].concat())?;
        let seen = ask(&["agreement", &compiled, "--data", &test, "--json"])?;
        let seen = seen
            .as_array()
            .and_then(|rows| rows.iter().find(|row| row["backend"] == name))
            .with_context(|| format!("no row for {name}"))?;
        let number = |value: &Value| value.as_f64().context("a report without a number");
        let (texts, different) = (number(&seen["texts"])?, number(&seen["different"])?);
        println!(
            "| {} | {} | {} of {texts} | {:.4} | {} | {} | {} |",
            task.name,
            backend.join(" "),
            texts - different,
            number(&seen["largest_logit_error"])?,
            report["section_bytes"],
            report["ram_bytes"],
            report["multiply_adds"],
        );
        if number(&seen["agreement"])? < if exact { 1.0 } else { agreement } {
            short.push(format!("{} {}", task.name, backend.join(" ")));
        }
    }
    Ok(short)
}
