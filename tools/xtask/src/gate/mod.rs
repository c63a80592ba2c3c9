//! `test`: everything that must hold before a change lands, step by step.
//!
//! A failing step does not stop the ones that do not need it. The last line is
//! `N passed, N failed, N skipped`, counting single tests, and each step that has none as one.

mod build;
mod count;
mod host;

use crate::budgets;
use crate::repo::Repo;
use crate::setup;
use crate::shell::say;
use anyhow::{Result, bail};
use clap::Args;
use count::{Counts, Outcome, done};
use std::time::{Duration, Instant};

const TOPIC: &str = "test";

#[derive(Args)]
pub struct Options {
    /// Leaves out the language-model teachers, whose build is heavy
    #[arg(long)]
    no_teacher: bool,
    /// Runs only the steps whose name contains this
    #[arg(long)]
    only: Option<String>,
}

struct Gate<'a> {
    options: &'a Options,
    total: Counts,
    report: Vec<(String, Duration, String)>,
}

impl Gate<'_> {
    /// Runs one step if it was chosen.
    fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Outcome>) {
        if self.options.only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            self.needed(name, run);
        }
    }

    /// Runs one step, chosen or not, and keeps its result: others build on it.
    fn needed(&mut self, name: &str, run: impl FnOnce() -> Result<Outcome>) {
        say(TOPIC, format!("--- {name}"));
        let started = Instant::now();
        let result = run();
        let took = started.elapsed();
        let word = match result {
            Ok(Outcome::Done(counts)) if counts.failed > 0 => {
                self.total.add(counts);
                format!("FAILED, {} of {} tests", counts.failed, counts.passed + counts.failed)
            }
            Ok(Outcome::Done(counts)) => {
                self.total.add(if counts.ran() == 0 { Counts::passed(1) } else { counts });
                match counts.ran() {
                    0 => "ok".to_owned(),
                    _ => format!("ok, {} tests", counts.passed),
                }
            }
            Ok(Outcome::Skipped(why)) => {
                self.total.skipped += 1;
                format!("skipped: {why}")
            }
            Err(error) => {
                say(TOPIC, format!("{name}: {error:#}"));
                self.total.failed += 1;
                format!("FAILED: {error}")
            }
        };
        say(TOPIC, format!("--- {name}: {word} ({:.1} s)", took.as_secs_f32()));
        self.report.push((name.to_owned(), took, word));
    }
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let mut gate = Gate { options, total: Counts::default(), report: Vec::new() };
    let started = Instant::now();

    let teacher = !options.no_teacher;
    gate.step("fmt", || host::fmt(repo));
    gate.step("clippy", || host::clippy(repo, teacher));
    gate.step("unit and integration tests", || host::tests(repo, teacher));
    gate.step("doc tests", || host::doc_tests(repo, teacher));
    gate.step("docs", || host::docs(repo, teacher));
    gate.step("runtime with a compiled back end alone", || host::smallest_runtime(repo));
    gate.step("fuzz targets on their corpus", || host::fuzz_corpus(repo));
    gate.step("firmware app on the host", || host::firmware_app(repo));
    let mut targets = false;
    gate.needed("bare-metal set-up", || {
        // What cannot be installed is named; only the board's own target is indispensable.
        let failed = setup::ensure(repo, &setup::ALL_TARGETS).err();
        let there = setup::installed(repo, &setup::ALL_TARGETS)?;
        targets = there.contains(&setup::DEMO_TARGET);
        match failed {
            Some(error) if !targets => Err(error),
            Some(error) => {
                say(TOPIC, format!("SET-UP INCOMPLETE: {error:#}"));
                Ok(Outcome::Skipped(format!("only {} can be built for", there.join(", "))))
            }
            None => done(),
        }
    });
    gate.step("runtime, each feature, each target", || build::features(repo));
    let bare = |run: fn(&Repo) -> Result<Outcome>| {
        let why = || Outcome::Skipped("there are no bare-metal targets".to_owned());
        if targets { run(repo) } else { Ok(why()) }
    };
    gate.step("clippy for the boards", || bare(build::clippy));
    gate.step("firmware images", || bare(build::images));
    gate.step("emulated boards", || host::emulated(repo, teacher));
    gate.step("budgets", || {
        bare(|repo| budgets::check(repo).map(|passed| Outcome::Done(Counts::passed(passed))))
    });

    println!();
    for (name, took, word) in &gate.report {
        println!("{:>7.1} s  {name}: {word}", took.as_secs_f32());
    }
    println!("{:>7.1} s  all", started.elapsed().as_secs_f32());
    let Counts { passed, failed, skipped } = gate.total;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        bail!("{failed} failed");
    }
    Ok(())
}
