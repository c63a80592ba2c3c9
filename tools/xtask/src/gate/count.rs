//! Counts tests from what test runners print.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// Tests that passed, failed or did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that held.
    pub passed: u32,
    /// Tests that did not.
    pub failed: u32,
    /// Tests that did not run.
    pub skipped: u32,
}

impl Counts {
    /// `count` tests that held.
    pub fn passed(count: u32) -> Self {
        Self { passed: count, ..Self::default() }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Tests that ran.
    pub fn ran(self) -> u32 {
        self.passed + self.failed
    }

    /// Adds what one line of a runner's output reports: the summary of cargo-nextest or a result
    /// line of libtest. Other lines add nothing.
    fn read(&mut self, line: &str) {
        let line = line.trim_start();
        let (list, separator) = if let Some(rest) = line.strip_prefix("test result:") {
            (rest.split_once(". ").map_or("", |(_, list)| list), ';')
        } else if line.starts_with("Summary [") {
            (line.split_once(" run: ").map_or("", |(_, list)| list), ',')
        } else {
            return;
        };
        for part in list.split(separator) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<u32>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("skipped" | "ignored") => self.skipped += count,
                _ => {}
            }
        }
    }
}

/// Runs a test runner, shows what it says as it says it, and counts; the second value says whether
/// it ended with 0.
///
/// # Errors
/// When it cannot start.
pub fn watch(mut command: Command, shown: &str) -> Result<(Counts, bool)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let output = child.stdout.take().context("the output is a pipe")?;
    let errors = child.stderr.take().context("the output is a pipe")?;
    // One of the two streams carries the counts, depending on the runner.
    let other = std::thread::spawn(move || relay(errors));
    let mut counts = relay(output);
    counts.add(other.join().unwrap_or_default());
    Ok((counts, child.wait()?.success()))
}

/// Copies a stream to the error stream, line by line, and counts.
fn relay(stream: impl Read) -> Counts {
    let mut counts = Counts::default();
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        counts.read(&line);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::Counts;

    fn counted(lines: &[&str]) -> (u32, u32, u32) {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.read(line));
        (counts.passed, counts.failed, counts.skipped)
    }

    #[test]
    fn libtest_lines_add_up() {
        let lines = [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        assert_eq!(counted(&lines), (4, 2, 1));
    }

    #[test]
    fn nextest_summaries_are_read() {
        assert_eq!(
            counted(&["     Summary [   0.1s] 12 tests run: 12 passed, 3 skipped"]),
            (12, 0, 3)
        );
        let failing =
            "     Summary [   7.2s] 5/9 tests run: 3 passed (1 slow), 2 failed, 4 skipped";
        assert_eq!(counted(&[failing]), (3, 2, 4));
    }

    #[test]
    fn a_test_that_prints_numbers_counts_nothing() {
        assert_eq!(counted(&["7 passed, 3 failed", "summary: 1 passed"]), (0, 0, 0));
    }
}
