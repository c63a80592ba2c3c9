//! `test`: everything that must hold before a change lands, step by step.
//!
//! A failing step does not stop the ones that do not need it. The last line is
//! `N passed, N failed, N skipped`, counting single tests, and each step that has none as one; what was
//! skipped is listed above it with the reason.

use crate::boards;
use crate::budgets;
use crate::counts::{Counts, Runner};
use crate::repo::Repo;
use crate::setup::{self, ALL_TARGETS, DEMO_TARGET};
use crate::shell::{Run, say};
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_host::boards::{BOARDS, emulated};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

const TOPIC: &str = "test";
const SET_UP: &str = "bare-metal set-up";
const RUNTIME: &str = "qdllm-runtime";

#[derive(Args)]
pub struct Options {
    /// Leaves out the language-model teachers, whose build is heavy
    #[arg(long)]
    no_teacher: bool,
    /// Runs only the steps whose name contains this
    #[arg(long)]
    only: Option<String>,
}

/// A row of `gate.toml`, which says what each column means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    #[serde(default)]
    checks: Vec<String>,
    tests: Option<String>,
    nextest: Option<String>,
    needs: Option<Needs>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Needs {
    SetUp,
    Target,
}

fn steps() -> Result<Vec<Step>> {
    let table = toml::from_str::<BTreeMap<String, Vec<Step>>>(include_str!("../gate.toml"));
    Ok(table.context("gate.toml")?.remove("step").unwrap_or_default())
}

struct Gate<'a> {
    repo: &'a Repo,
    teacher: bool,
    variables: &'a [(&'a str, String)],
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let gate = Gate { repo, teacher: !options.no_teacher, variables: &[] };
    let chosen = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(&**only));
    let steps = steps()?;
    let set_up = steps.iter().any(|step| chosen(&step.name) && step.needs.is_some());
    let (mut total, mut report) = (Counts::default(), Vec::new());
    let started = Instant::now();
    for step in steps.iter().filter(|s| chosen(&s.name) || s.name == SET_UP && set_up) {
        let name = &step.name;
        say(TOPIC, format!("--- {name}"));
        let since = Instant::now();
        let counts = gate.run(step).unwrap_or_else(|error| {
            say(TOPIC, format!("{name}: {error:#}"));
            Counts { failed: 1, error: Some(error.to_string()), ..Counts::default() }
        });
        let (took, word) = (since.elapsed().as_secs_f32(), counts.to_string());
        say(TOPIC, format!("--- {name}: {word} ({took:.1} s)"));
        report.push(format!("{took:>7.1} s  {name}: {word}"));
        let reasons = counts.skipped.iter();
        report.extend(reasons.map(|(why, count)| format!("{:11}{count} skipped: {why}", "")));
        total = total.add(counts);
    }
    println!("\n{}", report.join("\n"));
    println!("{:>7.1} s  all", started.elapsed().as_secs_f32());
    let (passed, failed, skipped) = (total.passed, total.failed, total.skipped());
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        bail!("{failed} failed");
    }
    Ok(())
}

/// Runs a step of the table alone, its cases by these variables.
pub fn run_step(repo: &Repo, name: &str, variables: &[(&str, String)]) -> Result<()> {
    let step = steps()?.into_iter().find(|step| step.name == name);
    let step = step.with_context(|| format!("no step {name}"))?;
    let gate = Gate { repo, teacher: false, variables };
    let counts = gate.run(&step)?;
    println!("{name}: {counts}");
    for (why, count) in &counts.skipped {
        println!("{count} skipped: {why}");
    }
    if counts.failed > 0 {
        bail!("{} failed", counts.failed);
    }
    Ok(())
}

impl Gate<'_> {
    fn run(&self, step: &Step) -> Result<Counts> {
        let target = || setup::installed(self.repo, &[DEMO_TARGET]);
        if step.needs == Some(Needs::Target) && target()?.is_empty() {
            return Ok(Counts::default().skip(1, "there are no bare-metal targets"));
        }
        if let Some(line) = &step.nextest
            && self.cargo("nextest --version").works()
        {
            return Counts::of(Runner::Nextest, &mut self.cargo(line));
        }
        if let Some(line) = &step.tests {
            return Counts::of(Runner::Libtest, &mut self.cargo(line));
        }
        if step.checks.is_empty() {
            let run = code(&step.name).with_context(|| format!("no step {}", step.name))?;
            return run(self.repo);
        }
        step.checks.iter().try_for_each(|line| self.cargo(line).go())?;
        Ok(Counts::passed(1))
    }

    /// A command of Cargo in the root. The teachers are in `{all}`, so that the trainer and its tests are
    /// built once.
    fn cargo(&self, line: &str) -> Command {
        let all =
            if self.teacher { "--workspace --features qdllm-trainer/hub" } else { "--workspace" };
        let line = line
            .replace("{all}", all)
            .replace("{firmware}", "--manifest-path firmware/Cargo.toml")
            .replace("{fuzz}", "--manifest-path runtime/fuzz/Cargo.toml")
            .replace("{deny}", "-- -D warnings");
        let mut command = self.repo.host("cargo");
        // A cold build is quicker without what only the next one would use.
        command.args(line.split_whitespace()).env("CARGO_INCREMENTAL", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if line.starts_with("doc ") {
            command.env("RUSTDOCFLAGS", "-D warnings");
        }
        command
    }
}

/// The steps that are code.
fn code(name: &str) -> Option<fn(&Repo) -> Result<Counts>> {
    Some(match name {
        SET_UP => set_up,
        "runtime, each feature, each target" => features,
        "clippy for the boards" => boards_clippy,
        "firmware images" => images,
        "budgets" => |repo| budgets::check(repo).map(Counts::passed),
        _ => return None,
    })
}

/// What cannot be installed is named; only the board's own target is indispensable.
fn set_up(repo: &Repo) -> Result<Counts> {
    let boards = BOARDS.iter().map(|board| board.target.as_str());
    let mut targets: Vec<&str> = ALL_TARGETS.into_iter().chain(boards).collect();
    targets.sort_unstable();
    targets.dedup();
    let Err(error) = setup::ensure(repo, &targets) else { return Ok(Counts::passed(1)) };
    let there = setup::installed(repo, &targets)?;
    if !there.contains(&DEMO_TARGET) {
        return Err(error);
    }
    say(TOPIC, format!("SET-UP INCOMPLETE: {error:#}"));
    Ok(Counts::default().skip(1, format!("only {} can be built for", there.join(", "))))
}

/// Checks every feature of the runtime alone, and none, on every target that is there: features that
/// only build together are a trap for users.
fn features(repo: &Repo) -> Result<Counts> {
    let mut counts = Counts::default();
    let targets = setup::installed(repo, &ALL_TARGETS)?;
    let metadata = repo.metadata()?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let runtime = packages.iter().find(|package| package["name"] == RUNTIME);
    let features = runtime.and_then(|package| package["features"].as_object());
    let features = features.with_context(|| format!("cargo metadata does not list {RUNTIME}"))?;
    // Private features begin with an underscore.
    let names = features.keys().map(String::as_str);
    let names = names.filter(|name| !name.starts_with('_') && *name != "default");
    for set in std::iter::once("").chain(names) {
        let set = ["--no-default-features", "--features", set];
        let mut clippy = repo.host("cargo");
        clippy.args(["clippy", "--quiet", "--package", RUNTIME]).args(set);
        clippy.args(["--", "-D", "warnings"]).go()?;
        counts.passed += 1;
        // It needs an operating system.
        if set[2] == "std" {
            continue;
        }
        for target in ALL_TARGETS.iter().filter(|target| !targets.contains(target)) {
            counts = counts.skip(1, format!("{target} is not installed; run: cargo xtask setup"));
        }
        if !targets.is_empty() {
            let mut check = repo.bare("cargo");
            check.args(["check", "--quiet", "--manifest-path", "../runtime/Cargo.toml"]).args(set);
            check.args(targets.iter().flat_map(|target| ["--target", target])).go()?;
            counts.passed += targets.len() as u32;
        }
    }
    Ok(counts)
}

/// Lints of the emulated boards' crates; `cargo xtask boards` lints all.
fn boards_clippy(repo: &Repo) -> Result<Counts> {
    if !repo.bare("cargo").args(["clippy", "--version"]).works() {
        return Ok(Counts::default().skip(1, "the firmware's toolchain has no clippy"));
    }
    let mut counts = Counts::default();
    for board in emulated() {
        if setup::installed(repo, &[&board.target])?.is_empty() {
            let (name, target) = (&board.name, &board.target);
            let why = format!("{name}: {target} is not installed; run: cargo xtask setup");
            counts = counts.skip(1, why);
            continue;
        }
        boards::lint(repo, board)?;
        counts.passed += 1;
    }
    Ok(counts)
}

fn images(repo: &Repo) -> Result<Counts> {
    for board in emulated() {
        repo.build(&board.name, &board.target)?;
    }
    Ok(Counts::passed(1))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_step_of_the_table_has_something_to_do() {
        for step in super::steps().expect("the table") {
            let own = step.tests.is_some() || !step.checks.is_empty();
            assert!(own != super::code(&step.name).is_some(), "{}", step.name);
        }
    }
}
