//! The texts of a run: labelled, unlabelled and validation files as one stream, read as often as
//! needed and never held in memory.

use crate::data::labelled::{class_of, rank};
use crate::data::soft::SoftLabels;
use crate::data::{Row, Rows, text_digest};
use crate::options::Sources;
use anyhow::{Result, bail, ensure};
use qdllm_host::hex::encode as hex;
use qdllm_host::terminal::Progress;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Whether a text trains the student or judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Train,
    Valid,
}

#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    pub part: Part,
    /// Its class, if it has a label that is not hidden.
    pub label: Option<usize>,
    pub teacher: Option<&'t [f32]>,
    pub text: &'t str,
}

/// What a pass over the corpus saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub labelled: u64,
    pub soft_only: u64,
    pub valid: u64,
    /// Texts left out because the same text came before.
    pub duplicates: u64,
    /// Training texts left out because validation holds them.
    pub leaked: u64,
    /// Texts whose label is hidden and for which no teacher speaks.
    pub unused: u64,
    pub skipped: u64,
}

/// The files of a run, surveyed once.
#[derive(Debug)]
pub struct Corpus {
    sources: Sources,
    /// Class names in the order of the classes: the teacher's, or sorted.
    pub classes: Vec<String>,
    pub soft: Option<SoftLabels>,
    kept: Option<HashSet<[u8; 32]>>,
    /// SHA-256 (hexadecimal) over the labelled rows, `label TAB text LF`.
    pub digest: String,
}

impl Corpus {
    /// Reads the soft labels and surveys the labelled file: classes, label draw, digest.
    pub fn open(sources: &Sources, progress: &mut Progress) -> Result<Self> {
        let open = |path| SoftLabels::open(path, sources);
        let soft = sources.soft.as_deref().map(open).transpose()?;
        if let (Some(path), None) = (&sources.unlabelled, &soft) {
            bail!(
                "{}: unlabelled texts teach nothing without a teacher; make soft labels with `qdllm teach` and give them as --soft",
                path.display()
            );
        }
        let mut digest = Sha256::new();
        let mut labels: BTreeSet<String> = BTreeSet::new();
        let mut draws: BTreeMap<String, BTreeSet<[u8; 32]>> = BTreeMap::new();
        if let Some(path) = &sources.data {
            let mut rows = Rows::labelled(path, sources.bad_rows)?;
            progress.stage("reading labels", rows.bytes_total);
            while let Some(row) = rows.next().transpose()? {
                progress.at(rows.bytes_read());
                let label = row.label.unwrap_or_default();
                digest.update(format!("{label}\t{}\n", row.text));
                if let Some(most) = sources.labels_per_class {
                    let best = draws.entry(label.clone()).or_default();
                    best.insert(rank(sources.label_draw, &row.text));
                    if best.len() > most {
                        best.pop_last();
                    }
                }
                labels.insert(label);
            }
            let (path, found, most) = (path.display(), labels.len(), qdllm_runtime::MAX_CLASSES);
            if let (Some(label), true, None) = (labels.first(), found == 1, &soft) {
                bail!(
                    "{path}: every row has the label `{label}`; a classifier needs texts of at least 2 classes"
                );
            }
            ensure!(
                found <= most,
                "{path}: {found} different labels; a model has at most {most}. Is the label in the first column?"
            );
        } else if soft.is_none() {
            bail!(
                "nothing to learn from: give labelled texts (--data) or soft labels (--soft) with --unlabelled"
            );
        }
        let classes = match &soft {
            Some(soft) => soft.classes.clone(),
            None => labels.into_iter().collect(),
        };
        let kept = sources.labels_per_class.map(|_| draws.into_values().flatten().collect());
        let digest = hex(digest.finalize());
        Ok(Self { sources: sources.clone(), classes, soft, kept, digest })
    }

    /// Gives every text once, training files first; the same stream at every call.
    pub fn each(
        &self,
        stage: &str,
        progress: &mut Progress,
        mut visit: impl FnMut(Text<'_>),
    ) -> Result<Tally> {
        let sources = &self.sources;
        let (mut tally, mut missing) = (Tally::default(), None);
        let (mut seen, mut held) = (HashSet::new(), HashSet::new());
        if let Some(path) = &sources.valid {
            for row in Rows::labelled(path, sources.bad_rows)? {
                held.insert(short(&row?.text));
            }
        }
        let whose = match (&sources.soft, &sources.data) {
            (Some(soft), _) => format!("the teacher's file {}", soft.display()),
            (None, Some(data)) => format!("the training file {}", data.display()),
            (None, None) => "nobody".into(),
        };
        for (path, origin) in [
            (&sources.data, Origin::Labelled),
            (&sources.unlabelled, Origin::Unlabelled),
            (&sources.valid, Origin::Valid),
        ] {
            let Some(path) = path else { continue };
            let mut rows = match origin {
                Origin::Unlabelled => Rows::unlabelled(path, sources.bad_rows)?,
                _ => Rows::labelled(path, sources.bad_rows)?,
            };
            progress.stage(stage, rows.bytes_total);
            while let Some(Row { line, label, text }) = rows.next().transpose()? {
                progress.at(rows.bytes_read());
                let class = label.map(|label| class_of(&label, &self.classes, path, line, &whose));
                let (class, short) = (class.transpose()?, short(&text));
                if origin != Origin::Valid && held.contains(&short) {
                    tally.leaked += 1;
                    continue;
                }
                if !seen.insert(short) {
                    tally.duplicates += 1;
                    continue;
                }
                let lost = |kept: &HashSet<_>| !kept.contains(&rank(sources.label_draw, &text));
                let hidden = origin == Origin::Labelled && self.kept.as_ref().is_some_and(lost);
                let label = class.filter(|_| !hidden);
                let teacher = self.soft.as_ref().and_then(|soft| soft.get(&text));
                let needs_teacher = origin != Origin::Valid && label.is_none();
                if needs_teacher && teacher.is_none() {
                    match &self.soft {
                        Some(_) => missing.get_or_insert((path, line, 0_u64)).2 += 1,
                        None => tally.unused += 1,
                    }
                    continue;
                }
                let part = self.part(origin, label.is_some(), &short);
                *match (part, label) {
                    (Part::Valid, _) => &mut tally.valid,
                    (Part::Train, Some(_)) => &mut tally.labelled,
                    (Part::Train, None) => &mut tally.soft_only,
                } += 1;
                visit(Text { part, label, teacher, text: &text });
            }
            tally.skipped += rows.skipped;
            progress.done();
        }
        if let (Some((path, line, missing)), Some(soft)) = (missing, &sources.soft) {
            bail!(
                "{}: holds no soft label for the text at {}:{line} ({missing} texts have none). Soft labels belong to the texts that they were made for: run `qdllm teach` on these files",
                soft.display(),
                path.display()
            );
        }
        let (train, valid) = (tally.labelled + tally.soft_only, tally.valid);
        let part = if train == 0 { "training" } else { "validation" };
        ensure!(
            train > 0 && valid > 0,
            "no text is left for {part}: {} different texts, holdout {}. Give more texts, a --valid file, or another --holdout",
            train + valid,
            sources.holdout
        );
        Ok(tally)
    }

    /// Validation texts: the validation file's, else a share of the texts by their digest - of those
    /// that only the teacher speaks for where there are any, since labels are then few.
    fn part(&self, origin: Origin, labelled: bool, digest: &[u8; 16]) -> Part {
        if origin == Origin::Valid {
            return Part::Valid;
        }
        let soft_only = self.soft.is_some()
            && (self.sources.unlabelled.is_some() || self.sources.labels_per_class.is_some());
        let candidate = self.sources.valid.is_none() && labelled != soft_only;
        let (head, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let place = u64::from_le_bytes(*head) as f64 / u64::MAX as f64;
        if candidate && place < self.sources.holdout { Part::Valid } else { Part::Train }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Labelled,
    Unlabelled,
    Valid,
}

/// Half a digest: enough to tell a billion texts apart, half the memory.
fn short(text: &str) -> [u8; 16] {
    *text_digest(text).first_chunk().unwrap_or(&[0; 16])
}
