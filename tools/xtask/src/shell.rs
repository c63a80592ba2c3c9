//! Other programs as plain steps: run one, read its output, try again, become root.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// One program call under construction; its errors name the whole command.
pub struct Run {
    command: Command,
    shown: String,
}

impl Run {
    /// A call of `program`, found on PATH unless it has a slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let shown = program.as_ref().to_string_lossy().into_owned();
        Self { command: Command::new(program), shown }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&arg.as_ref().to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// The command as a person would type it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The plain `Command`, for callers that stream.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs with this program's own output and error streams.
    pub fn go(mut self) -> Result<()> {
        let status = self.command.stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start `{}`", self.shown))?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown);
        }
        Ok(())
    }

    /// Runs without showing anything; a failure carries the last lines of what it said.
    pub fn quiet(self) -> Result<()> {
        self.read().map(drop)
    }

    /// Runs and returns its standard output as text.
    pub fn read(mut self) -> Result<String> {
        let output = self.output()?;
        if !output.status.success() {
            let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
            said.push_str(&String::from_utf8_lossy(&output.stderr));
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines[lines.len().saturating_sub(12)..].join("\n  ");
            bail!("`{}` failed: {}\n  {tail}", self.shown, output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs silently and says whether it ended with 0.
    pub fn works(mut self) -> bool {
        self.output().is_ok_and(|output| output.status.success())
    }

    fn output(&mut self) -> Result<Output> {
        let output = self.command.stdin(Stdio::null()).output();
        output.with_context(|| format!("cannot start `{}`", self.shown))
    }
}

/// Prints a line of progress to the error stream, so that piped results stay clean.
pub fn say(topic: &str, what: impl AsRef<str>) {
    eprintln!("{topic}: {}", what.as_ref());
}

pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Calls `attempt` up to `times` times with growing pauses: package servers are slow now and then.
pub fn retry<T>(times: u32, topic: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tried = 0;
    loop {
        tried += 1;
        match attempt() {
            Err(error) if tried < times => {
                let pause = Duration::from_secs(5 << (tried - 1));
                say(topic, format!("{error:#}; trying again in {} s", pause.as_secs()));
                std::thread::sleep(pause);
            }
            last => return last,
        }
    }
}

/// A call of `program` as root: directly, or through `sudo -n`, which never asks for a password.
pub fn as_root(program: &str, remedy: &str) -> Result<Run> {
    if Run::new("id").arg("-u").read()?.trim() == "0" {
        return Ok(Run::new(program));
    }
    if which("sudo").is_some() && Run::new("sudo").args(["-n", "true"]).works() {
        // sudo drops the environment, so what apt must know is said on the command line.
        return Ok(Run::new("sudo").args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]));
    }
    bail!("this needs root, and sudo would ask for a password; run: {remedy}")
}
