//! How a step of the gate ended: counts of tests, from what test runners print.

use crate::shell::Run;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

const IGNORED: &str = "marked with `ignore`";

#[derive(Debug, Default)]
pub struct Counts {
    pub passed: u32,
    pub failed: u32,
    /// Why some did not run, and how many.
    pub skipped: BTreeMap<String, u32>,
    /// Why a step failed that names no failed tests.
    pub error: Option<String>,
}

/// Whose report is read. Nextest repeats what a failed test printed, and so libtest's report of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    Nextest,
    Libtest,
}

impl Counts {
    pub fn passed(passed: u32) -> Self {
        Self { passed, ..Self::default() }
    }

    pub fn skip(mut self, count: u32, why: impl Into<String>) -> Self {
        *self.skipped.entry(why.into()).or_default() += count;
        self
    }

    pub fn skipped(&self) -> u32 {
        self.skipped.values().sum()
    }

    /// With another step's, or another stream's.
    pub fn add(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        other.skipped.into_iter().fold(self, |sum, (why, count)| sum.skip(count, why))
    }

    /// Runs a test runner, shows what it says as it says it, and counts. One that fails without naming a
    /// failed test has not even built.
    pub fn of(runner: Runner, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot start `{}`", command.shown()))?;
        let output = child.stdout.take().context("the output is a pipe")?;
        let errors = child.stderr.take().context("the output is a pipe")?;
        // One of the two streams carries the counts, depending on the runner.
        let other = std::thread::spawn(move || Self::relay(runner, errors));
        let mut counts = Self::relay(runner, output).add(other.join().unwrap_or_default());
        // A test that says that it could not run has passed as far as its runner knows.
        let ignored = counts.skipped.get(IGNORED).copied().unwrap_or_default();
        counts.passed = counts.passed.saturating_sub(counts.skipped() - ignored);
        if !child.wait()?.success() && counts.failed == 0 {
            bail!("`{}` failed", command.shown());
        }
        Ok(counts)
    }

    /// Copies a stream to the error stream, line by line, and counts.
    fn relay(runner: Runner, stream: impl Read) -> Self {
        let lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
        lines.fold(Self::default(), |counts, line| {
            let line = String::from_utf8_lossy(&line);
            eprintln!("{line}");
            counts.read(runner, &line)
        })
    }

    /// Adds what one line of a runner's output reports, and each line in which a test says that it
    /// could not run. What a filter left out counts nowhere: another step runs it.
    fn read(mut self, runner: Runner, line: &str) -> Self {
        let line = line.trim_start();
        if let Some(why) = line.strip_prefix("SKIPPED ") {
            self = self.skip(1, why);
        }
        let (start, before, separator) = match runner {
            Runner::Libtest => ("test result:", ". ", ';'),
            Runner::Nextest => ("Summary [", " run: ", ','),
        };
        let list = line.strip_prefix(start).and_then(|rest| rest.split_once(before));
        for part in list.map_or("", |(_, list)| list).split(separator) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<u32>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += count,
                // Nextest counts what took too long, or did not start, apart.
                Some("failed" | "timed" | "exec") => self.failed += count,
                Some("ignored") if count > 0 => self = self.skip(count, IGNORED),
                _ => {}
            }
        }
        self
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, .. } = *self;
        match (&self.error, passed, failed, self.skipped()) {
            (Some(error), ..) => write!(f, "FAILED: {error}"),
            (None, _, 1.., _) => write!(f, "FAILED, {failed} of {} tests", passed + failed),
            (None, 0, 0, 1..) => write!(f, "skipped"),
            (None, 1, 0, 0) => write!(f, "ok"),
            (None, _, 0, 0) => write!(f, "ok, {passed} tests"),
            (None, _, 0, skipped) => write!(f, "ok, {passed} tests, {skipped} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Runner};

    fn counted(runner: Runner, lines: &[&str]) -> (u32, u32, u32) {
        let read = |counts: Counts, line: &&str| counts.read(runner, line);
        let counts = lines.iter().fold(Counts::default(), read);
        (counts.passed, counts.failed, counts.skipped())
    }

    #[test]
    fn libtest_lines_add_up() {
        let lines = [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        assert_eq!(counted(Runner::Libtest, &lines), (4, 2, 1));
    }

    #[test]
    fn nextest_summaries_are_read() {
        let passing = "     Summary [   0.1s] 12 tests run: 12 passed, 3 skipped";
        assert_eq!(counted(Runner::Nextest, &[passing]), (12, 0, 0));
        let failing =
            "     Summary [   7.2s] 5/9 tests run: 3 passed (1 slow), 2 failed, 4 skipped";
        assert_eq!(counted(Runner::Nextest, &[failing]), (3, 2, 0));
    }

    #[test]
    fn a_failing_test_is_counted_once() {
        let lines = [
            "        FAIL [   0.004s] qdllm-tests::all circuit::holds",
            "  stdout ---",
            "    running 1 test",
            "    test circuit::holds ... FAILED",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s",
            "     Summary [   0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped",
        ];
        assert_eq!(counted(Runner::Nextest, &lines), (1, 1, 0));
    }

    #[test]
    fn what_could_not_run_is_named_and_counted() {
        let line = "    SKIPPED pico: npm is missing; run: cargo xtask setup";
        assert_eq!(counted(Runner::Nextest, &[line]), (0, 0, 1));
    }

    #[test]
    fn a_test_that_prints_numbers_counts_nothing() {
        let lines = ["7 passed, 3 failed", "summary: 1 passed"];
        assert_eq!(counted(Runner::Libtest, &lines), (0, 0, 0));
        assert_eq!(counted(Runner::Nextest, &lines), (0, 0, 0));
    }
}
