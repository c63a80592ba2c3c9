//! `fuzz`: runs the fuzz targets of the runtime, of the boards' app and of the C library on stable compilers.
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

/// Every target; a folder of this name in `corpus/` is where it starts from. Those of the C library start from the models
/// of `classify`.
const TARGETS: [&str; 6] = ["model", "classify", "qasm", "board", "c-model", "c-text"];

/// Options of clang for those of the C library.
const CLANG: &str = "-std=c99 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -Isrc src/qdllm.c";

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
    let wanted = |target: &&&str| options.target.as_deref().is_none_or(|only| only == **target);
    let built_by_cargo = TARGETS.iter().filter(wanted).any(|target| !target.starts_with("c-"));
    // With a target named, the flags reach neither build scripts nor procedural macros.
    let mut cargo = repo.host("cargo");
    cargo
        .args(["build", "--release", "--features", "fuzzing", "--target", host])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &out)
        .env("RUSTFLAGS", COVERAGE)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if built_by_cargo {
        cargo.go()?;
    }
    for target in TARGETS.iter().filter(wanted) {
        let (found, crashes) = (out.join("found").join(target), folder.join("artifacts"));
        for dir in [&found, &crashes] {
            std::fs::create_dir_all(dir).of_file(dir)?;
        }
        let (mut program, mut corpus) = (out.join(host).join("release").join(target), *target);
        if let Some(name) = target.strip_prefix("c-") {
            (program, corpus) = (out.join(target), "classify");
            let mut clang = repo.host("clang");
            clang.current_dir(repo.firmware.join("c")).args(CLANG.split_whitespace());
            clang.arg(format!("fuzz/{name}.c")).arg("-o").arg(&program);
            clang.go().context("on Debian: apt-get install clang libclang-rt-14-dev")?;
        }
        say(TOPIC, format!("{target}, {} minutes", options.minutes));
        let seconds = (options.minutes * 60.0).ceil();
        repo.host(program)
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=8192", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/{target}-", crashes.display()))
            .arg(found)
            .arg(folder.join("corpus").join(corpus))
            .go()
            .with_context(|| format!("see {}", crashes.display()))?;
    }
    Ok(())
}
