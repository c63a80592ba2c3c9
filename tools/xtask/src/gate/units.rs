//! Tests that run on the host.

use super::Outcome;
use super::count::watch;
use crate::repo::Repo;
use crate::shell::Run;
use anyhow::{Result, bail};

/// Unit and integration tests: cargo-nextest where it is installed, else Cargo's own runner.
pub fn tests(repo: &Repo) -> Result<Outcome> {
    let cargo = repo.host("cargo");
    if repo.host("cargo").args(["nextest", "--version"]).works() {
        return counted(cargo.args([
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--status-level",
            "fail",
        ]));
    }
    counted(cargo.args([
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
        "--no-fail-fast",
    ]))
}

/// The runtime's unit tests as the smallest firmware builds it: one compiled back end, no other feature.
pub fn smallest_runtime(repo: &Repo) -> Result<Outcome> {
    let only = ["--package", "qdllm-runtime", "--lib", "--no-fail-fast"];
    let small = ["--no-default-features", "--features", "polynomial"];
    counted(repo.host("cargo").arg("test").args(only).args(small))
}

/// The examples in the documentation.
pub fn doc_tests(repo: &Repo) -> Result<Outcome> {
    counted(repo.host("cargo").args(["test", "--workspace", "--doc", "--no-fail-fast"]))
}

/// Tests of the language-model teachers, on tiny checkpoints that the tests write.
pub fn teacher(repo: &Repo) -> Result<Outcome> {
    let only = ["--package", "qdllm-trainer", "--features", "hub", "--no-fail-fast"];
    counted(repo.host("cargo").arg("test").args(only).args(["--test", "teacher"]))
}

/// The fuzz targets on the inputs that the repository keeps.
pub fn fuzz_corpus(repo: &Repo) -> Result<Outcome> {
    let manifest = repo.root.join("runtime/fuzz/Cargo.toml");
    counted(
        repo.host("cargo")
            .args(["test", "--lib", "--no-fail-fast", "--manifest-path"])
            .arg(manifest),
    )
}

/// The firmware's board-free part.
pub fn firmware_app(repo: &Repo) -> Result<Outcome> {
    counted(repo.firmware_on_host("test").args(["--package", "qdllm-app", "--no-fail-fast"]))
}

/// Runs a test runner; one that fails without naming a failed test has not even built.
fn counted(run: Run) -> Result<Outcome> {
    let shown = run.shown().to_owned();
    let (counts, ok) = watch(run.into_command(), &shown)?;
    if !ok && counts.failed == 0 {
        bail!("`{shown}` failed");
    }
    Ok(Outcome::Done(counts))
}
