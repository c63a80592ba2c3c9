//! Formatting, lints and documentation.

use super::Outcome;
use super::count::Counts;
use crate::repo::Repo;
use crate::setup::DEMO_TARGET;
use anyhow::Result;

/// Formatting of both workspaces.
pub fn fmt(repo: &Repo) -> Result<Outcome> {
    repo.host("cargo").args(["fmt", "--all", "--check"]).go()?;
    repo.bare("cargo").args(["fmt", "--all", "--check"]).go()?;
    Ok(Outcome::Done(Counts::default()))
}

/// Lints of the host's workspace, warnings being errors.
pub fn clippy(repo: &Repo, teacher: bool) -> Result<Outcome> {
    let deny = ["--", "-D", "warnings"];
    repo.host("cargo")
        .args(["clippy", "--workspace", "--all-targets"])
        .args(deny)
        .go()?;
    if teacher {
        let heavy = [
            "clippy",
            "--package",
            "qdllm-trainer",
            "--all-targets",
            "--features",
            "teacher",
        ];
        repo.host("cargo").args(heavy).args(deny).go()?;
    }
    Ok(Outcome::Done(Counts::default()))
}

/// Documentation of every crate, warnings being errors.
pub fn docs(repo: &Repo) -> Result<Outcome> {
    let doc = ["doc", "--no-deps", "--quiet"];
    repo.host("cargo")
        .args(doc)
        .args(["--workspace", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .go()?;
    repo.bare("cargo")
        .args(doc)
        .args(["--package", "qdllm-app"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .go()?;
    Ok(Outcome::Done(Counts::default()))
}

/// Lints of the firmware: the app on the host, the board crate for its target.
pub fn firmware(repo: &Repo, targets: bool) -> Result<Outcome> {
    if !repo.bare("cargo").args(["clippy", "--version"]).works() {
        return Ok(Outcome::Skipped(
            "the firmware's toolchain has no clippy".to_owned(),
        ));
    }
    let deny = ["--", "-D", "warnings"];
    repo.bare("cargo")
        .args(["clippy", "--package", "qdllm-app", "--all-targets"])
        .args(deny)
        .go()?;
    if !targets {
        return Ok(Outcome::Skipped(
            "no bare-metal target for the board crate".to_owned(),
        ));
    }
    let board = [
        "clippy",
        "--release",
        "--package",
        "qdllm-qemu",
        "--target",
        DEMO_TARGET,
    ];
    repo.bare("cargo").args(board).args(deny).go()?;
    Ok(Outcome::Done(Counts::default()))
}
