//! The texts of a run: labelled, unlabelled and validation files as one stream, read as often as
//! needed and never held in memory.

use crate::data::classes::check_names;
use crate::data::conflicts::{Settled, Short, Survey, short};
use crate::data::labelled::{class_of, rank};
use crate::data::soft::SoftLabels;
use crate::data::{Row, Rows, text_digest};
use crate::options::Sources;
use anyhow::{Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex::encode as hex;
use qdllm_host::terminal::Progress;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

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
    /// Texts that carry several labels.
    #[serde(default)]
    pub disputed: u64,
    /// Those of them that are left out, since no label was chosen.
    #[serde(default)]
    pub undecided: u64,
}

/// The files of a run, surveyed once.
#[derive(Debug)]
pub struct Corpus {
    sources: Sources,
    /// Class names in the order of the classes: the teacher's, or sorted.
    pub classes: Vec<String>,
    /// How many rows of the labelled files are of each class.
    pub counts: Vec<u64>,
    pub soft: Option<SoftLabels>,
    kept: Option<HashSet<[u8; 32]>>,
    /// The label of texts that carry several, none where the text is left out.
    settled: Settled,
    /// Share of the texts that validate, by their place.
    holdout: f64,
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
        let mut labels = Labels::new();
        for path in &sources.data {
            labels.read(path, sources, progress)?;
        }
        if sources.data.is_empty() && soft.is_none() {
            bail!(
                "nothing to learn from: give labelled texts (--data) or soft labels (--soft) with --unlabelled"
            );
        }
        labels.check(sources, soft.is_some())?;
        let (settled, said) = labels.survey.settle(sources.conflicts)?;
        let notes = said.into_iter().chain(labels.alike());
        notes.for_each(|line| progress.say(&line));
        let classes = match &soft {
            Some(soft) => soft.classes.clone(),
            None => {
                labels.survey.names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
            }
        };
        check_names(&classes)?;
        Ok(Self {
            sources: sources.clone(),
            counts: classes.iter().map(|class| labels.survey.count(class)).collect(),
            classes,
            kept: sources.labels_per_class.map(|_| labels.draws.into_values().flatten().collect()),
            holdout: holdout(sources, soft.is_some(), &labels.survey),
            settled,
            digest: hex(labels.digest.finalize()),
            soft,
        })
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
            for row in Rows::labelled(path, &sources.rows)? {
                held.insert(short(&row?.text));
            }
        }
        let whose = match (&sources.soft, sources.data.first()) {
            (Some(soft), _) => format!("the teacher's file {}", soft.display()),
            (None, Some(data)) => format!("the training file {}", data.display()),
            (None, None) => "nobody".into(),
        };
        let labelled = sources.data.iter().map(|path| (path, Origin::Labelled));
        let others = [(&sources.unlabelled, Origin::Unlabelled), (&sources.valid, Origin::Valid)];
        let others = others.into_iter().filter_map(|(path, origin)| Some((path.as_ref()?, origin)));
        for (path, origin) in labelled.chain(others) {
            let mut rows = match origin {
                Origin::Unlabelled => Rows::unlabelled(path, &sources.rows)?,
                _ => Rows::labelled(path, &sources.rows)?,
            };
            progress.stage(stage, rows.bytes_total);
            while let Some(Row { line, label, text }) = rows.next().transpose()? {
                progress.at(rows.bytes_read());
                let short = short(&text);
                let settled = self.settled.get(&short).filter(|_| origin == Origin::Labelled);
                let label = settled.map_or(label, Clone::clone);
                let class = label.map(|label| class_of(&label, &self.classes, path, line, &whose));
                let class = class.transpose()?;
                if origin != Origin::Valid && held.contains(&short) {
                    tally.leaked += 1;
                    continue;
                }
                if !seen.insert(short) {
                    tally.duplicates += 1;
                    continue;
                }
                tally.disputed += u64::from(settled.is_some());
                if let Some(None) = settled {
                    tally.undecided += 1;
                    continue;
                }
                let lost = |kept: &HashSet<_>| !kept.contains(&rank(sources.label_draw, &text));
                let hidden = origin == Origin::Labelled && self.kept.as_ref().is_some_and(lost);
                let label = class.filter(|_| !hidden);
                let teacher = self.soft.as_ref().and_then(|soft| soft.get(&text));
                let needs_teacher = origin != Origin::Valid && label.is_none();
                if needs_teacher && teacher.is_none() {
                    match &self.soft {
                        Some(soft) if !soft.teacher.refused.contains(&hex(text_digest(&text))) => {
                            missing.get_or_insert((path, line, 0_u64)).2 += 1;
                        }
                        _ => tally.unused += 1,
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
    fn part(&self, origin: Origin, labelled: bool, digest: &Short) -> Part {
        if origin == Origin::Valid {
            return Part::Valid;
        }
        let soft_only = self.soft.is_some()
            && (self.sources.unlabelled.is_some() || self.sources.labels_per_class.is_some());
        let candidate = self.sources.valid.is_none() && labelled != soft_only;
        if candidate && place(digest) < self.holdout { Part::Valid } else { Part::Train }
    }
}

/// Where in 0..1 a text falls by its digest.
fn place(digest: &Short) -> f64 {
    let (head, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*head) as f64 / u64::MAX as f64
}

/// The share held out; of so few labelled texts that it meets none, as much as holds one.
fn holdout(sources: &Sources, taught: bool, survey: &Survey) -> f64 {
    let share = sources.holdout;
    let others = taught && (sources.unlabelled.is_some() || sources.labels_per_class.is_some());
    let first = survey.texts().map(place).min_by(f64::total_cmp);
    match first.filter(|_| share > 0.0 && !others) {
        Some(first) if first >= share => first.next_up(),
        _ => share,
    }
}

/// What a survey of the labelled files finds.
struct Labels {
    digest: Sha256,
    draws: BTreeMap<u32, BTreeSet<[u8; 32]>>,
    survey: Survey,
}

impl Labels {
    fn new() -> Self {
        Self { digest: Sha256::new(), draws: BTreeMap::new(), survey: Survey::default() }
    }

    fn read(&mut self, path: &Path, sources: &Sources, progress: &mut Progress) -> Result<()> {
        let mut rows = Rows::labelled(path, &sources.rows)?;
        progress.stage("reading labels", rows.bytes_total);
        while let Some(Row { line, label, text }) = rows.next().transpose()? {
            progress.at(rows.bytes_read());
            let label = label.unwrap_or_default();
            self.digest.update(format!("{label}\t{text}\n"));
            let (_, number) = self.survey.add(label, (path, line, &text));
            if let Some(most) = sources.labels_per_class {
                let best = self.draws.entry(number).or_default();
                best.insert(rank(sources.label_draw, &text));
                if best.len() > most {
                    best.pop_last();
                }
            }
        }
        check_names(&self.survey.names).of_file(path)
    }

    /// Refuses one class, where there is no teacher to name others, and too many.
    fn check(&self, sources: &Sources, taught: bool) -> Result<()> {
        let Some(path) = sources.data.first().map(|path| path.display()) else { return Ok(()) };
        let names = &self.survey.names;
        let (found, most) = (names.len(), qdllm_runtime::MAX_CLASSES);
        if let (Some(label), true, false) = (names.first(), found == 1, taught) {
            bail!(
                "{path}: every row has the label `{label}`; a classifier needs texts of at least 2 classes"
            );
        }
        ensure!(
            found <= most,
            "{path}: {found} different labels; a model has at most {most}. Is the label in the first column?"
        );
        Ok(())
    }

    /// Labels that differ only by case or white space.
    fn alike(&self) -> Option<String> {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for name in &self.survey.names {
            let plain: String = name.split_whitespace().collect();
            groups.entry(plain.to_lowercase()).or_default().push(name);
        }
        let alike = groups.values().filter(|names| names.len() > 1);
        let alike: Vec<_> = alike.map(|names| format!("`{}`", names.join("`, `"))).collect();
        let said = "labels that differ only by case or white space, each a class of its own";
        (!alike.is_empty()).then(|| format!("warning: {said}: {}", alike.join("; ")))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Labelled,
    Unlabelled,
    Valid,
}
