//! The paper's tasks, every method beside every other: runs, journal and report behind `qdllm reproduce`.

mod environment;
mod figures;
mod findings;
mod hidden_states;
mod journal;
mod markdown;
mod method;
mod near_duplicates;
pub mod options;
mod plan;
mod plot;
mod process;
mod report;
mod run;
mod task;
pub mod teacher;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::journal::{Journal, Wanted};
use self::method::Method;
use self::options::ReproduceArgs;
use self::plan::Plan;
use self::report::{Report, Settings};
use self::task::Task;
use qdllm_host::files::write_whole;
use qdllm_host::terminal::Progress;

/// Runs what is missing in the folder `out`; returns what failed.
///
/// # Errors
/// When a file is missing or refused, or runs of other data are in the folder; what was run is kept.
pub fn run_missing(args: &ReproduceArgs, out: &Path) -> Result<Vec<String>> {
    let plan = Plan::new(args)?;
    let data = args.data.as_deref().context("--data is missing")?;
    ensure!(
        data.is_dir(),
        "{}: not a folder; --data names one with TASK/train.tsv",
        data.display()
    );
    let folder =
        |path: &Path| std::fs::create_dir_all(path).with_context(|| path.display().to_string());
    folder(out)?;
    folder(&out.join("soft"))?;
    let mut journal = Journal::open(&out.join("runs.jsonl"))?;
    let mut progress = Progress::new(args.quiet || args.json);
    let made = hidden_states::make(args, &plan.tasks, &plan.shares, data, out, &progress)?;
    let vectors = args.vectors.as_deref().or(made.as_deref());
    let read = |name: &String| Task::read(data, name, vectors);
    let tasks: Vec<Task> = plan.tasks.iter().map(read).collect::<Result<_>>()?;
    if args.restart {
        journal.restart()?;
        std::fs::remove_file(out.join("settings.json")).ok();
    }
    // What a run of the journal would be made from today.
    journal.check(environment::VERSION, |run| {
        let task = tasks.iter().find(|task| task.name == run.task)?;
        let settings = |m: Method| m.settings(task, run.seed, &plan.base);
        let settings = Method::named(&run.method).map(settings);
        Some(Wanted { inputs: task.inputs.clone(), settings })
    })?;
    // What a run that was ended left behind; the journal's lock says that nobody works there but, for a moment more, a
    // process of that run, which may still write: what cannot be removed now is removed at the end.
    let work = out.join("work");
    std::fs::remove_dir_all(&work).ok();
    folder(&work)?;
    plan.note(&tasks, out)?;
    let failed = run::missing(&plan, &tasks, out, &mut journal, &mut progress)?;
    std::fs::remove_dir_all(&work).ok();
    Ok(failed)
}

/// Writes `report.json`, `report.md`, `accuracy-bytes.svg` and `accuracy-labels.svg` of a folder's runs; returns the
/// JSON.
///
/// # Errors
/// When there is no run, or a file cannot be read or written.
pub fn report(out: &Path) -> Result<String> {
    let journal = out.join("runs.jsonl");
    let runs = Journal::read(&journal)?;
    ensure!(!runs.is_empty(), "{}: holds no run", journal.display());
    let report = Report::of(&runs, Settings::read(out).unwrap_or_default());
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
