//! The paper's tasks, every method beside every other: runs, journal and report behind `qdllm reproduce`.

mod figures;
mod journal;
mod method;
mod near_duplicates;
pub mod options;
mod plot;
mod process;
mod report;
mod task;
pub mod teacher;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;

use self::journal::{Journal, Wanted};
use self::method::{Method, TeacherKind};
use self::options::{Plan, ReproduceArgs};
use self::process::Group;
use self::report::{Report, Settings};
use self::task::Task;
use qdllm_host::terminal::Progress;

/// Runs what is missing in the folder `out`; returns what failed. What was run is kept when this ends in an error.
pub fn run_missing(args: &ReproduceArgs, out: &Path) -> Result<Vec<String>> {
    let plan = Plan::new(args)?;
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
    let made = process::hidden_states(args, &plan, data, out, &progress)?;
    let vectors = args.vectors.as_deref().or(made.as_deref());
    let read = |name: &String| Task::read(data, name, vectors);
    let tasks: Vec<Task> = plan.tasks.iter().map(read).collect::<Result<_>>()?;
    if args.restart {
        journal.restart()?;
        std::fs::remove_file(out.join("settings.json")).ok();
    }
    // What a run of the journal would be made from today.
    journal.check(|run| {
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
    let failed = work_off(&plan, &tasks, out, &mut journal, &mut progress)?;
    std::fs::remove_dir_all(&work).ok();
    Ok(failed)
}

/// Runs what the journal has not; returns what failed. Every run is on disk before the next begins.
fn work_off(
    plan: &Plan,
    tasks: &[Task],
    out: &Path,
    journal: &mut Journal,
    progress: &mut Progress,
) -> Result<Vec<String>> {
    let mut todo = Vec::new();
    for (task, share, seed) in plan.places(tasks) {
        let mut methods = plan.methods(task, share, seed);
        methods.retain(|m| !journal.has(&(task.name.clone(), share, seed, m.to_string())));
        if !methods.is_empty() {
            todo.push((task, share, seed, methods));
        }
    }
    let mut left: Vec<Method> = todo.iter().flat_map(|group| group.3.clone()).rev().collect();
    let total = left.len();
    progress.stage("reproducing", total as u64);
    let (mut failed, mut clock) = (Vec::new(), Clock::default());
    for (task, share, seed, methods) in todo {
        let group = Group::new(task, share, seed, &plan.base, out)?;
        let label = |m: Method| format!("{}, {share}% of the labels, seed {seed}, {m}", task.name);
        // Soft labels that were lost, or whose teacher nobody asked for, are made before they are needed.
        for kind in TeacherKind::ALL {
            let teacher = Method::Teacher(kind);
            let needed = methods.iter().any(|m| m.taught() == Some(kind));
            if needed
                && !group.soft(kind).is_file()
                && !methods.contains(&teacher)
                && let Err(error) = group.run(teacher)
            {
                progress.say(&format!("{}: {error:#}", label(teacher)));
            }
        }
        for method in methods {
            let started = Instant::now();
            let outcome = match method.taught() {
                Some(kind) if !group.soft(kind).is_file() => Err(anyhow!("its teacher failed")),
                _ => group.run(method),
            };
            left.pop();
            clock.add(method, started.elapsed());
            let (label, done) = (label(method), total - left.len());
            match outcome {
                Ok(run) => {
                    let (seconds, eta) = (started.elapsed().as_secs_f64(), clock.left(&left));
                    let accuracy = run.accuracy;
                    progress.say(&format!(
                        "[{done}/{total}] {label}: {accuracy:.4} ({seconds:.1} s, about {eta} left)"
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

/// How long what is left will take, by what runs of the same method took: seconds and number of runs.
#[derive(Default)]
struct Clock {
    by_method: HashMap<String, (f64, f64)>,
    all: (f64, f64),
}

impl Clock {
    fn add(&mut self, method: Method, took: Duration) {
        for (sum, count) in [self.by_method.entry(method.to_string()).or_default(), &mut self.all] {
            *sum += took.as_secs_f64();
            *count += 1.0;
        }
    }

    fn left(&self, methods: &[Method]) -> String {
        let mean = |m: &Method| {
            let (sum, count) = self.by_method.get(&m.to_string()).unwrap_or(&self.all);
            sum / count.max(1.0)
        };
        match methods.iter().map(mean).sum::<f64>() + 0.0 {
            s if s < 120.0 => format!("{s:.0} s"),
            s if s < 7200.0 => format!("{:.0} min", s / 60.0),
            s => format!("{:.1} h", s / 3600.0),
        }
    }
}

/// Writes `report.json`, `report.md`, `accuracy-bytes.svg` and `accuracy-labels.svg` of a folder's runs; returns the
/// JSON.
pub fn report(out: &Path) -> Result<String> {
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
        let path = out.join(name);
        files::write_whole(&path, text).of_file(&path)?;
    }
    Ok(json)
}
