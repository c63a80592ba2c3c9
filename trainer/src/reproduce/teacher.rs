//! The teacher's process: from a few labelled texts, others without labels and, where there are any, vectors of all of
//! them, to a file of soft labels and the teacher's own figures.
//!
//! A labelled text's logits come from a model that has not seen its label, as those of other texts do: a student that
//! learns from both should not be told that the teacher is surer than it is.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use qdllm_host::errors::OfFile as _;
use serde::{Deserialize, Serialize};

use crate::data::BadRows;
use crate::data::labelled::{read_labelled, read_texts};
use crate::data::soft::SoftWriter;
use crate::metrics::Report;
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};
use crate::teacher::Teacher;
use crate::teacher::committee::{Committee, Member};
use crate::teacher::features::{Features, VectorFile};
use crate::teacher::probe::{Options, ProbeTeacher};

const ROUNDS: usize = 2;

/// The files that a teacher reads and writes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lesson {
    pub labelled: PathBuf,
    pub unlabelled: Option<PathBuf>,
    pub valid: PathBuf,
    pub classes: Vec<String>,
    pub seed: u64,
    /// Vectors of all texts, one file a model or layer; empty without hidden states.
    pub vectors: Vec<PathBuf>,
    pub cache: PathBuf,
    /// The file of soft labels to write.
    pub soft: PathBuf,
}

#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    report: Report,
    parameters: Option<usize>,
    bytes: Option<usize>,
    train_seconds: f64,
    microseconds_per_text: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

/// What `teach` does, in words; another text means other soft labels.
pub fn describe(vectors: bool) -> String {
    let probes = if vectors { "linear probes on hidden states averaged with " } else { "" };
    format!(
        "{probes}TF-IDF + logistic regression, {ROUNDS} rounds in which the average labels the texts without labels"
    )
}

/// Teaches by the lesson of a file, and writes the soft labels; returns its figures as JSON.
pub fn run(path: &Path) -> Result<String> {
    let lesson: Lesson = serde_json::from_slice(&std::fs::read(path).of_file(path)?)
        .with_context(|| format!("{}: not a lesson", path.display()))?;
    let (texts, labels) = read_labelled(&lesson.labelled, BadRows::Refuse, &lesson.classes)?;
    let unlabelled = match &lesson.unlabelled {
        Some(path) => read_texts(path, BadRows::Refuse, &mut 0)?,
        None => Vec::new(),
    };
    let (valid, truth) = read_labelled(&lesson.valid, BadRows::Refuse, &lesson.classes)?;
    let [texts, unlabelled, valid] =
        [&texts, &unlabelled, &valid].map(|of| of.iter().map(String::as_str).collect::<Vec<_>>());

    let start = Instant::now();
    let (mut teacher, held_out) = teach(&lesson, (&texts, &labels), &unlabelled)?;
    let train_seconds = start.elapsed().as_secs_f64();
    let report = Report::of_logits(&lesson.classes, &truth, &ask(&mut teacher, &valid)?);
    // The language model in front of vectors has run long ago: its time is not known here.
    let microseconds_per_text = lesson.vectors.is_empty().then(|| {
        microseconds_a_text(&valid, |text| ask(&mut teacher, &[*text]).map(|rows| rows.len()))
    });

    let folder = lesson.soft.parent().unwrap_or(Path::new("."));
    let partial = tempfile::Builder::new().prefix(".soft-").tempdir_in(folder)?;
    let file = partial.path().join("soft.jsonl");
    let info = teacher.about().info(String::new());
    let mut writer = SoftWriter::open(&file, &lesson.classes, &info)?;
    for (text, logits) in texts.iter().zip(&held_out) {
        writer.append(text, logits)?;
    }
    writer.append_all(&unlabelled, |texts| ask(&mut teacher, texts))?;
    std::fs::rename(&file, &lesson.soft).of_file(&lesson.soft)?;

    let size = teacher.size();
    let outcome = Outcome {
        report,
        parameters: size.map(|size| size.0),
        bytes: size.map(|size| size.1),
        train_seconds,
        microseconds_per_text,
        peak_memory_bytes: peak_memory_bytes(),
    };
    Ok(serde_json::to_string(&outcome)?)
}

/// Teaches: a regression on TF-IDF, averaged with probes where there are vectors; returns the teacher, and logits of
/// the labelled texts by models that did not see their labels.
fn teach(
    lesson: &Lesson,
    labelled: (&[&str], &[usize]),
    unlabelled: &[&str],
) -> Result<(Committee, Vec<Vec<f32>>)> {
    let mut probes = None;
    if !lesson.vectors.is_empty() {
        let all = [labelled.0, unlabelled].concat();
        let mut sources = Vec::new();
        for path in &lesson.vectors {
            let mut source = Features::open(Box::new(VectorFile::read(path)?), &lesson.cache)?;
            source.prepare(&all, &mut |_, _| {})?;
            sources.push(source);
        }
        let options = Options { rounds: 3, seed: lesson.seed };
        let (teacher, findings) =
            ProbeTeacher::fit(sources, labelled, unlabelled, &lesson.classes, options)?;
        probes = Some(Member { teacher: Box::new(teacher), held_out: findings.labelled });
    }
    let options = Options { rounds: ROUNDS, seed: lesson.seed };
    let (teacher, findings) =
        Committee::fit(probes, labelled, unlabelled, &lesson.classes, options)?;
    Ok((teacher, findings.labelled))
}

/// Log-probabilities of texts, one row a text.
fn ask(teacher: &mut Committee, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    teacher.prepare(texts, &mut |_, _| {})?;
    teacher.logits(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::argmax;

    #[test]
    fn unlabelled_texts_teach_words_that_no_label_has() {
        // `gale` stands beside words of the class `storm` only in texts without a label.
        let words = [["sun", "warm", "beach", "sand"], ["storm", "thunder", "lightning", "rain"]];
        let texts: Vec<(usize, String)> = (0..48)
            .map(|i| {
                let of = words[i % 2];
                (i % 2, format!("{} {} {}", of[i / 2 % 4], of[i / 8 % 4], of[i / 5 % 4]))
            })
            .collect();
        let (labels, texts): (Vec<usize>, Vec<&str>) =
            texts.iter().map(|(c, t)| (*c, t.as_str())).unzip();
        let unlabelled: Vec<String> = (0..60)
            .map(|i| match i % 2 {
                0 => format!("storm thunder lightning gale {i}"),
                _ => format!("sun warm beach breeze {i}"),
            })
            .collect();
        let unlabelled: Vec<&str> = unlabelled.iter().map(String::as_str).collect();
        let classes = vec!["calm".to_owned(), "storm".to_owned()];
        let lesson = Lesson { classes, ..Lesson::default() };
        let (mut teacher, held_out) = teach(&lesson, (&texts, &labels), &unlabelled).unwrap();
        assert_eq!(held_out.len(), texts.len());
        let asked = ask(&mut teacher, &["gale", "breeze", "beach"]).unwrap();
        assert_eq!(asked.iter().map(|row| argmax(row)).collect::<Vec<_>>(), [1, 0, 0]);
        for row in &asked {
            let sum: f32 = row.iter().map(|v| v.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-4, "log-probabilities: {row:?}");
        }
    }

    #[test]
    fn a_labelled_text_is_not_told_its_own_label() {
        // Labels that the texts say nothing of: a teacher that had seen them would know them all.
        let texts: Vec<String> = (0..80).map(|i| format!("w{} v{}", i * 37 % 80, i % 7)).collect();
        let labels: Vec<usize> = (0..80).map(|i| (i * i / 3) % 2).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let lesson = Lesson { classes, seed: 1, ..Lesson::default() };
        let (_, held_out) = teach(&lesson, (&texts, &labels), &[]).unwrap();
        let right = labels.iter().zip(&held_out).filter(|(label, row)| argmax(row) == **label);
        assert!(right.count() < 60);
    }
}
