//! What `teach` reads: labelled rows, some of whose labels are set aside, unlabelled texts and a test file.

use super::options::TeachArgs;
use crate::data::conflicts::{Survey, short};
use crate::data::labelled::{Labelled, draw_labels, numbered, read_texts};
#[cfg(feature = "endpoint")]
use crate::teacher::features::start;
use anyhow::{Result, bail};
use qdllm_host::terminal::note;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};
#[cfg(feature = "endpoint")]
use std::path::Path;

/// All texts of a run, each once.
#[derive(Debug, Default)]
pub struct Texts {
    pub classes: Vec<String>,
    /// Texts whose label the teacher may know, with the class.
    pub known: Vec<(String, usize)>,
    /// Texts of the data file whose label was set aside, with the class.
    pub hidden: Vec<(String, usize)>,
    pub unlabelled: Vec<String>,
    pub test: Vec<(String, usize)>,
    pub skipped: u64,
    /// SHA-256 (hexadecimal) of texts that the teacher refused.
    pub refused: Vec<String>,
}

impl Texts {
    pub fn read(args: &TeachArgs) -> Result<Self> {
        let named = args.named()?.map_or_else(Vec::new, |classes| classes.names());
        let mut texts = Self { classes: named, ..Self::default() };
        let mut seen: HashSet<String> = HashSet::new();
        if !args.data.is_empty() {
            let rows = labelled_once(args, &mut texts.skipped)?;
            seen.extend(rows.iter().map(|(_, text)| text.clone()));
            texts.sort_out(rows, args)?;
        }
        for path in &args.unlabelled {
            for text in read_texts(path, &*args.rows, &mut texts.skipped)? {
                if seen.insert(text.clone()) {
                    texts.unlabelled.push(text);
                }
            }
        }
        if let Some(path) = &args.test {
            let taught: HashSet<&str> = texts.known.iter().map(|(text, _)| text.as_str()).collect();
            let rows = Labelled::read(path, &*args.rows, &mut texts.skipped)?;
            let (test, labels) = numbered(rows, path, &texts.classes, "the teacher")?;
            let overlap = test.iter().filter(|text| taught.contains(text.as_str())).count();
            if overlap > 0 {
                note(format_args!(
                    "warning: {overlap} test texts are among the labelled ones; the test accuracy is too good"
                ));
            }
            texts.test = test.into_iter().zip(labels).collect();
        }
        Ok(texts)
    }

    /// Sets labels aside as `--labels-per-class` and `--heldback` ask.
    fn sort_out(&mut self, rows: Vec<(String, String)>, args: &TeachArgs) -> Result<()> {
        let mut keep = match args.labels_per_class {
            Some(n) => draw_labels(&rows, n, args.label_draw),
            None => vec![true; rows.len()],
        };
        if let Some(share) = args.heldback {
            for (keep, (_, text)) in keep.iter_mut().zip(&rows) {
                *keep &= place(text) >= share;
            }
        }
        if self.classes.is_empty() {
            let kept = rows.iter().zip(&keep).filter(|(_, keep)| **keep);
            let names: BTreeSet<&String> = kept.map(|((label, _), _)| label).collect();
            self.classes = names.into_iter().cloned().collect();
        }
        for ((label, text), keep) in rows.into_iter().zip(keep) {
            match self.classes.iter().position(|c| *c == label) {
                Some(class) if keep => self.known.push((text, class)),
                Some(class) => self.hidden.push((text, class)),
                None => bail!(
                    "class `{label}` has no text left whose label is kept; lower --heldback or name it in --classes"
                ),
            }
        }
        Ok(())
    }

    /// The texts that get a soft label, in the order of the files: those of the data file, then the unlabelled.
    pub fn to_label(&self) -> Vec<&str> {
        let own = self.known.iter().chain(&self.hidden).map(|(text, _)| text.as_str());
        own.chain(self.unlabelled.iter().map(String::as_str)).collect()
    }

    /// Leaves out the texts that a teacher refuses, and names them; `file` lists them all.
    #[cfg(feature = "endpoint")]
    pub fn set_aside(&mut self, refused: &BTreeSet<String>, file: &Path) {
        let before = self.every().len();
        self.refused = refused
            .iter()
            .map(|text| qdllm_host::hex::encode(crate::data::text_digest(text)))
            .collect();
        self.unlabelled.retain(|text| !refused.contains(text));
        for rows in [&mut self.known, &mut self.hidden, &mut self.test] {
            rows.retain(|(text, _)| !refused.contains(text));
        }
        let gone = before - self.every().len();
        if gone > 0 {
            let starts: Vec<String> =
                refused.iter().take(3).map(|text| format!("`{}`", start(text))).collect();
            note(format_args!(
                "warning: the endpoint refuses {gone} texts, which get no label: {}; all stand in {} as `refused`",
                starts.join(", "),
                file.display()
            ));
        }
    }

    /// Those, and the texts of the test file.
    #[cfg(any(feature = "teacher", feature = "endpoint"))]
    pub fn every(&self) -> Vec<&str> {
        self.to_label().into_iter().chain(self.test.iter().map(|(text, _)| text.as_str())).collect()
    }

    /// The texts whose label the teacher may know, their classes, and the texts without such a label.
    pub fn to_learn(&self) -> (Vec<&str>, Vec<usize>, Vec<&str>) {
        let (labelled, labels) = apart(&self.known);
        let own = self.hidden.iter().map(|(text, _)| text.as_str());
        (labelled, labels, own.chain(self.unlabelled.iter().map(String::as_str)).collect())
    }
}

/// The labelled rows, each text once under the label that is chosen for it.
fn labelled_once(args: &TeachArgs, skipped: &mut u64) -> Result<Vec<(String, String)>> {
    let (mut rows, mut survey, mut seen) = (Vec::new(), Survey::default(), HashSet::new());
    for path in &args.data {
        for Labelled { line, label, text } in Labelled::read(path, &*args.rows, skipped)? {
            let (short, _) = survey.add(label.clone(), (path, line, &text));
            if seen.insert(short) {
                rows.push((label, text));
            }
        }
    }
    let (mut settled, said) = survey.settle(args.conflicts)?;
    said.into_iter().for_each(note);
    let label = |(first, text): (String, String)| {
        Some((settled.remove(&short(&text)).unwrap_or(Some(first))?, text))
    };
    Ok(rows.into_iter().filter_map(label).collect())
}

pub fn apart(rows: &[(String, usize)]) -> (Vec<&str>, Vec<usize>) {
    rows.iter().map(|(text, class)| (text.as_str(), *class)).unzip()
}

/// Where in [0, 1) a text falls when a share is held back.
fn place(text: &str) -> f64 {
    let hash = Sha256::new_with_prefix(b"qdllm held back").chain_update(text).finalize();
    let word = hash.iter().take(6).fold(0u64, |word, &byte| word << 8 | u64::from(byte));
    word as f64 / (1u64 << 48) as f64
}
