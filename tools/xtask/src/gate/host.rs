//! What is checked on the host: formatting, lints, documentation, tests.

use super::count::{Outcome, Runner, done, watch};
use crate::repo::Repo;
use crate::shell::Run;
use anyhow::{Result, bail};

pub const DENY: [&str; 3] = ["--", "-D", "warnings"];

/// A Cargo command on the whole workspace. The language-model teachers are in it unless they were left
/// out, so that the trainer and its tests are built once.
fn workspace(repo: &Repo, teacher: bool, command: &[&str]) -> Run {
    let run = repo.host("cargo").args(command).arg("--workspace");
    if teacher { run.args(["--features", "qdllm-trainer/hub"]) } else { run }
}

pub fn fmt(repo: &Repo) -> Result<Outcome> {
    let fuzz = repo.host("cargo").args(["fmt", "--manifest-path"]);
    let fuzz = fuzz.arg(repo.root.join("runtime/fuzz/Cargo.toml"));
    for run in [repo.host("cargo").arg("fmt"), repo.firmware_on_host("fmt"), fuzz] {
        run.args(["--all", "--check"]).go()?;
    }
    done()
}

/// Lints of everything that builds for the host, and of the trainer as it comes, and without what talks
/// to servers.
pub fn clippy(repo: &Repo, teacher: bool) -> Result<Outcome> {
    workspace(repo, teacher, &["clippy", "--all-targets"]).args(DENY).go()?;
    let trainer = || repo.host("cargo").args(["clippy", "--package", "qdllm-trainer"]);
    trainer().arg("--all-targets").args(DENY).go()?;
    trainer().args(["--all-targets", "--no-default-features"]).args(DENY).go()?;
    let app = ["--all-targets", "--package", "qdllm-app"];
    repo.firmware_on_host("clippy").args(app).args(DENY).go()?;
    done()
}

pub fn docs(repo: &Repo, teacher: bool) -> Result<Outcome> {
    let runtime = ["doc", "--package", "qdllm-runtime", "--all-features"];
    for run in [
        workspace(repo, teacher, &["doc"]),
        repo.host("cargo").args(runtime),
        repo.firmware_on_host("doc").args(["--package", "qdllm-app"]),
    ] {
        run.args(["--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings").go()?;
    }
    done()
}

/// Unit and integration tests: cargo-nextest where it is installed, else Cargo's own runner.
pub fn tests(repo: &Repo, teacher: bool) -> Result<Outcome> {
    if nextest(repo) {
        let run = workspace(repo, teacher, &["nextest", "run"]);
        return counted(Runner::Nextest, run.args(["--no-fail-fast", "--status-level", "fail"]));
    }
    let run = workspace(repo, teacher, &["test", "--lib", "--bins", "--tests", "--examples"]);
    counted(Runner::Libtest, run.args(["--no-fail-fast", "--", "--skip", "emulated::"]))
}

/// The tests that need images and an emulator, with the programs that [`tests`] built.
pub fn emulated(repo: &Repo, teacher: bool) -> Result<Outcome> {
    if nextest(repo) {
        let run = workspace(repo, teacher, &["nextest", "run", "--profile", "emulated"]);
        return counted(Runner::Nextest, run.arg("--no-fail-fast"));
    }
    let run = workspace(repo, teacher, &["test", "--bins", "--test", "all", "--no-fail-fast"]);
    counted(Runner::Libtest, run.args(["emulated::", "--", "--nocapture", "--test-threads", "2"]))
}

fn nextest(repo: &Repo) -> bool {
    repo.host("cargo").args(["nextest", "--version"]).works()
}

pub fn doc_tests(repo: &Repo, teacher: bool) -> Result<Outcome> {
    let run = workspace(repo, teacher, &["test", "--doc", "--no-fail-fast"]);
    counted(Runner::Libtest, run)
}

/// The runtime's unit tests as the smallest firmware builds it: one compiled back end, no other feature.
pub fn smallest_runtime(repo: &Repo) -> Result<Outcome> {
    let run = repo.host("cargo").args(["test", "--package", "qdllm-runtime", "--lib"]);
    let small = ["--no-fail-fast", "--no-default-features", "--features", "polynomial"];
    counted(Runner::Libtest, run.args(small))
}

/// The fuzz targets on the inputs that the repository keeps.
pub fn fuzz_corpus(repo: &Repo) -> Result<Outcome> {
    let run = repo.host("cargo").args(["test", "--lib", "--no-fail-fast", "--manifest-path"]);
    counted(Runner::Libtest, run.arg(repo.root.join("runtime/fuzz/Cargo.toml")))
}

pub fn firmware_app(repo: &Repo) -> Result<Outcome> {
    let run = repo.firmware_on_host("test").args(["--package", "qdllm-app", "--no-fail-fast"]);
    counted(Runner::Libtest, run)
}

/// Runs a test runner; one that fails without naming a failed test has not even built.
fn counted(runner: Runner, run: Run) -> Result<Outcome> {
    let shown = run.shown().to_owned();
    let (counts, ok) = watch(runner, run.into_command(), &shown)?;
    if !ok && counts.failed == 0 {
        bail!("`{shown}` failed");
    }
    Ok(Outcome::Done(counts))
}
