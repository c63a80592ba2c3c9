//! Formatting, lints and documentation.

use super::Outcome;
use super::count::Counts;
use crate::boards::BOARDS;
use crate::repo::Repo;
use crate::shell::Run;
use anyhow::Result;

/// Turns every lint into an error.
const DENY: [&str; 3] = ["--", "-D", "warnings"];

/// Formatting of all workspaces.
pub fn fmt(repo: &Repo) -> Result<Outcome> {
    let fuzz = repo.host("cargo").args(["fmt", "--manifest-path"]);
    let fuzz = fuzz.arg(repo.root.join("runtime/fuzz/Cargo.toml"));
    for run in [repo.host("cargo").arg("fmt"), repo.firmware_on_host("fmt"), fuzz] {
        run.args(["--all", "--check"]).go()?;
    }
    Ok(Outcome::Done(Counts::default()))
}

/// Lints of everything that builds for the host, and of the trainer without what talks to servers.
pub fn clippy(repo: &Repo) -> Result<Outcome> {
    repo.host("cargo").args(["clippy", "--all-targets", "--workspace"]).args(DENY).go()?;
    repo.host("cargo")
        .args(["clippy", "--all-targets", "--package", "qdllm-trainer", "--no-default-features"])
        .args(DENY)
        .go()?;
    repo.firmware_on_host("clippy")
        .args(["--all-targets", "--package", "qdllm-app"])
        .args(DENY)
        .go()?;
    Ok(Outcome::Done(Counts::default()))
}

/// Lints of the language-model teachers, in the profile that their tests are built in.
pub fn teacher(repo: &Repo) -> Result<()> {
    repo.host("cargo")
        .args(["clippy", "--all-targets", "--package", "qdllm-trainer", "--features", "hub"])
        .args(DENY)
        .go()
}

/// Documentation of every crate, the teachers' heavy build apart.
pub fn docs(repo: &Repo) -> Result<Outcome> {
    let runtime = ["--package", "qdllm-runtime", "--all-features"];
    let strict =
        |run: Run| run.args(["--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings").go();
    strict(repo.host("cargo").args(["doc", "--workspace"]))?;
    strict(repo.host("cargo").arg("doc").args(runtime))?;
    strict(repo.firmware_on_host("doc").args(["--package", "qdllm-app"]))?;
    Ok(Outcome::Done(Counts::default()))
}

/// Lints of the emulated boards' crates, each for its own target.
pub fn board(repo: &Repo, targets: bool) -> Result<Outcome> {
    if !targets {
        return Ok(Outcome::Skipped("there is no bare-metal target".to_owned()));
    }
    if !repo.bare("cargo").args(["clippy", "--version"]).works() {
        let why = "the firmware's toolchain has no clippy";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    for board in &BOARDS {
        let package = format!("qdllm-{}", board.name);
        repo.bare("cargo")
            .args(["clippy", "--release", "--package", &package, "--target", board.target])
            .args(DENY)
            .go()?;
    }
    Ok(Outcome::Done(Counts::default()))
}
