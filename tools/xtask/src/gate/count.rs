//! How a step ended: counts of tests, from what test runners print.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
}

/// Whose report is read. Nextest repeats what a failed test printed, and so libtest's report of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    Nextest,
    Libtest,
}

impl Counts {
    pub fn passed(count: u32) -> Self {
        Self { passed: count, ..Self::default() }
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    pub fn ran(self) -> u32 {
        self.passed + self.failed
    }

    /// Adds what one line of a runner's output reports, and each line in which a test says that it
    /// could not run. What a filter left out counts nowhere: another step runs it.
    fn read(&mut self, runner: Runner, line: &str) {
        let line = line.trim_start();
        if line.starts_with("SKIPPED ") {
            self.skipped += 1;
        }
        let (list, separator) = match runner {
            Runner::Libtest => {
                let Some(rest) = line.strip_prefix("test result:") else { return };
                (rest.split_once(". ").map_or("", |(_, list)| list), ';')
            }
            Runner::Nextest => {
                if !line.starts_with("Summary [") {
                    return;
                }
                (line.split_once(" run: ").map_or("", |(_, list)| list), ',')
            }
        };
        for part in list.split(separator) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<u32>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.skipped += count,
                _ => {}
            }
        }
    }
}

/// How a step that did not fail ended.
pub enum Outcome {
    /// It held; the tests that it ran, none for a plain check.
    Done(Counts),
    /// It could not run here, and why.
    Skipped(String),
}

/// A check that held and has no single tests.
pub fn done() -> Result<Outcome> {
    Ok(Outcome::Done(Counts::default()))
}

/// Runs a test runner, shows what it says as it says it, and counts; the second value says whether
/// it ended with 0.
pub fn watch(runner: Runner, mut command: Command, shown: &str) -> Result<(Counts, bool)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let output = child.stdout.take().context("the output is a pipe")?;
    let errors = child.stderr.take().context("the output is a pipe")?;
    // One of the two streams carries the counts, depending on the runner.
    let other = std::thread::spawn(move || relay(runner, errors));
    let mut counts = relay(runner, output);
    counts.add(other.join().unwrap_or_default());
    // A test that could not run has passed as far as its runner knows.
    counts.passed -= counts.skipped.min(counts.passed);
    Ok((counts, child.wait()?.success()))
}

/// Copies a stream to the error stream, line by line, and counts.
fn relay(runner: Runner, stream: impl Read) -> Counts {
    let mut counts = Counts::default();
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        counts.read(runner, &line);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Counts, Runner};

    fn counted(runner: Runner, lines: &[&str]) -> (u32, u32, u32) {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.read(runner, line));
        (counts.passed, counts.failed, counts.skipped)
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
