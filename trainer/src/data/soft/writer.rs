//! Writes a soft label file row by row and takes up one that was left unfinished.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex;

use super::{
    Header, NO_HEADER, TeacherInfo, VERSION, check_classes, check_logits, lines_of, next_row,
    text_digest,
};

/// Appends rows to a soft label file.
///
/// Every row is handed to the system in one write as soon as it is appended, so a run that is
/// ended at any moment loses at most the row it was writing; [`SoftWriter::flush`] also waits for
/// the disk.
#[derive(Debug)]
pub struct SoftWriter {
    path: PathBuf,
    file: File,
    classes: usize,
    done: HashSet<[u8; 32]>,
}

impl SoftWriter {
    /// Creates the file, or takes up an existing one that has the same header.
    ///
    /// The same header means the same classes in the same order and the same teacher (name, digest
    /// and method; the command may differ). A last line without a line end is half a row of a run
    /// that was ended, and is dropped.
    /// An existing file that is damaged before its last line or has another header is left as it was.
    pub fn open(path: &Path, classes: &[String], teacher: &TeacherInfo) -> Result<Self> {
        let name = path.display();
        check_classes(classes).map_err(|what| anyhow!("{name}: cannot be written: {what}"))?;
        let (classes, teacher) = (classes.to_vec(), teacher.clone());
        let header = Header { qdllm_soft: VERSION, classes, teacher };
        let first = serde_json::to_string(&header)? + "\n";
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|e| {
            anyhow!(
                "{name}: cannot open the soft label file: {e}; check the path and its permissions"
            )
        })?;
        let classes = header.classes.len();
        let mut writer = Self { path: path.into(), file, classes, done: HashSet::new() };
        let whole = writer.take_up(&header, &first)?;
        let cut = writer.file.set_len(whole);
        let end = cut.and_then(|()| writer.file.seek(SeekFrom::End(0)));
        if end.map_err(|e| writer.failed(&e))? == 0 {
            writer.write(first.as_bytes())?;
        }
        Ok(writer)
    }

    /// Writes a whole file: the logits that are known, then what `ask` says of the other texts. It has the name `partial`
    /// until it is whole; what an earlier run of the same teacher left there is taken up, and of another it is of no use.
    pub fn whole<'a>(
        [partial, out]: [&Path; 2],
        (classes, teacher): (&[String], &TeacherInfo),
        known: impl Iterator<Item = (&'a str, &'a Vec<f32>)>,
        texts: &[&str],
        ask: impl FnMut(&[&str]) -> Result<Vec<Vec<f32>>>,
    ) -> Result<()> {
        let mut writer = match Self::open(partial, classes, teacher) {
            Err(_) if partial.is_file() => {
                std::fs::remove_file(partial).of_file(partial)?;
                Self::open(partial, classes, teacher)?
            }
            opened => opened?,
        };
        for (text, logits) in known {
            writer.append(text, logits)?;
        }
        writer.append_all(texts, ask)?;
        std::fs::rename(partial, out).of_file(out)
    }

    /// Reads what is there already; returns how many bytes of it to keep.
    fn take_up(&mut self, wanted: &Header, first: &str) -> Result<u64> {
        let mut lines = lines_of(&self.path)?;
        let any = lines.next_row()?;
        // Ended within the first write? Then the file is a beginning of our own header.
        if !any || lines.torn && first.as_bytes().starts_with(&lines.buffer) {
            return Ok(0);
        }
        let found = if lines.torn { Ok(None) } else { Header::parse(&lines.buffer) };
        let found = found.and_then(|found| found.ok_or_else(|| NO_HEADER.to_owned()));
        let found = found.map_err(|what| lines.error(what))?;
        let quote = |text: &String| format!("`{text}`");
        let list = |names: &[String]| names.iter().map(quote).collect::<Vec<_>>().join(", ");
        let (old, new) = (&found.teacher, &wanted.teacher);
        for (field, found, wanted) in [
            ("classes", list(&found.classes), list(&wanted.classes)),
            ("teacher.name", quote(&old.name), quote(&new.name)),
            ("teacher.digest", quote(&old.digest), quote(&new.digest)),
            ("teacher.method", quote(&old.method), quote(&new.method)),
        ] {
            if found != wanted {
                bail!(
                    "{}:1: header field `{field}` is {found}, this run has {wanted}; give another output file, or delete this one to start again",
                    self.path.display()
                );
            }
        }
        loop {
            let row = next_row(&mut lines, self.classes);
            if lines.torn {
                return Ok(lines.whole);
            }
            match row? {
                Some((digest, _)) => self.done.insert(digest),
                None => return Ok(lines.whole),
            };
        }
    }

    /// Whether a text's logits are in the file already.
    pub fn contains(&self, text: &str) -> bool {
        self.done.contains(&text_digest(text))
    }

    /// Number of different texts in the file.
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Adds a text's logits, one a class, written with at most four decimals. A text that is in
    /// the file already is left as it is; returns whether a row was added.
    pub fn append(&mut self, text: &str, logits: &[f32]) -> Result<bool> {
        check_logits(logits, self.classes)
            .map_err(|what| anyhow!("{}: cannot be written: {what}", self.path.display()))?;
        let digest = text_digest(text);
        if self.done.contains(&digest) {
            return Ok(false);
        }
        let logits: Vec<String> = logits.iter().map(|&x| decimal(x)).collect();
        let (hex, logits) = (hex::encode(digest), logits.join(","));
        self.write(format!("{{\"text_sha256\":\"{hex}\",\"logits\":[{logits}]}}\n").as_bytes())?;
        self.done.insert(digest);
        Ok(true)
    }

    /// Adds what `ask` says of the texts that are not in the file yet, a thousand at a time; waits for the disk.
    pub fn append_all(
        &mut self,
        texts: &[&str],
        mut ask: impl FnMut(&[&str]) -> Result<Vec<Vec<f32>>>,
    ) -> Result<()> {
        for chunk in texts.chunks(1024) {
            let open: Vec<&str> = chunk.iter().copied().filter(|t| !self.contains(t)).collect();
            for (text, logits) in open.iter().zip(ask(&open)?) {
                self.append(text, &logits)?;
            }
        }
        self.flush()
    }

    /// Waits until all rows are on the disk.
    pub fn flush(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.failed(&e))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| self.failed(&e))
    }

    fn failed(&self, reason: &io::Error) -> anyhow::Error {
        anyhow!(
            "{}: writing failed: {reason}; make room and run the same command again, it goes on where it stopped",
            self.path.display()
        )
    }
}

/// A finite number rounded to four decimals, without trailing zeros.
fn decimal(x: f32) -> String {
    let rounded = (f64::from(x) * 1e4).round() / 1e4;
    // Adding zero turns -0 into 0.
    format!("{}", rounded + 0.0)
}
