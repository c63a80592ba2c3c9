//! `fuzz`: runs the fuzz targets of the runtime and of the boards' app on the stable compiler.
//!
//! The compiler's coverage pass is asked for by codegen flags, which stable takes; the address sanitiser
//! would need nightly, and code without `unsafe` gains little from it. New inputs of a run stay in the
//! build folder; the corpus in the repository is kept small by hand.

use crate::repo::Repo;
use crate::shell::{Run, say};
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_host::errors::OfFile as _;

const TOPIC: &str = "fuzz";

/// Every target; a folder of this name in `corpus/` is where it starts from.
const TARGETS: [&str; 4] = ["model", "classify", "qasm", "board"];

/// What makes LLVM count edges and hand comparisons to libFuzzer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

#[derive(Args)]
pub struct Options {
    /// The target; all in turn without one
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// Minutes a target
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    if !(options.minutes > 0.0 && options.minutes <= 100_000.0) {
        bail!("--minutes is {}; give more than 0, at most 100000", options.minutes);
    }
    let folder = repo.root.join("runtime/fuzz");
    let out = repo.target_dir()?.join("fuzz");
    let host = repo.host("rustc").args(["--print", "host-tuple"]).read()?;
    let host = host.trim();
    // With a target named, the flags reach neither build scripts nor procedural macros.
    repo.host("cargo")
        .args(["build", "--release", "--features", "fuzzing", "--target", host])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &out)
        .env("RUSTFLAGS", COVERAGE)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .go()?;
    for target in TARGETS.iter().filter(|t| options.target.as_deref().is_none_or(|o| o == **t)) {
        let (found, crashes) = (out.join("found").join(target), folder.join("artifacts"));
        for dir in [&found, &crashes] {
            std::fs::create_dir_all(dir).of_file(dir)?;
        }
        say(TOPIC, format!("{target}, {} minutes", options.minutes));
        let seconds = (options.minutes * 60.0).ceil();
        repo.host(out.join(host).join("release").join(target))
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=8192", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/{target}-", crashes.display()))
            .arg(found)
            .arg(folder.join("corpus").join(target))
            .go()
            .with_context(|| format!("see {}", crashes.display()))?;
    }
    Ok(())
}
