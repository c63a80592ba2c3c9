//! Bare-metal targets of the installed compiler: which are there, adding one, building one.

use super::cache::{TOPIC, fresh};
use crate::repo::Repo;
use crate::shell::{Run, say, which};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Written beside the libraries that were built here, so that only those are ever removed.
const MARK: &str = "built-by-qdllm-setup";

/// The crates that a `no_std` program links, as the precompiled targets carry them.
const CRATES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// `rustc` as the firmware's folder sees it.
pub fn rustc(repo: &Repo) -> Run {
    repo.bare("rustc")
}

/// One line that names the compiler and its version.
pub fn compiler(repo: &Repo) -> Result<String> {
    Ok(rustc(repo).arg("-V").read()?.trim().to_owned())
}

/// A field of `rustc -vV`, such as `release` or `host`.
pub fn field(repo: &Repo, name: &str) -> Result<String> {
    let text = rustc(repo).arg("-vV").read()?;
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Ok(found.with_context(|| format!("rustc -vV has no field {name}"))?.to_owned())
}

/// Where the compiler looks for the libraries of `target`.
fn library_dir(repo: &Repo, target: &str) -> Result<PathBuf> {
    let text = rustc(repo).args(["--print", "target-libdir", "--target", target]).read();
    Ok(PathBuf::from(
        text.with_context(|| format!("{target} is no target of this compiler"))?.trim(),
    ))
}

/// Those of `wanted` whose libraries are not all there, or were built here by another compiler.
pub fn missing(repo: &Repo, wanted: &[String]) -> Result<Vec<String>> {
    let version = compiler(repo)?;
    let mut missing = Vec::new();
    for target in wanted {
        let dir = library_dir(repo, target)?;
        let complete = CRATES.iter().all(|name| !libraries(&dir, name).is_empty());
        let current = fs::read_to_string(dir.join(MARK)).map_or(true, |by| by.trim() == version);
        if !(complete && current) {
            missing.push(target.clone());
        }
    }
    Ok(missing)
}

fn libraries(dir: &Path, name: &str) -> Vec<PathBuf> {
    let prefix = format!("lib{name}-");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "rlib"))
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        })
        .collect()
}

/// Lets rustup download the targets for the toolchain of the firmware's folder.
pub fn rustup_add(repo: &Repo, missing: &[String]) -> Result<()> {
    if which("rustup").is_none() {
        bail!("there is no rustup on PATH");
    }
    say(TOPIC, format!("rustup target add {}", missing.join(" ")));
    repo.bare("rustup").args(["target", "add"]).args(missing).quiet()
}

/// Builds core, alloc and `compiler_builtins` from `library`, the source of exactly this compiler,
/// and puts them where the precompiled ones would lie; stable Cargo then takes them as installed.
pub fn build(repo: &Repo, library: &Path, missing: &[String]) -> Result<()> {
    let version = compiler(repo)?;
    say(TOPIC, format!("building core and alloc with {version} for {}", missing.join(", ")));
    let work = fresh("build")?;
    fs::create_dir_all(work.join("src"))?;
    fs::write(work.join("src/lib.rs"), "#![no_std]\n")?;
    let manifest =
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";
    fs::write(work.join("Cargo.toml"), manifest)?;

    // Paths in panic messages read as those of a released library, whoever built it.
    let commit = field(repo, "commit-hash")?;
    let flags = format!(
        "-Cembed-bitcode=yes --remap-path-prefix={}=/rustc/{commit}/library",
        library.display()
    );
    let targets = missing.iter().flat_map(|target| ["--target", target]);
    let out = work.join("target");
    repo.bare("cargo")
        .args(["build", "--release", "--quiet", "-Z", "build-std=core,alloc", "--manifest-path"])
        .arg(work.join("Cargo.toml"))
        .args(targets)
        .env("CARGO_TARGET_DIR", &out)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        .env("RUSTFLAGS", flags)
        .unset("CARGO_ENCODED_RUSTFLAGS")
        .unset("RUSTC_WRAPPER")
        .quiet()?;

    for target in missing {
        install(repo, target, &out.join(target).join("release/deps"), &version)?;
    }
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// Copies into a folder beside the final one and renames, so that no half target is ever seen.
fn install(repo: &Repo, target: &str, built: &Path, version: &str) -> Result<()> {
    let dir = library_dir(repo, target)?;
    let parent = dir.parent().context("the library folder has no parent")?;
    let part = parent.join("lib.part");
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fs::create_dir_all(&part).with_context(|| format!("cannot write {}", part.display()))?;
    for name in CRATES {
        for file in libraries(built, name) {
            fs::copy(&file, part.join(file.file_name().context("a library has a name")?))?;
        }
    }
    fs::write(part.join(MARK), format!("{version}\n"))?;
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::rename(&part, &dir)?;
    say(TOPIC, format!("installed {target} in {}", dir.display()));
    Ok(())
}

/// Removes `target` if it was built here; says whether it was.
pub fn remove(repo: &Repo, target: &str) -> Result<bool> {
    let dir = library_dir(repo, target)?;
    if !dir.join(MARK).is_file() {
        return Ok(false);
    }
    fs::remove_dir_all(dir.parent().context("the library folder has no parent")?)?;
    Ok(true)
}
