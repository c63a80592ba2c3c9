//! The last resort: Debian's compiler with its own library source, as a second toolchain that only
//! the firmware's folder uses.

use super::cache::{TOPIC, cache, fresh, unpack};
use super::debian::{Archive, codename};
use super::targets;
use crate::repo::Repo;
use crate::shell::{Run, say, which};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const NAME: &str = "qdllm-firmware";

/// Links the toolchain, sets it for the firmware's folder and builds the targets it lacks.
pub fn install(repo: &Repo, wanted: &[String]) -> Result<()> {
    let code = codename()?;
    if which("rustup").is_none() {
        bail!("a second toolchain needs rustup, which is not on PATH");
    }
    let root = cache()?.join("second");
    if !linked()? {
        let host = targets::field(repo, "host")?;
        let real = PathBuf::from(targets::rustc(repo).args(["--print", "sysroot"]).read()?.trim());
        let usr = download(&code, &root)?;
        assemble(&usr, &host, &real)?;
        Run::new("rustup").args(["toolchain", "link", NAME]).arg(&usr).quiet()?;
    }
    Run::new("rustup").args(["override", "set", NAME, "--path"]).arg(&repo.firmware).quiet()?;
    say(TOPIC, format!("firmware/ now uses toolchain {NAME}"));
    let missing = targets::missing(repo, wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let sources =
        fs::read_dir(root.join("usr/src"))?.flatten().map(|entry| entry.path().join("library"));
    let library = sources
        .into_iter()
        .find(|path| path.is_dir())
        .context("the source package has no library")?;
    targets::build(repo, &library, &missing)
}

/// Unlinks the toolchain, if an earlier set-up linked it.
pub fn remove(repo: &Repo) -> Result<()> {
    if which("rustup").is_none() || !linked()? {
        return Ok(());
    }
    Run::new("rustup").args(["override", "unset", "--path"]).arg(&repo.firmware).quiet()?;
    Run::new("rustup").args(["toolchain", "uninstall", NAME]).quiet()?;
    say(TOPIC, format!("removed toolchain {NAME}"));
    Ok(())
}

fn linked() -> Result<bool> {
    let list = Run::new("rustup").args(["toolchain", "list"]).read()?;
    Ok(list.lines().any(|line| line.split_whitespace().next() == Some(NAME)))
}

/// Unpacks the compiler, its library, its library's source and its LLVM; returns the `usr` folder.
fn download(code: &str, root: &Path) -> Result<PathBuf> {
    let security = format!("{code}-security");
    let archive = Archive::open(&[code, &security])?;
    let newest = |package: &str| {
        let versions = archive.versions(package);
        versions.into_iter().next().with_context(|| format!("Debian {code} has no {package}"))
    };
    let version = newest("rustc-web")?;
    say(TOPIC, format!("unpacking Debian's rustc-web {version}"));
    let release = version.split(['+', '~', '-']).next().unwrap_or_default();
    let minor = release.rsplit_once('.').map_or(release, |(minor, _)| minor);
    let shared = format!("libstd-rust-web-{minor}");
    let record = archive.record(&shared, &version)?;
    let llvm = record.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| {
        word.strip_prefix("libllvm")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    });
    let mut packages = Vec::new();
    for package in [shared.as_str(), "rustc-web", "libstd-rust-web-dev", "rust-web-src"] {
        packages.push((package.to_owned(), version.clone()));
    }
    if let Some(llvm) = llvm {
        packages.push((llvm.to_owned(), newest(llvm)?));
    }
    let parcels = fresh("parcels")?;
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root)?;
    for (package, version) in packages {
        unpack(&archive.download(&package, &version, &parcels)?, root)?;
    }
    fs::remove_dir_all(&parcels)?;
    Ok(root.join("usr"))
}

/// Turns the unpacked tree into a toolchain: the compiler finds its own libraries, and Cargo and
/// the linker come from the installed toolchain.
fn assemble(usr: &Path, host: &str, real: &Path) -> Result<()> {
    let multiarch = host.replace("-unknown", "");
    let libexec = usr.join("libexec");
    fs::create_dir_all(&libexec)?;
    fs::rename(usr.join("bin/rustc"), libexec.join("rustc"))?;
    let wrapper = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}'${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec '{}' --sysroot '{}' \"$@\"\n",
        usr.join("lib").join(multiarch).display(),
        libexec.join("rustc").display(),
        usr.display()
    );
    fs::write(usr.join("bin/rustc"), wrapper)?;
    fs::set_permissions(usr.join("bin/rustc"), fs::Permissions::from_mode(0o755))?;
    symlink(real.join("bin/cargo"), usr.join("bin/cargo"))?;
    let bin = Path::new("lib/rustlib").join(host).join("bin");
    fs::create_dir_all(usr.join(&bin))?;
    symlink(real.join(&bin).join("rust-lld"), usr.join(&bin).join("rust-lld"))?;
    Ok(())
}
