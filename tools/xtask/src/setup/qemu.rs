//! QEMU for Arm boards: is it there, and installing it through the system's packages.

use super::TOPIC;
use super::debian::{Archive, codename};
use crate::shell::{Run, as_root, retry, say, which};
use anyhow::{Context, Result, bail};

/// The emulator of the firmware's board.
pub const PROGRAM: &str = "qemu-system-arm";

/// Whether the emulator is on PATH.
pub fn present() -> bool {
    which(PROGRAM).is_some()
}

/// Installs the emulator where it is missing.
///
/// # Errors
/// On a system without apt, or without root, naming the command that a person should run.
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
    retry(3, TOPIC, || apt()?.args(["-q", "-o", "Acquire::Retries=3", "update"]).quiet())?;
    if removes_something()? {
        // A newer qemu-utils from the backports suite would have to go for the stable emulator, so
        // the emulator comes from the same suite.
        let code = codename()?;
        let backports = format!("{code}-backports");
        let suites = [
            code.clone(),
            format!("{code}-security"),
            format!("{code}-updates"),
            backports.clone(),
        ];
        let archive = Archive::open(&suites.each_ref().map(String::as_str))?;
        retry(3, TOPIC, || {
            archive
                .apply(install(apt()?))
                .args(["-t", backports.as_str(), PROGRAM])
                .env(FRONTEND.0, FRONTEND.1)
                .quiet()
        })?;
    } else {
        retry(3, TOPIC, || install(apt()?).arg(PROGRAM).env(FRONTEND.0, FRONTEND.1).quiet())?;
    }
    let version = Run::new(PROGRAM).arg("--version").read()?;
    say(TOPIC, format!("installed {}", version.lines().next().context("QEMU names no version")?));
    Ok(())
}

/// apt must never stop at a question.
const FRONTEND: (&str, &str) = ("DEBIAN_FRONTEND", "noninteractive");

fn install(apt: Run) -> Run {
    apt.args(["-q", "-y", "--no-install-recommends", "-o", "Acquire::Retries=3", "install"])
}

/// Whether installing the stable emulator would take an installed package away.
fn removes_something() -> Result<bool> {
    let plan =
        Run::new("apt-get").args(["-s", "--no-install-recommends", "install", PROGRAM]).read()?;
    Ok(plan.lines().any(|line| line.starts_with("Remv")))
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
