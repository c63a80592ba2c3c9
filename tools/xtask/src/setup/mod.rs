//! `setup`: makes the bare-metal targets and QEMU usable, from whatever source this machine has.
//!
//! A target comes from the first of these that works: it is installed; rustup downloads it (never
//! where `RUSTUP_AUTO_INSTALL=0` says that rustup is not to download); Debian's source of exactly
//! this compiler's standard library is built once and put where rustup would put it; Debian's own
//! compiler, with its own source, becomes a second toolchain for `firmware/` alone.

mod cache;
mod debian;
mod qemu;
mod second;
mod targets;

use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result, bail};
use cache::{TOPIC, cache};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::time::Instant;

pub use qemu::PROGRAM as QEMU;

/// The target of the emulated board, all that the demo needs.
pub const DEMO_TARGET: &str = "thumbv7em-none-eabihf";

/// Every target that the tests build for.
pub const ALL_TARGETS: [&str; 6] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    DEMO_TARGET,
    "thumbv8m.main-none-eabi",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

#[derive(Args)]
pub struct Options {
    /// Bare-metal targets, separated by commas
    #[arg(long, value_delimiter = ',', default_values = ALL_TARGETS)]
    targets: Vec<String>,
    /// Only look: fails if something is missing, changes nothing
    #[arg(long, conflicts_with = "remove")]
    check: bool,
    /// Takes out the targets and the toolchain that an earlier set-up built here
    #[arg(long)]
    remove: bool,
    /// Leaves QEMU alone
    #[arg(long)]
    no_qemu: bool,
    /// Takes the targets from this source only
    #[arg(long, value_enum)]
    from: Option<Source>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// `rustup target add`
    Rustup,
    /// Debian's library source of exactly this compiler
    Library,
    /// Debian's compiler as a second toolchain for `firmware/`
    Second,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let _lock = lock()?;
    if options.remove {
        return remove(repo, &options.targets);
    }
    if options.check {
        let mut missing = targets::missing(repo, &options.targets)?;
        if !options.no_qemu && !qemu::present() {
            missing.push(QEMU.to_owned());
        }
        if !missing.is_empty() {
            bail!("missing: {}; run: cargo xtask setup", missing.join(", "));
        }
        say(TOPIC, "complete");
        return Ok(());
    }
    provide(repo, &options.targets, options.from, !options.no_qemu)
}

/// Makes sure that `targets` and QEMU are there; silent where they are.
pub fn ensure(repo: &Repo, targets: &[&str]) -> Result<()> {
    let targets: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
    if qemu::present() && targets::missing(repo, &targets)?.is_empty() {
        return Ok(());
    }
    let _lock = lock()?;
    provide(repo, &targets, None, true)
}

/// Those of `targets` whose libraries are there.
pub fn installed<'t>(repo: &Repo, targets: &[&'t str]) -> Result<Vec<&'t str>> {
    let all: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
    let missing = targets::missing(repo, &all)?;
    Ok(targets.iter().copied().filter(|target| missing.iter().all(|m| m != target)).collect())
}

/// QEMU's packages come over the network while the compiler works, so both run at once.
fn provide(repo: &Repo, wanted: &[String], from: Option<Source>, with_qemu: bool) -> Result<()> {
    let started = Instant::now();
    std::thread::scope(|scope| {
        let emulator = scope.spawn(|| if with_qemu { qemu::ensure() } else { Ok(()) });
        let built = provide_targets(repo, wanted, from);
        let emulator = emulator.join().map_err(|_| anyhow::anyhow!("QEMU's set-up stopped"))?;
        built.and(emulator)
    })?;
    let seconds = started.elapsed().as_secs_f32();
    say(
        TOPIC,
        format!("ready in {seconds:.0} s: {} with {}", wanted.join(", "), targets::compiler(repo)?),
    );
    Ok(())
}

fn provide_targets(repo: &Repo, wanted: &[String], from: Option<Source>) -> Result<()> {
    let missing = targets::missing(repo, wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    say(TOPIC, format!("not installed: {}", missing.join(", ")));
    let remedy = format!("rustup target add {}", missing.join(" "));
    let forbidden = std::env::var_os("RUSTUP_AUTO_INSTALL").is_some_and(|value| value == "0");
    if forbidden && from.is_none() {
        say(TOPIC, "RUSTUP_AUTO_INSTALL=0: rustup is not asked to download");
    }
    let may = |source| from.is_none_or(|only| only == source);
    let mut failures = Vec::new();
    let mut note = |source: &str, done: Result<()>| match done {
        Ok(()) => true,
        Err(error) => {
            say(TOPIC, format!("{source}: {error:#}"));
            failures.push(source.to_owned());
            false
        }
    };
    let done =
        (may(Source::Rustup) && !forbidden && note("rustup", targets::rustup_add(repo, &missing)))
            || (may(Source::Library)
                && note("Debian's library source", debian::from_source(repo, &missing)))
            || (may(Source::Second) && note("Debian's compiler", second::install(repo, wanted)));
    if !done {
        bail!(
            "no bare-metal target ({} failed); on a machine with rustup run: {remedy}",
            failures.join(", ")
        );
    }
    let missing = targets::missing(repo, wanted)?;
    if !missing.is_empty() {
        bail!("still missing after the set-up: {}; run: {remedy}", missing.join(", "));
    }
    Ok(())
}

fn remove(repo: &Repo, targets: &[String]) -> Result<()> {
    second::remove(repo)?;
    for target in targets {
        if targets::remove(repo, target)? {
            say(TOPIC, format!("removed {target}"));
        }
    }
    let cache = cache()?;
    for entry in cache.read_dir()?.flatten() {
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    say(TOPIC, "QEMU is a system package and stays");
    Ok(())
}

/// Held while a set-up runs: two at once would build into the same places.
fn lock() -> Result<File> {
    let path = cache()?.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        say(TOPIC, "another set-up is running; waiting for it");
        file.lock()?;
    }
    Ok(file)
}
