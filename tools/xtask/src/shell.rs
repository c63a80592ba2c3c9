//! Other programs as plain steps: run one, read its output, say what goes on.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Whole runs of a program; their errors name the whole command.
pub trait Run {
    /// The command as a person would type it.
    fn shown(&self) -> String;
    /// Runs with this program's own output and error streams.
    fn go(&mut self) -> Result<()>;
    /// Runs and returns its standard output as text; a failure carries the last lines of what it said.
    fn read(&mut self) -> Result<String>;
    /// Runs silently and says whether it ended with 0.
    fn works(&mut self) -> bool;
}

impl Run for Command {
    fn shown(&self) -> String {
        let words = std::iter::once(self.get_program()).chain(self.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn go(&mut self) -> Result<()> {
        let status = self.stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start `{}`", self.shown()))?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown());
        }
        Ok(())
    }

    fn read(&mut self) -> Result<String> {
        let Output { status, stdout, stderr } = output(self)?;
        if !status.success() {
            let said = [stdout, stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines[lines.len().saturating_sub(12)..].join("\n  ");
            bail!("`{}` failed: {status}\n  {tail}", self.shown());
        }
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    fn works(&mut self) -> bool {
        output(self).is_ok_and(|output| output.status.success())
    }
}

fn output(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output();
    output.with_context(|| format!("cannot start `{}`", command.shown()))
}

/// Prints a line of progress to the error stream, so that piped results stay clean.
pub fn say(topic: &str, what: impl AsRef<str>) {
    eprintln!("{topic}: {}", what.as_ref());
}

pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
