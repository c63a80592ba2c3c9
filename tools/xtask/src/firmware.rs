//! Builds firmware and reads what a running board says about itself.

use crate::repo::Repo;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Stdio;

pub struct Program<'a> {
    pub package: &'a str,
    pub name: &'a str,
    pub target: &'a str,
    pub profile: &'a str,
    /// The package's features instead of its default ones.
    pub features: Option<&'a str>,
}

/// Builds a board's image and returns its file.
pub fn build(repo: &Repo, board: &str, target: &str) -> Result<PathBuf> {
    let name = &*format!("qdllm-{board}");
    Program { package: name, name, target, profile: "release", features: None }.build(repo)
}

impl Program<'_> {
    pub fn build(&self, repo: &Repo) -> Result<PathBuf> {
        let run = repo.bare("cargo").args(["build", "--quiet", "--package", self.package]);
        let run = run.args(["--bin", self.name, "--profile", self.profile]);
        let run = run.args(["--target", self.target]);
        let run = match self.features {
            Some(features) => run.args(["--no-default-features", "--features", features]),
            None => run,
        };
        let run = run.args(["--message-format", "json-render-diagnostics"]);
        let shown = run.shown().to_owned();
        let output = run.into_command().stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start `{shown}`"))?;
        if !output.status.success() {
            bail!("`{shown}` failed in {}: {}", repo.firmware.display(), output.status);
        }
        // Cargo says where it put the program: the folder depends on the person's configuration.
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            if message["target"]["name"] == self.name
                && let Some(file) = message["executable"].as_str()
            {
                return Ok(PathBuf::from(file));
            }
        }
        bail!("`{shown}` built no program")
    }
}

/// What the board's `ready` and `:info` lines say, in bytes.
#[derive(Debug)]
pub struct Info {
    pub model_bytes: u64,
    /// All RAM of the classifier beside the stack.
    pub classifier_ram_bytes: u64,
    pub static_ram_bytes: u64,
    pub stack_bytes: u64,
}

impl Info {
    /// Reads a line that begins with `word`.
    pub fn parse(word: &str, line: &str) -> Result<Self> {
        let mut fields = line.split('\t');
        if fields.next() != Some(word) {
            bail!("the board said {line:?} instead of {word:?}");
        }
        let fields: Vec<(&str, &str)> = fields.filter_map(|field| field.split_once('=')).collect();
        let value = |name: &str| -> Result<u64> {
            let found = fields.iter().find(|(key, _)| *key == name);
            let (_, text) = found.with_context(|| format!("no {name} in {line:?}"))?;
            text.parse().with_context(|| format!("{name} in {line:?}"))
        };
        Ok(Self {
            model_bytes: value("model_bytes")?,
            classifier_ram_bytes: value("classifier_ram_bytes")?,
            static_ram_bytes: value("static_ram_bytes")?,
            stack_bytes: value("stack_bytes")?,
        })
    }
}
