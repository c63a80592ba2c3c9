//! What a person at a terminal sees: progress with the time left, texts from outside, errors, closed pipes.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, ErrorKind, IsTerminal as _};
use std::panic;
use std::process::{ExitCode, exit};
use std::time::{Duration, Instant};

/// Time between two plain lines of one stage.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// One stage of work at a time, on standard error: a bar with the time left on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    quiet: bool,
    stage: String,
    total: u64,
    said: Instant,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal() && !quiet;
        let bar = ProgressBar::hidden();
        Self { bar, terminal, quiet, stage: String::new(), total: 0, said: Instant::now() }
    }

    pub fn stage(&mut self, name: &str, total: u64) {
        self.bar.finish_and_clear();
        (self.total, self.said) = (total, Instant::now());
        name.clone_into(&mut self.stage);
        if self.terminal {
            self.bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{msg:28} [{bar:30}] {percent:>3}% {eta:>4}");
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_message(name.to_owned());
            self.bar.enable_steady_tick(Duration::from_millis(200));
        } else if !self.quiet {
            eprintln!("{name} ...");
        }
    }

    pub fn at(&mut self, done: u64) {
        self.bar.set_position(done);
        if !self.terminal && !self.quiet && self.said.elapsed() >= PLAIN_EVERY {
            eprintln!("{} ... {}%", self.stage, 100 * done / self.total.max(1));
            self.said = Instant::now();
        }
    }

    /// A line of text above the bar.
    pub fn say(&self, line: &str) {
        if self.terminal {
            self.bar.suspend(|| eprintln!("{line}"));
        } else if !self.quiet {
            eprintln!("{line}");
        }
    }

    pub fn done(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows one stage of `total` steps; `work` is given what it calls with the number of steps done.
    pub fn during<T>(
        mut self,
        stage: &str,
        total: usize,
        work: impl FnOnce(&mut dyn FnMut(usize)) -> T,
    ) -> T {
        self.stage(stage, total as u64);
        let result = work(&mut |done| self.at(done as u64));
        self.done();
        result
    }
}

/// A text from outside as one line of at most `most` characters, without control characters.
pub fn one_line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// Makes `println!` to a pipe that nobody reads any more end the program quietly instead of by a panic.
pub fn end_quietly_on_closed_pipes() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            exit(0);
        }
        usual(info);
    }));
}

/// The exit code of a command, its error said on standard error. A closed pipe is no failure.
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Only the plain I/O error of writing an answer is one: a closed connection is named with its context.
fn closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_cannot_drive_the_terminal() {
        assert_eq!(one_line(" a\n\tb\u{1b}[31mc ", 99), "a b[31mc");
        assert_eq!(one_line("abcdef", 3), "abc");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = anyhow::Error::from(io::Error::from(ErrorKind::BrokenPipe));
        assert_eq!(finish(Err(closed)), ExitCode::SUCCESS);
        assert_eq!(finish(Err(anyhow::anyhow!("no"))), ExitCode::FAILURE);
    }
}
