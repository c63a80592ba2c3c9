//! What is built for boards: the runtime, each feature by itself, on every target; images; lints.

use super::count::{Counts, Outcome, done};
use super::host::DENY;
use crate::boards::BOARDS;
use crate::firmware;
use crate::repo::Repo;
use crate::setup::{ALL_TARGETS, installed};
use crate::shell::say;
use anyhow::{Context, Result};
use serde_json::Value;

const RUNTIME: &str = "qdllm-runtime";

/// A feature that needs an operating system.
const HOSTED: &str = "std";

/// Checks every feature alone, and none, on every target that is there: features that only build
/// together are a trap for users. A target that could not be installed is named and counts as skipped.
pub fn features(repo: &Repo) -> Result<Outcome> {
    let mut counts = Counts::default();
    let targets = installed(repo, &ALL_TARGETS)?;
    for target in ALL_TARGETS.iter().filter(|target| !targets.contains(target)) {
        say("test", format!("SKIPPED, NOT INSTALLED: {target}; run: cargo xtask setup"));
    }
    let mut sets = vec![String::new()];
    sets.extend(names(repo)?);
    for set in &sets {
        let run = repo.host("cargo").args(["clippy", "--quiet", "--package", RUNTIME]);
        run.args(["--no-default-features", "--features", set, "--", "-D", "warnings"]).go()?;
        counts.passed += 1;
        if set == HOSTED {
            continue;
        }
        counts.skipped += (ALL_TARGETS.len() - targets.len()) as u32;
        if targets.is_empty() {
            continue;
        }
        let manifest = repo.root.join("runtime/Cargo.toml");
        let run = repo.bare("cargo").args(["check", "--quiet", "--manifest-path"]).arg(manifest);
        let run = run.args(["--no-default-features", "--features", set]);
        run.args(targets.iter().flat_map(|target| ["--target", target])).go()?;
        counts.passed += targets.len() as u32;
    }
    Ok(Outcome::Done(counts))
}

/// The runtime's features; `default` is one of them, private ones begin with an underscore.
fn names(repo: &Repo) -> Result<Vec<String>> {
    let text =
        repo.host("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let runtime = packages.iter().find(|package| package["name"] == RUNTIME);
    let features = runtime.and_then(|package| package["features"].as_object());
    let features = features.with_context(|| format!("cargo metadata does not list {RUNTIME}"))?;
    Ok(features
        .keys()
        .filter(|name| !name.starts_with('_') && *name != "default")
        .cloned()
        .collect())
}

pub fn images(repo: &Repo) -> Result<Outcome> {
    for board in &BOARDS {
        firmware::build(repo, board.name, board.target)?;
    }
    done()
}

/// Lints of the emulated boards' crates, each for its own target.
pub fn clippy(repo: &Repo) -> Result<Outcome> {
    if !repo.bare("cargo").args(["clippy", "--version"]).works() {
        let why = "the firmware's toolchain has no clippy";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    for board in &BOARDS {
        let package = format!("qdllm-{}", board.name);
        let run = repo.bare("cargo").args(["clippy", "--release", "--package", &package]);
        run.args(["--target", board.target]).args(DENY).go()?;
    }
    done()
}
