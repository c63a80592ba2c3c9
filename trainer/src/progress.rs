//! Progress of long work: a bar on a terminal, plain lines otherwise; always on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds between two plain lines of one stage.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shows one stage of work at a time.
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
    /// Progress on standard error; with `quiet` nothing is shown.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
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
}
