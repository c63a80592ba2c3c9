//! Progress of long work: a bar on a terminal, plain lines otherwise; always on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Shows one stage of work at a time.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    quiet: bool,
}

impl Progress {
    /// Progress on standard error; with `quiet` nothing is shown.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        Self { bar: ProgressBar::hidden(), terminal, quiet }
    }

    /// Begins a stage of `total` steps.
    pub fn stage(&mut self, name: &str, total: u64) {
        self.bar.finish_and_clear();
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

    /// Steps done of the stage.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// A line of text above the bar.
    pub fn say(&self, line: &str) {
        if self.terminal {
            self.bar.println(line);
            if self.bar.is_hidden() {
                eprintln!("{line}");
            }
        } else if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Ends the stage.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}
