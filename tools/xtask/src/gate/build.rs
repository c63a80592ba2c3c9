//! The runtime alone: each feature by itself, on the host and on every bare-metal target.

use super::Outcome;
use super::count::Counts;
use crate::repo::Repo;
use crate::setup::{ALL_TARGETS, installed};
use crate::shell::say;
use anyhow::{Context, Result};
use serde_json::Value;

/// The crate that must build anywhere.
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
