//! `setup`: makes the bare-metal targets and QEMU usable, from whatever source this machine has.
//!
//! A target comes from the first of these that works: it is installed; rustup downloads it (never
//! where `RUSTUP_AUTO_INSTALL=0` says that rustup is not to download); Debian's source of exactly
//! this compiler's standard library is built once and put where rustup would put it; Debian's own
//! compiler, with its own source, becomes a second toolchain for `firmware/` alone. `debian.sh` does
//! what needs Debian's packages.

use crate::repo::Repo;
use crate::shell::{Run, say, which};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

const TOPIC: &str = "setup";

pub const QEMU: &str = "qemu-system-arm";

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
    #[value(alias = "second")]
    Toolchain,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let _lock = lock()?;
    let targets: Vec<&str> = options.targets.iter().map(String::as_str).collect();
    if options.remove {
        return debian(repo, "remove", &targets);
    }
    if options.check {
        let mut missing = missing(repo, &targets)?;
        if !options.no_qemu && which(QEMU).is_none() {
            missing.push(QEMU);
        }
        if !missing.is_empty() {
            bail!("missing: {}; run: cargo xtask setup", missing.join(", "));
        }
        say(TOPIC, "complete");
        return Ok(());
    }
    provide(repo, &targets, options.from, !options.no_qemu)
}

/// Makes sure that `targets` and QEMU are there; silent where they are.
pub fn ensure(repo: &Repo, targets: &[&str]) -> Result<()> {
    if which(QEMU).is_some() && missing(repo, targets)?.is_empty() {
        return Ok(());
    }
    let _lock = lock()?;
    provide(repo, targets, None, true)
}

/// Those of `targets` whose libraries are there.
pub fn installed<'t>(repo: &Repo, targets: &[&'t str]) -> Result<Vec<&'t str>> {
    let missing = missing(repo, targets)?;
    Ok(targets.iter().copied().filter(|target| !missing.contains(target)).collect())
}

/// Those of `wanted` whose libraries are not all there, or were built here by another compiler.
fn missing<'t>(repo: &Repo, wanted: &[&'t str]) -> Result<Vec<&'t str>> {
    let version = compiler(repo)?;
    let mut missing = Vec::new();
    for &target in wanted {
        let dir = repo.bare("rustc").args(["--print", "target-libdir", "--target", target]).read();
        let dir = dir.with_context(|| format!("{target} is no target of this compiler"))?;
        let dir = PathBuf::from(dir.trim());
        let files = fs::read_dir(&dir).into_iter().flatten().flatten();
        let names: Vec<String> =
            files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        let has = |library| names.iter().any(|n| n.starts_with(library) && n.ends_with(".rlib"));
        let complete = ["libcore-", "liballoc-", "libcompiler_builtins-"].into_iter().all(has);
        // What `debian.sh` built bears this mark.
        let mark = fs::read_to_string(dir.join("built-by-qdllm-setup"));
        if !(complete && mark.map_or(true, |by| by.trim() == version)) {
            missing.push(target);
        }
    }
    Ok(missing)
}

/// One line that names the firmware's compiler and its version.
fn compiler(repo: &Repo) -> Result<String> {
    Ok(repo.bare("rustc").arg("-V").read()?.trim().to_owned())
}

/// QEMU's packages come over the network while the compiler works, so both run at once.
fn provide(repo: &Repo, wanted: &[&str], from: Option<Source>, with_qemu: bool) -> Result<()> {
    let started = Instant::now();
    let needed = with_qemu && which(QEMU).is_none();
    std::thread::scope(|scope| {
        let qemu = scope.spawn(|| if needed { debian(repo, "qemu", &[]) } else { Ok(()) });
        let built = provide_targets(repo, wanted, from);
        let qemu = qemu.join().map_err(|_| anyhow!("QEMU's set-up stopped"))?;
        built.and(qemu)
    })?;
    let (seconds, compiler) = (started.elapsed().as_secs_f32(), compiler(repo)?);
    say(TOPIC, format!("ready in {seconds:.0} s: {} with {compiler}", wanted.join(", ")));
    Ok(())
}

fn provide_targets(repo: &Repo, wanted: &[&str], from: Option<Source>) -> Result<()> {
    let lacking = missing(repo, wanted)?;
    if lacking.is_empty() {
        return Ok(());
    }
    say(TOPIC, format!("not installed: {}", lacking.join(", ")));
    let remedy = format!("rustup target add {}", lacking.join(" "));
    let forbidden = std::env::var_os("RUSTUP_AUTO_INSTALL").is_some_and(|value| value == "0");
    if forbidden && from.is_none() {
        say(TOPIC, "RUSTUP_AUTO_INSTALL=0: rustup is not asked to download");
    }
    let mut failures = Vec::new();
    for (source, name) in [
        (Source::Rustup, "rustup"),
        (Source::Library, "Debian's library source"),
        (Source::Toolchain, "Debian's compiler"),
    ] {
        if from.is_some_and(|only| only != source) || (source == Source::Rustup && forbidden) {
            continue;
        }
        if let Err(error) = provide_from(repo, source, wanted, &lacking) {
            say(TOPIC, format!("{name}: {error:#}"));
            failures.push(name);
            continue;
        }
        let missing = missing(repo, wanted)?;
        if !missing.is_empty() {
            bail!("still missing after the set-up: {}; run: {remedy}", missing.join(", "));
        }
        return Ok(());
    }
    let failures = failures.join(", ");
    bail!("no bare-metal target ({failures} failed); on a machine with rustup run: {remedy}")
}

fn provide_from(repo: &Repo, source: Source, wanted: &[&str], lacking: &[&str]) -> Result<()> {
    match source {
        Source::Rustup => {
            if which("rustup").is_none() {
                bail!("there is no rustup on PATH");
            }
            say(TOPIC, format!("rustup target add {}", lacking.join(" ")));
            repo.bare("rustup").args(["target", "add"]).args(lacking).read().map(drop)
        }
        Source::Library => debian(repo, "library", lacking),
        Source::Toolchain => {
            debian(repo, "toolchain", &[])?;
            // It is another compiler, which has other targets.
            match &missing(repo, wanted)?[..] {
                [] => Ok(()),
                lacking => debian(repo, "library", lacking),
            }
        }
    }
}

/// Runs a part of `debian.sh`, which says what it does, and gives what failed.
fn debian(repo: &Repo, part: &str, targets: &[&str]) -> Result<()> {
    let script = repo.root.join("tools/xtask/debian.sh");
    let mut command = repo.bare("sh");
    command.arg(script).arg(part).args(targets).env("QDLLM_SETUP", cache()?);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start `sh`")?;
    match String::from_utf8_lossy(&output.stdout).trim_end() {
        _ if output.status.success() => Ok(()),
        "" => bail!("`{}` failed: {}", command.shown(), output.status),
        why => bail!("{why}"),
    }
}

/// The work folder: archives, sources and the second toolchain.
fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let dir = base.join("qdllm-setup");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
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
