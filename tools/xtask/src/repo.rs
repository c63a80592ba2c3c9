//! The checkout: where things are, programs that run in it, and images of firmware that it builds.

use crate::shell::Run;
use anyhow::{Context, Result, anyhow, bail, ensure};
use qdllm_host::{elf, files};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
        let root = start.ancestors().find(|dir| dir.join("tools/xtask/Cargo.toml").is_file());
        let root =
            root.with_context(|| format!("{} is not inside a checkout of qdllm", start.display()))?;
        Ok(Self { root: root.to_path_buf(), firmware: root.join("firmware") })
    }

    pub fn host(&self, program: impl AsRef<OsStr>) -> Command {
        clean(program, &self.root)
    }

    /// A command in the firmware workspace, with the toolchain that is set for that folder: `cargo
    /// xtask` runs under rustup, which hands its own choice of toolchain down to every child, and a
    /// second toolchain for the firmware would never be asked.
    pub fn bare(&self, program: &str) -> Command {
        let mut command = clean(program, &self.firmware);
        command.env_remove("RUSTUP_TOOLCHAIN");
        command
    }

    /// The two models of the tests, of different length: a frozen one and one with every back end.
    pub fn models(&self) -> [PathBuf; 2] {
        ["tests/vectors/words_v1.qdm", "tests/models/commands.qdm"].map(|file| self.root.join(file))
    }

    /// What Cargo knows of the host workspace.
    pub fn metadata(&self) -> Result<Value> {
        let words = ["metadata", "--no-deps", "--format-version", "1"];
        Ok(serde_json::from_str(&self.host("cargo").args(words).read()?)?)
    }

    /// The folder that the host workspace is built in.
    pub fn target_dir(&self) -> Result<PathBuf> {
        let metadata = self.metadata()?;
        let dir = metadata["target_directory"].as_str();
        Ok(PathBuf::from(dir.context("cargo metadata names no target folder")?))
    }

    /// Builds the trainer and returns its program.
    pub fn trainer(&self) -> Result<String> {
        self.host("cargo").args(["build", "--release", "--package", "qdllm-trainer"]).go()?;
        Ok(self.target_dir()?.join("release/qdllm").display().to_string())
    }

    /// What a program prints as one JSON value.
    pub fn ask(&self, program: &str, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.host(program).args(args).read()?)?)
    }

    /// Builds a board's image and returns its file.
    pub fn build(&self, board: &str, target: &str) -> Result<PathBuf> {
        let name = format!("qdllm-{board}");
        let words = ["--package", &name, "--bin", &name, "--profile", "release"];
        self.build_image(&[&words[..], &["--target", target]].concat(), &name)
    }

    /// Builds the program `name` of the firmware with these options of Cargo and returns its file.
    pub fn build_image(&self, options: &[&str], name: &str) -> Result<PathBuf> {
        let mut command = self.bare("cargo");
        command.args(["build", "--quiet"]).args(options);
        command.args(["--message-format", "json-render-diagnostics"]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let shown = command.shown();
        let output = output.with_context(|| format!("cannot start `{shown}`"))?;
        if !output.status.success() {
            bail!("`{shown}` failed in {}: {}", self.firmware.display(), output.status);
        }
        // Cargo says where it put the program: the folder depends on the person's configuration.
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: Value = serde_json::from_str(line)?;
            if message["target"]["name"] == name
                && let Some(file) = message["executable"].as_str()
            {
                return Ok(PathBuf::from(file));
            }
        }
        bail!("`{shown}` built no program")
    }
}

/// A command without what `cargo run` set for this program and what would mislead a build of another.
fn clean(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    // Build scripts that ask for them (ring's does) would run again, and with them all that is built on theirs.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "CARGO_BUILD_TARGET"
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Bytes of an image that a chip's flash must hold.
pub fn flash_bytes(image: &Path) -> Result<usize> {
    elf::flash_bytes(&files::read(image)?).map_err(|what| anyhow!("{}: {what}", image.display()))
}

/// Code that can panic links the panic machinery; an image of ours links none of it.
pub fn no_panics(image: &Path) -> Result<()> {
    let bytes = files::read(image)?;
    let names = elf::symbols(&bytes).map_err(|what| anyhow!("{}: {what}", image.display()))?;
    let found: Vec<&str> = names.into_iter().filter(|name| name.contains("panicking")).collect();
    ensure!(found.is_empty(), "the image can panic, it has {}", found.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_do_not_hand_down_what_cargo_says_of_this_program() {
        assert!(std::env::var_os("CARGO_PKG_VERSION_MAJOR").is_some());
        let repo = Repo::find().expect("the repository");
        for mut command in [repo.host("env"), repo.bare("env")] {
            let said = String::from_utf8(command.output().expect("env").stdout).expect("text");
            assert!(said.contains("PATH="), "{said}");
            assert!(!said.contains("CARGO_PKG_") && !said.contains("CARGO_MANIFEST_"), "{said}");
        }
    }
}
