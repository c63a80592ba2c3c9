//! Where things are: the repository's root, its firmware workspace, the build folder.

use crate::shell::Run;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

pub struct Repo {
    /// The folder with the host workspace's `Cargo.toml`.
    pub root: PathBuf,
    pub firmware: PathBuf,
}

impl Repo {
    /// Finds the checkout from Cargo's variable, else from the current folder upwards.
    pub fn find() -> Result<Self> {
        let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => std::env::current_dir()?,
        };
        let root = start
            .ancestors()
            .find(|dir| dir.join("tools/xtask/Cargo.toml").is_file())
            .with_context(|| format!("{} is not inside a checkout of qdllm", start.display()))?
            .to_path_buf();
        let firmware = root.join("firmware");
        Ok(Self { root, firmware })
    }

    pub fn host(&self, program: &str) -> Run {
        clean(Run::new(program).dir(&self.root))
    }

    /// A Cargo command on the firmware workspace with the host's toolchain, for what is no board's.
    pub fn firmware_on_host(&self, command: &str) -> Run {
        let manifest = self.firmware.join("Cargo.toml");
        self.host("cargo").arg(command).arg("--manifest-path").arg(manifest)
    }

    /// A command in the firmware workspace, with the toolchain that is set for that folder: `cargo
    /// xtask` runs under rustup, which hands its own choice of toolchain down to every child, and a
    /// second toolchain for the firmware would never be asked.
    pub fn bare(&self, program: &str) -> Run {
        clean(Run::new(program).dir(&self.firmware)).unset("RUSTUP_TOOLCHAIN")
    }

    /// The two models of the tests, of different length: a frozen one and one with every back end.
    pub fn models(&self) -> [PathBuf; 2] {
        ["tests/vectors/words_v1.qdm", "tests/models/commands.qdm"].map(|file| self.root.join(file))
    }

    /// The folder that the host workspace is built in.
    pub fn target_dir(&self) -> Result<PathBuf> {
        let text =
            self.host("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
        let metadata: serde_json::Value = serde_json::from_str(&text)?;
        let dir = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target folder")?;
        Ok(Path::new(dir).to_path_buf())
    }
}

/// Takes away what `cargo run` set for this program and what would mislead a build of another one.
fn clean(run: Run) -> Run {
    ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_BUILD_TARGET", "CARGO_PKG_NAME"]
        .iter()
        .fold(run, |run, name| run.unset(name))
}
