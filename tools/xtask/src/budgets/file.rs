//! `tests/budgets.toml`.

use crate::repo::Repo;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

const HEAD: &str = "\
# What each back end may take on a chip, for the model tests/models/commands.qdm and the sentence
# \"please turn on the lamp in the hallway and the kitchen now\".
#
# text_bytes: flash without the model (code, constants, the program that measures).
# ram_bytes: statics and the stack at its deepest.
# instructions: text to class, under QEMU's -icount; 0 where the image has several back ends.
# An image fails at a figure plus its headroom, or above a limit (0: none).
# `cargo xtask budgets --accept` writes this file and the README's table.

";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// By how much a figure may grow unseen.
    pub headroom: Headroom,
    #[serde(rename = "image")]
    pub images: Vec<Image>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headroom {
    text_bytes: f64,
    ram_bytes: f64,
    instructions: f64,
}

impl Headroom {
    /// The share of a figure by its name.
    pub fn of(&self, name: &str) -> f64 {
        match name {
            "text_bytes" => self.text_bytes,
            "ram_bytes" => self.ram_bytes,
            _ => self.instructions,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Features of the runtime: the back ends.
    pub backends: Vec<String>,
    pub target: String,
    /// Cargo's profile: `release` is made for speed, `small` for size.
    pub profile: String,
    /// What it took when the budget was set.
    pub figures: Figures,
    /// What it must never take more of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Figures>,
}

impl Image {
    /// Back ends, target and profile in one line.
    pub fn name(&self) -> String {
        format!("{} on {} ({})", self.backends.join("+"), self.target, self.profile)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    #[serde(default)]
    pub text_bytes: u32,
    #[serde(default)]
    pub ram_bytes: u32,
    #[serde(default)]
    pub instructions: u32,
}

impl Figures {
    /// Each figure by its name in the file.
    pub fn named(&self) -> [(&'static str, u32); 3] {
        [
            ("text_bytes", self.text_bytes),
            ("ram_bytes", self.ram_bytes),
            ("instructions", self.instructions),
        ]
    }
}

impl Budgets {
    fn path(repo: &Repo) -> PathBuf {
        repo.root.join("tests/budgets.toml")
    }

    pub fn read(repo: &Repo) -> Result<Self> {
        let path = Self::path(repo);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    pub fn write(&self, repo: &Repo) -> Result<()> {
        let path = Self::path(repo);
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}
