//! QEMU for Arm boards: is it there, and installing it through the system's packages.

use super::cache::TOPIC;
use super::debian::{Archive, codename};
use crate::shell::{Run, as_root, retry, say, which};
use anyhow::{Context, Result, bail};

pub const PROGRAM: &str = "qemu-system-arm";

pub fn present() -> bool {
    which(PROGRAM).is_some()
}

/// Installs the emulator where it is missing.
pub fn ensure() -> Result<()> {
    if present() {
        return Ok(());
    }
    let remedy = remedy();
    if which("apt-get").is_none() {
        bail!("{PROGRAM} is missing; run: {remedy}");
    }
    say(TOPIC, format!("installing {PROGRAM}"));
    let apt = || as_root("apt-get", &remedy);
    apt()?;
    // A source of the person's own that does not answer must not keep Debian's from being used.
    let update = || apt()?.args(["-q", "-o", "Acquire::Retries=3", "update"]).quiet();
    if let Err(error) = retry(2, TOPIC, update) {
        say(TOPIC, format!("{error:#}; going on with the package lists there are"));
    }
    if let (false, Ok(code)) = (installs_cleanly(), codename()) {
        // A newer qemu-utils from the backports suite would have to go for the stable emulator, or
        // keeps it out, so the emulator comes from the same suite.
        let backports = format!("{code}-backports");
        let suites =
            [code.as_str(), &format!("{code}-security"), &format!("{code}-updates"), &backports];
        let archive = Archive::open(&suites)?;
        retry(3, TOPIC, || {
            install(archive.apply(apt()?)).args(["-t", &backports, PROGRAM]).quiet()
        })?;
    } else {
        retry(3, TOPIC, || install(apt()?).arg(PROGRAM).quiet())?;
    }
    let version = Run::new(PROGRAM).arg("--version").read()?;
    say(TOPIC, format!("installed {}", version.lines().next().context("QEMU names no version")?));
    Ok(())
}

/// An installation that asks nothing and waits for another package manager that is at work.
fn install(apt: Run) -> Run {
    apt.args(["-q", "-y", "--no-install-recommends"])
        .args(["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300", "install"])
        .env("DEBIAN_FRONTEND", "noninteractive")
}

/// Whether the emulator of the system's own sources can be installed without taking anything away.
fn installs_cleanly() -> bool {
    let plan = Run::new("apt-get").args(["-s", "--no-install-recommends", "install", PROGRAM]);
    plan.read().is_ok_and(|plan| !plan.lines().any(|line| line.starts_with("Remv")))
}

/// The command that installs the emulator on this kind of system.
fn remedy() -> String {
    let managers = [
        ("apt-get", "apt-get install qemu-system-arm"),
        ("dnf", "dnf install qemu-system-arm"),
        ("pacman", "pacman -S qemu-system-arm"),
        ("zypper", "zypper install qemu-arm"),
        ("apk", "apk add qemu-system-arm"),
        ("brew", "brew install qemu"),
    ];
    let found = managers.iter().find(|(program, _)| which(program).is_some());
    found.map_or("your system's package of QEMU for Arm", |(_, command)| command).to_owned()
}
