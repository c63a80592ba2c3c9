//! Works the table off, run by run.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::journal::Journal;
use super::method::{Method, TeacherKind};
use super::plan::Plan;
use super::process::Group;
use super::task::Task;
use qdllm_host::terminal::Progress;

/// Runs what the journal has not; returns what failed. Every run is on disk before the next begins.
///
/// # Errors
/// When texts or runs cannot be written; a run that fails is no error here.
pub fn missing(
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
            if methods.iter().any(|m| m.taught() == Some(kind))
                && !group.has_answers(kind)
                && !methods.contains(&teacher)
                && let Err(error) = group.run(teacher)
            {
                progress.say(&format!("{}: {error:#}", label(teacher)));
            }
        }
        for method in methods {
            let started = Instant::now();
            let outcome = match method.taught() {
                Some(teacher) if !group.has_answers(teacher) => Err(anyhow!("its teacher failed")),
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
