//! The paper's tasks, every method beside every other: runs, journal and report behind `qdllm reproduce`.

mod figures;
mod journal;
mod method;
mod options;
mod plot;
mod process;
mod report;
mod task;

use self::journal::Journal;
use self::method::Method;
pub use self::options::ReproduceArgs;
use self::process::Group;
use self::report::{Report, Settings};
use self::task::Task;
use crate::options::Config;
use anyhow::{Context, Result, anyhow, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use qdllm_host::terminal::{Progress, note, say};
use std::path::Path;
use std::time::Instant;

/// Runs the command; what was run is kept when it ends in an error.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    if let Some(path) = &args.lesson {
        return say(process::run_lesson(path)?);
    }
    let out = args.out.as_deref().context("--out is missing")?;
    let failed = if args.report_only { Vec::new() } else { run_missing(args, out)? };
    let report = report(out)?;
    match args.json {
        true => say(report)?,
        false => note(format_args!("wrote {}", out.join("report.md").display())),
    }
    ensure!(
        failed.is_empty(),
        "{} runs failed; the same command tries them again:\n  {}",
        failed.len(),
        failed.join("\n  ")
    );
    Ok(())
}

/// Runs what is missing in the folder `out`; returns what failed.
fn run_missing(args: &ReproduceArgs, out: &Path) -> Result<Vec<String>> {
    let args = &args.resolved();
    let base = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let data = args.data.as_deref().context("--data is missing")?;
    ensure!(
        data.is_dir(),
        "{}: not a folder; --data names one with TASK/train.tsv",
        data.display()
    );
    let folder = |path: &Path| std::fs::create_dir_all(path).of_file(path);
    folder(out)?;
    folder(&out.join("soft"))?;
    let mut journal = Journal::open(&out.join("runs.jsonl"))?;
    let mut progress = Progress::new(args.quiet || args.json);
    let made = process::hidden_states(args, data, out, &progress)?;
    let vectors = args.vectors.as_deref().or(made.as_deref());
    let read = |name: &String| Task::read(data, name, vectors);
    let tasks: Vec<Task> = args.tasks.iter().map(read).collect::<Result<_>>()?;
    if args.restart {
        journal.restart()?;
        std::fs::remove_file(out.join("settings.json")).ok();
    }
    journal.check(&tasks, &base)?;
    // What a run that was ended left behind; the journal's lock says that nobody works there but, for a moment more, a
    // process of that run, which may still write: what cannot be removed now is removed at the end.
    let work = out.join("work");
    std::fs::remove_dir_all(&work).ok();
    folder(&work)?;
    args.note(&base, &tasks, out)?;
    let failed = work_off(args, &base, &tasks, out, &mut journal, &mut progress)?;
    std::fs::remove_dir_all(&work).ok();
    Ok(failed)
}

/// Runs what the journal has not; returns what failed. Every run is on disk before the next begins.
fn work_off(
    args: &ReproduceArgs,
    base: &Config,
    tasks: &[Task],
    out: &Path,
    journal: &mut Journal,
    progress: &mut Progress,
) -> Result<Vec<String>> {
    // Whole seeds first, so that a table that is cut short has as many of all.
    let mut todo = Vec::new();
    for seed in 0..args.seeds {
        for (task, share) in tasks.iter().flat_map(|t| args.shares.iter().map(move |&s| (t, s))) {
            let mut methods = args.methods.clone();
            methods.retain(|m| {
                m.fits(task)
                    // With every label known, TF-IDF draws no number at all.
                    && (seed == 0 || share < 100 || m.name != "tfidf")
                    && !journal.has(&task.about.name, share, seed, &m.name)
            });
            todo.push((task, share, seed, methods));
        }
    }
    todo.retain(|place| !place.3.is_empty());
    let total: usize = todo.iter().map(|place| place.3.len()).sum();
    progress.stage("reproducing", total as u64);
    let (mut failed, mut done, began) = (Vec::new(), 0, Instant::now());
    for (task, share, seed, methods) in todo {
        let group = Group::new((task, share, seed), base, out)?;
        let mut tried: Vec<&Method> = Vec::new();
        for method in methods {
            let (name, started) = (&task.about.name, Instant::now());
            let label = format!("{name}, {share}% of the labels, seed {seed}, {}", method.name);
            let outcome = match method.taught().filter(|teacher| !group.soft(teacher).is_file()) {
                None => group.run(method),
                Some(teacher) if tried.contains(&teacher) => Err(anyhow!("its teacher failed")),
                // Soft labels that were lost, or whose teacher nobody asked for, are made where they are needed.
                Some(teacher) => {
                    tried.push(teacher);
                    group.run(teacher).and_then(|_| group.run(method))
                }
            };
            tried.push(method);
            done += 1;
            match outcome {
                Ok(run) => {
                    let (accuracy, took) = (run.outcome.accuracy, started.elapsed().as_secs_f64());
                    let left = began.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
                    let left = rounded(left);
                    progress.say(&format!(
                        "[{done}/{total}] {label}: {accuracy:.4} ({took:.1} s, about {left} left)"
                    ));
                    journal.add(run)?;
                }
                Err(error) => {
                    progress.say(&format!("[{done}/{total}] {label}: FAILED: {error:#}"));
                    failed.push(format!("{label}: {error:#}"));
                }
            }
            progress.at(done as u64);
        }
    }
    progress.done();
    Ok(failed)
}

fn rounded(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Writes `report.json`, `report.md`, `accuracy-bytes.svg` and `accuracy-labels.svg` of a folder's runs; returns the
/// JSON.
fn report(out: &Path) -> Result<String> {
    let journal = out.join("runs.jsonl");
    let runs = Journal::read(&journal)?;
    ensure!(!runs.is_empty(), "{}: holds no run", journal.display());
    let report = Report::of(&runs, Settings::read(out).unwrap_or_default());
    let json = serde_json::to_string_pretty(&report)?;
    for (name, text) in [
        ("report.json", json.clone() + "\n"),
        ("report.md", report::page(&report)),
        ("accuracy-bytes.svg", plot::by_bytes(&report)),
        ("accuracy-labels.svg", plot::by_labels(&report)),
    ] {
        files::write(&out.join(name), text)?;
    }
    Ok(json)
}
