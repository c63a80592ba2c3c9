//! Works the table off, run by run.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::journal::Journal;
use super::label_source::Tutor;
use super::method::Method;
use super::plan::Plan;
use super::process::Group;
use super::task::Task;
use crate::progress::Progress;

/// Runs what the journal has not; returns what failed. Every run is on disk before the next begins.
///
/// # Errors
/// When texts or runs cannot be written; a run that fails is no error here.
pub fn work_off(
    plan: &Plan,
    tasks: &[Task],
    out: &Path,
    journal: &mut Journal,
    progress: &mut Progress,
) -> Result<Vec<String>> {
    let mut todo = Vec::new();
    for (task, share, seed) in plan.groups(tasks.len()) {
        let place = |m: &Method| (tasks[task].name.clone(), share, seed, m.to_string());
        let missing: Vec<Method> =
            plan.methods(&tasks[task], share, seed).filter(|m| !journal.has(&place(m))).collect();
        if !missing.is_empty() {
            todo.push((task, share, seed, missing));
        }
    }
    let total: usize = todo.iter().map(|group| group.3.len()).sum();
    progress.stage("reproducing", total as u64);
    let (mut done, mut failed, mut clock) = (0, Vec::new(), Clock::default());
    let mut left: Vec<Method> = todo.iter().flat_map(|group| group.3.clone()).collect();
    left.reverse();
    for (task, share, seed, missing) in todo {
        let group = Group::new(&tasks[task], share, seed, out)?;
        let name = &tasks[task].name;
        let label = |m: Method| format!("{name}, {share}% of the labels, seed {seed}, {m}");
        // Soft labels that were lost, or whose teacher nobody asked for, are made before they are needed.
        for tutor in Tutor::ALL {
            let teacher = Method::Teacher(tutor);
            if missing.iter().any(|m| m.taught() == Some(tutor))
                && !group.has_answers(tutor)
                && !missing.contains(&teacher)
                && let Err(error) = group.run(teacher, &plan.base)
            {
                progress.say(&format!("{}: {error:#}", label(teacher)));
            }
        }
        for method in missing {
            let started = Instant::now();
            let outcome = match method.taught() {
                Some(tutor) if !group.has_answers(tutor) => Err(anyhow!("its teacher failed")),
                _ => group.run(method, &plan.base),
            };
            left.pop();
            clock.add(method, started.elapsed());
            done += 1;
            let eta = clock.left(&left);
            match outcome {
                Ok(run) => {
                    progress.say(&format!(
                        "[{done}/{total}] {}: {:.4} ({:.1} s, about {eta} left)",
                        label(method),
                        run.accuracy,
                        started.elapsed().as_secs_f64()
                    ));
                    journal.add(run)?;
                }
                Err(error) => {
                    progress.say(&format!("[{done}/{total}] {}: FAILED: {error:#}", label(method)));
                    failed.push(format!("{}: {error:#}", label(method)));
                }
            }
            progress.at(done as u64);
        }
    }
    progress.done();
    Ok(failed)
}

/// How long what is left will take, by what runs of the same method took.
#[derive(Default)]
struct Clock {
    by_method: HashMap<String, (f64, f64)>,
    all: (f64, f64),
}

impl Clock {
    fn add(&mut self, method: Method, took: Duration) {
        let seconds = took.as_secs_f64();
        for (sum, count) in [self.by_method.entry(method.to_string()).or_default(), &mut self.all] {
            *sum += seconds;
            *count += 1.0;
        }
    }

    fn left(&self, methods: &[Method]) -> String {
        let mean = |m: &Method| {
            let (sum, count) = self.by_method.get(&m.to_string()).copied().unwrap_or(self.all);
            sum / count.max(1.0)
        };
        let seconds = methods.iter().map(mean).fold(0.0, |sum, mean| sum + mean);
        match seconds {
            s if s < 120.0 => format!("{s:.0} s"),
            s if s < 7200.0 => format!("{:.0} min", s / 60.0),
            s => format!("{:.1} h", s / 3600.0),
        }
    }
}
