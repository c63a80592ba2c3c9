//! The tasks: their files, texts and labels, the share of labels that a run may know.

use crate::data::labelled::draw_share;
use crate::data::near_duplicates;
use crate::data::vectors::{Vectors, table};
use crate::data::{BadRows, RowOptions, Rows};
use anyhow::{Context, Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The tasks of arXiv 2505.13205, and one of them split by near-duplicate group.
pub const TASKS: [&str; 4] = ["senti", "stega", "topic", "topic-groups"];
/// What is added to a task's name for the split by near-duplicate group.
const GROUPED: &str = "-groups";

pub type Row = (String, String);

/// What the figures of a task were computed from: digests, cut to 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    pub train: String,
    pub valid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct About {
    /// The folder's name, with `-groups` for the split by near-duplicate group.
    pub name: String,
    pub classes: Vec<String>,
    pub train_texts: usize,
    pub valid_texts: usize,
    /// How the split came about, in a sentence.
    pub split: String,
    pub teacher: String,
    /// Where hidden states come from; `None` without.
    pub hidden_states: Option<String>,
}

pub struct Task {
    pub about: About,
    pub train: Vec<Row>,
    /// Validation texts, none of them trained on.
    pub valid: Vec<Row>,
    /// Vector files, one a model or layer; empty without hidden states.
    pub vectors: Vec<PathBuf>,
    pub inputs: Inputs,
}

/// Rounds in which a teacher labels the texts without labels and learns from them.
pub const ROUNDS: usize = 2;

/// What a teacher does, in words; another text means other soft labels.
pub fn describe(vectors: bool) -> String {
    let probes = if vectors { "linear probes on hidden states averaged with " } else { "" };
    format!(
        "{probes}TF-IDF + logistic regression, {ROUNDS} rounds in which the average labels the texts without labels"
    )
}

pub fn title(name: &str) -> String {
    let base = folder(name);
    let known = match base {
        "senti" => "Emotion analysis",
        "stega" => "Hiding detection",
        "topic" => "Thematic analysis",
        other => other,
    };
    if base == name { known.to_owned() } else { format!("{known}, split by near-duplicate group") }
}

/// The name of the folder that holds a task.
pub fn folder(name: &str) -> &str {
    name.strip_suffix(GROUPED).unwrap_or(name)
}

impl Task {
    /// Reads `data/TASK/train.*` and `valid.*`, and the vectors of the task's texts if a folder of them is given.
    pub fn read(data: &Path, name: &str, vectors: Option<&Path>) -> Result<Self> {
        let folder = data.join(folder(name));
        let (train_path, valid_path) = (file(&folder, "train")?, file(&folder, "valid")?);
        let (train, train_digest) = rows(&train_path)?;
        let (valid, valid_digest) = rows(&valid_path)?;
        let mut classes: Vec<String> = train.iter().map(|(label, _)| label.clone()).collect();
        classes.sort_unstable();
        classes.dedup();
        if let [only] = classes.as_slice() {
            bail!("{}: every label is `{only}`; two classes are the least", train_path.display());
        }
        if let Some((label, _)) = valid.iter().find(|(label, _)| !classes.contains(label)) {
            bail!(
                "{}: label `{label}` does not occur in {}; correct it, or add texts of it there",
                valid_path.display(),
                train_path.display()
            );
        }
        let (train, valid, split) = match name.ends_with(GROUPED) {
            false => apart(train, valid)?,
            true => by_group(train, valid),
        };
        for class in &classes {
            let on = |side: &[Row]| side.iter().any(|(label, _)| label == class);
            ensure!(
                on(&train) && on(&valid),
                "{}: class `{class}` is missing on one side of the split",
                folder.display()
            );
        }
        let inputs = Inputs { train: train_digest, valid: valid_digest, vectors: None };
        let about = About {
            name: name.to_owned(),
            classes,
            train_texts: train.len(),
            valid_texts: valid.len(),
            split,
            teacher: describe(false),
            hidden_states: None,
        };
        let mut task = Self { about, train, valid, vectors: Vec::new(), inputs };
        vectors.map_or(Ok(()), |folder| task.find_vectors(folder))?;
        Ok(task)
    }

    /// `FOLDER/TASK.safetensors`, `TASK.jsonl`, and any `TASK.*` of the same kinds: one file a model or layer.
    fn find_vectors(&mut self, place: &Path) -> Result<()> {
        let base = folder(&self.about.name);
        for entry in std::fs::read_dir(place).of_file(place)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let of_task = name.strip_prefix(base).is_some_and(|rest| rest.starts_with('.'));
            if of_task && [".safetensors", ".jsonl"].iter().any(|kind| name.ends_with(kind)) {
                self.vectors.push(path);
            }
        }
        self.vectors.sort();
        let mut digest = Sha256::new();
        for path in &self.vectors {
            let vectors = Vectors::read(std::slice::from_ref(path), &[], &RowOptions::default())?;
            digest.update(&vectors.digest);
            let texts = self.train.iter().chain(&self.valid);
            let missing = texts.filter(|(_, text)| vectors.get(text).is_none()).count();
            ensure!(
                missing == 0,
                "{}: {missing} texts of the task {} have no vector; make vectors of train and valid (qdllm teach --data TRAIN --test VALID --export-vectors FILE)",
                path.display(),
                self.about.name
            );
        }
        if let Some(first) = self.vectors.first() {
            self.inputs.vectors = Some(short(digest));
            self.about.teacher = describe(true);
            self.about.hidden_states = Some(hidden_states(first));
        }
        Ok(())
    }

    /// The training texts whose labels are known when `percent` of them are, and the others: of every class the same
    /// share, at least two, drawn by `seed`. A larger share contains the smaller.
    pub fn share(&self, percent: u32, seed: u64) -> (Vec<&Row>, Vec<&Row>) {
        let most = |size: usize| (size * percent as usize).div_ceil(100).max(2);
        let mut known = draw_share(&self.train, most, seed).into_iter();
        self.train.iter().partition(|_| known.next() == Some(true))
    }
}

/// What a file of hidden states says of itself.
fn hidden_states(path: &Path) -> String {
    let metadata = table(path).map(|table| table.metadata).unwrap_or_default();
    match (metadata.get("model"), metadata.get("cell")) {
        (Some(model), Some(cell)) => format!("{model}, {cell}"),
        (Some(model), None) => model.clone(),
        _ => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// The file of a part, whichever kind it is; the first that is there counts.
fn file(folder: &Path, part: &str) -> Result<PathBuf> {
    let files = ["tsv", "csv", "jsonl"].map(|kind| folder.join(part).with_extension(kind));
    let found = files.into_iter().find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "{}: not found (nor .csv, .jsonl); --data names a folder with TASK/train.tsv and TASK/valid.tsv, --tasks the tasks to run",
            folder.join(part).with_extension("tsv").display()
        )
    })
}

/// The rows of a file, each text once, and their digest.
fn rows(path: &Path) -> Result<(Vec<Row>, String)> {
    let (mut seen, mut all, mut digest) = (HashSet::new(), Vec::new(), Sha256::new());
    for row in Rows::labelled(path, BadRows::Refuse)? {
        let row = row?;
        let label = row.label.unwrap_or_default();
        digest.update(format!("{label}\t{}\n", row.text));
        if seen.insert(row.text.clone()) {
            all.push((label, row.text));
        }
    }
    Ok((all, short(digest)))
}

pub fn short(digest: Sha256) -> String {
    hex::encode(&digest.finalize()[..8])
}

type Split = (Vec<Row>, Vec<Row>, String);

/// Training texts that validation holds too are left out.
fn apart(mut train: Vec<Row>, valid: Vec<Row>) -> Result<Split> {
    let held: HashSet<&str> = valid.iter().map(|(_, text)| text.as_str()).collect();
    let before = train.len();
    train.retain(|(_, text)| !held.contains(text.as_str()));
    ensure!(!train.is_empty(), "every training text is a validation text too");
    let split = match before - train.len() {
        0 => "The split of the files.".to_owned(),
        n => format!("The split of the files, less {n} training texts that validation holds too."),
    };
    Ok((train, valid, split))
}

/// All texts anew: whole near-duplicate groups on one side, as many validation texts as before.
fn by_group(train: Vec<Row>, valid: Vec<Row>) -> Split {
    let wanted = valid.len();
    let mut seen = HashSet::new();
    let mut all = [train, valid].concat();
    all.retain(|(_, text)| seen.insert(text.clone()));
    let texts: Vec<&str> = all.iter().map(|(_, text)| text.as_str()).collect();
    let of = near_duplicates::near_duplicates(&texts);
    let mut chosen = near_duplicates::split(&texts, &of, wanted).into_iter();
    let mut sizes = vec![0_usize; of.iter().max().map_or(0, |last| last + 1)];
    of.iter().for_each(|&group| sizes[group] += 1);
    let split = format!(
        "Texts that share {} words in a row are of one group: {} groups of {} texts, {} of them larger than one text, the largest {}; whole groups stand on one side.",
        near_duplicates::RUN,
        sizes.len(),
        all.len(),
        sizes.iter().filter(|&&size| size > 1).count(),
        sizes.iter().max().copied().unwrap_or(0),
    );
    let (valid, train) = all.into_iter().partition(|_| chosen.next() == Some(true));
    (train, valid, split)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        let row = |i: usize| {
            (["a", "b"][usize::from(i.is_multiple_of(5))].to_owned(), format!("text {i}"))
        };
        Task {
            about: About::default(),
            train: (0..100).map(row).collect(),
            valid: (100..120).map(row).collect(),
            vectors: Vec::new(),
            inputs: Inputs { train: String::new(), valid: String::new(), vectors: None },
        }
    }

    #[test]
    fn a_share_is_taken_of_every_class_and_grows() {
        let task = task();
        let (all, none) = task.share(100, 3);
        assert_eq!((all.len(), none.len()), (100, 0));
        let (some, rest) = task.share(25, 3);
        assert_eq!((some.len(), rest.len()), (25, 75));
        assert_eq!(some.iter().filter(|(label, _)| label == "b").count(), 5);
        let (few, _) = task.share(5, 3);
        assert_eq!(few.iter().filter(|(label, _)| label == "b").count(), 2, "two are the least");
        assert!(few.iter().all(|row| some.contains(row)));
        assert_ne!(few, task.share(5, 4).0);
    }

    #[test]
    fn the_split_by_group_shares_no_run_of_words() {
        let data = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/commands");
        std::fs::create_dir(data.path().join("commands")).unwrap();
        for (from, to) in [("train.tsv", "train.tsv"), ("test.tsv", "valid.tsv")] {
            std::fs::copy(shipped.join(from), data.path().join("commands").join(to)).unwrap();
        }
        let plain = Task::read(data.path(), "commands", None).unwrap();
        let task = Task::read(data.path(), "commands-groups", None).unwrap();
        let side = |rows: &[Row]| -> HashSet<String> {
            rows.iter().flat_map(|(_, text)| near_duplicates::runs(text)).collect()
        };
        assert!(!side(&plain.train).is_disjoint(&side(&plain.valid)), "or this tests nothing");
        assert!(side(&task.train).is_disjoint(&side(&task.valid)));
        assert_eq!(task.valid.len(), plain.valid.len());
        assert_eq!(task.train.len() + task.valid.len(), plain.train.len() + plain.valid.len());
    }
}
