//! The folder in which a set-up works.

use crate::shell::Run;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

pub const TOPIC: &str = "setup";

/// The work folder: archives, sources and the second toolchain.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let dir = base.join("qdllm-setup");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

pub fn fresh(name: &str) -> Result<PathBuf> {
    let dir = cache()?.join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Unpacks the file tree of a Debian package.
pub fn unpack(package: &Path, into: &Path) -> Result<()> {
    Run::new("dpkg-deb").arg("-x").arg(package).arg(into).quiet()
}
