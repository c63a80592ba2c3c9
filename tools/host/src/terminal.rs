//! What a person at a terminal sees, and the one writer of standard output and of standard error: answers, progress
//! with the time left, errors. Nothing foreign drives the terminal, a closed pipe ends quietly, a full disk is an error.

use crate::errors::{WrongUse, chain};
use indicatif::{ProgressBar, ProgressStyle};
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether a result file goes to standard output; answers then go to standard error.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Says that standard output carries a result file.
pub fn take_output() {
    TAKEN.store(true, Ordering::Relaxed);
}

/// Why standard output could not be written; its kind is the [`io::Error`]'s around it.
#[derive(Debug)]
struct Unwritten(io::Error);

impl Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard output cannot be written: {}", self.0)
    }
}

impl Error for Unwritten {}

/// Where answers go.
struct Standard {
    aside: bool,
}

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written =
            if self.aside { io::stderr().write(bytes) } else { io::stdout().write(bytes) };
        written.map_err(|e| io::Error::new(e.kind(), Unwritten(e)))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = if self.aside { io::stderr().flush() } else { io::stdout().flush() };
        flushed.map_err(|e| io::Error::new(e.kind(), Unwritten(e)))
    }
}

/// Passes on text in which control characters, and those that turn the direction of writing, stand as JSON writes them
/// (`\u001b`); line ends and tabs stay.
struct Escaped<W> {
    to: W,
    /// A character that has not come whole.
    begun: Vec<u8>,
}

impl<W: Write> Escaped<W> {
    fn new(to: W) -> Self {
        Self { to, begun: Vec::new() }
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            _ => self.begun.len(),
        };
        let text: Vec<u8> = self.begun.drain(..whole).collect();
        self.to.write_all(escaped(&String::from_utf8_lossy(&text)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn drives(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() && !matches!(c, '\n' | '\t')
}

/// A text as it may be shown.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(drives) {
        return text.into();
    }
    let one = |c: char| if drives(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(one).collect::<String>().into()
}

/// The writer of answers. It must be flushed.
pub fn output() -> impl Write {
    Escaped::new(BufWriter::new(Standard { aside: TAKEN.load(Ordering::Relaxed) }))
}

/// Writes an answer and ends its last line.
pub fn say(answer: impl Display) -> anyhow::Result<()> {
    let text = answer.to_string();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = output();
    write!(out, "{text}{end}")?;
    Ok(out.flush()?)
}

/// Writes bytes to standard output as they are: a result file, or what the program itself is the author of.
pub fn unescaped(bytes: &[u8]) -> io::Result<()> {
    let mut out = Standard { aside: false };
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a line to standard error; where nobody reads it, nothing is lost.
pub fn note(line: impl Display) {
    let _ = writeln!(aside(), "{line}");
}

/// As [`note`], the same line once only: files are read more than once.
pub fn note_once(line: String) {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&line) {
        note(&line);
        said.push(line);
    }
}

/// Standard error, for a conversation.
pub fn aside() -> impl Write {
    Escaped::new(io::stderr())
}

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
    began: Instant,
    /// What was done when the first step was counted, which an earlier run may have done.
    from: Option<u64>,
    said: Instant,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal() && !quiet;
        let bar = ProgressBar::hidden();
        let now = Instant::now();
        let stage = String::new();
        Self { bar, terminal, quiet, stage, total: 0, began: now, from: None, said: now }
    }

    pub fn stage(&mut self, name: &str, total: u64) {
        self.bar.finish_and_clear();
        (self.total, self.began, self.from) = (total, Instant::now(), None);
        self.said = self.began;
        name.clone_into(&mut self.stage);
        if self.terminal {
            self.bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{msg:28} [{bar:30}] {percent:>3}% {eta:>4}");
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_message(escaped(name).into_owned());
            self.bar.enable_steady_tick(Duration::from_millis(200));
        } else if !self.quiet {
            note(format_args!("{name} ..."));
        }
    }

    pub fn at(&mut self, done: u64) {
        self.bar.set_position(done);
        let from = *self.from.get_or_insert(done);
        if !self.terminal && !self.quiet && self.said.elapsed() >= PLAIN_EVERY {
            // How long a pipe or a packed file is nobody knows.
            let share = (100 * done).checked_div(self.total);
            let made = done.saturating_sub(from).max(1);
            let left = self.total.saturating_sub(done) as f64 / made as f64;
            let left = about(self.began.elapsed().as_secs_f64() * left);
            let share = share.map_or(String::new(), |share| format!(" {share}%, {left} left"));
            note(format_args!("{} ...{share}", self.stage));
            self.said = Instant::now();
        }
    }

    /// A line of text above the bar.
    pub fn say(&self, line: &str) {
        if self.terminal {
            self.bar.suspend(|| note(line));
        } else if !self.quiet {
            note(line);
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
        work: impl FnOnce(&mut (dyn FnMut(usize) + Send)) -> T,
    ) -> T {
        self.stage(stage, total as u64);
        let result = work(&mut |done| self.at(done as u64));
        self.done();
        result
    }
}

/// A time in words, without more digits than it is known to.
pub fn about(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("about {s:.0} s"),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    }
}

/// Characters of a line of standard output: the terminal's, or 80.
pub fn width() -> usize {
    let size = console::Term::stdout().size_checked();
    size.map_or(80, |(_, columns)| columns.into())
}

/// A text from outside as one line of at most `most` characters, without control characters.
pub fn one_line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// The exit code of a command, its error said on standard error: 1 where the work failed, 2 after wrong use. A closed
/// pipe is no failure.
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if closed_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    note(format_args!("error: {}", chain(error.as_ref())));
    ExitCode::from(if error.chain().any(<dyn Error>::is::<WrongUse>) { 2 } else { 1 })
}

/// Only of standard output: a connection that was closed is a failure.
fn closed_pipe(error: &anyhow::Error) -> bool {
    let mut written = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    written.any(|e| {
        e.kind() == ErrorKind::BrokenPipe
            && e.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Unwritten>)
    })
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
    fn what_drives_a_terminal_is_shown_as_json_writes_it() {
        assert_eq!(
            escaped("a\n\tb \u{1b}[31m\u{9b}\r\u{202e}é"),
            "a\n\tb \\u001b[31m\\u009b\\u000d\\u202eé"
        );
        let mut out = Escaped::new(Vec::new());
        "a\u{7}é".as_bytes().chunks(1).for_each(|byte| out.write_all(byte).unwrap());
        assert_eq!(out.to, "a\\u0007é".as_bytes());
    }

    #[test]
    fn only_a_closed_standard_output_is_no_failure() {
        let closed = || io::Error::from(ErrorKind::BrokenPipe);
        let output = io::Error::new(ErrorKind::BrokenPipe, Unwritten(closed()));
        assert_eq!(finish(Err(output.into())), ExitCode::SUCCESS);
        assert_eq!(
            finish(Err(anyhow::Error::from(closed()).context("the board"))),
            ExitCode::FAILURE
        );
        assert_eq!(finish(Err(crate::errors::wrong_use("no"))), ExitCode::from(2));
    }
}
