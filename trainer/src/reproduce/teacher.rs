//! The teacher of a cell: from a few labelled texts, others without labels and, where there are any, vectors of all of
//! them, to logits for every text.
//!
//! [`teach`] is the one seam between the table and whatever teaches. A labelled text's logits come from a model that
//! has not seen its label, as those of other texts do: a student that learns from both should not be told that the
//! teacher is surer than it is.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::data::soft::TeacherInfo;
use crate::teacher::committee::{self, Committee, Member};
use crate::teacher::features::Features;
use crate::teacher::probe::{Options, ProbeTeacher};
use crate::teacher::vector_file::VectorFile;
use crate::teacher::{Teacher, about};

/// Rounds of self-training.
const ROUNDS: usize = 2;

/// What a teacher may know.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// Classes and texts.
    pub labelled: &'a [(usize, &'a str)],
    /// Texts without labels, none of them among the labelled.
    pub unlabelled: &'a [&'a str],
    /// Class names.
    pub classes: &'a [String],
    /// Seed of whatever is drawn.
    pub seed: u64,
    /// Vectors of all texts, one file a model or layer; empty without hidden states.
    pub vectors: &'a [PathBuf],
    /// A folder for features.
    pub cache: &'a Path,
}

/// Log-probabilities of texts, one row a text.
type Ask = Box<dyn FnMut(&[&str]) -> Result<Vec<Vec<f32>>>>;

/// A teacher that has learned.
pub struct Taught {
    /// Who it is and how it came about.
    pub info: TeacherInfo,
    /// Logits of the labelled texts, by models that did not see their labels.
    pub labelled: Vec<Vec<f32>>,
    /// Logits of any other text.
    pub ask: Ask,
    /// Numbers that were trained, and bytes of them, where the model in front does not count.
    pub size: Option<(usize, usize)>,
}

/// What [`teach`] does, in words; another text means other soft labels.
pub fn describe(vectors: bool) -> String {
    let probes = if vectors { "linear probes on hidden states averaged with " } else { "" };
    format!(
        "{probes}TF-IDF + logistic regression, {ROUNDS} rounds in which the average labels the texts without labels"
    )
}

/// Teaches: a regression on TF-IDF, averaged with probes where there are vectors.
///
/// # Errors
/// When the labels cannot be cross-validated or a text has no vector.
pub fn teach(lesson: &Lesson<'_>) -> Result<Taught> {
    let (classes, texts): (Vec<usize>, Vec<&str>) = lesson.labelled.iter().copied().unzip();
    let labelled = (&texts[..], &classes[..]);
    let probes = if lesson.vectors.is_empty() { None } else { Some(probes(lesson, labelled)?) };
    let options = committee::Options { rounds: ROUNDS, seed: lesson.seed };
    let (mut teacher, findings) =
        Committee::fit(probes, labelled, lesson.unlabelled, lesson.classes, options)?;
    let info = about(&teacher, String::new());
    let size = teacher.size();
    let ask: Ask = Box::new(move |texts| {
        teacher.prepare(texts, &mut |_, _| {})?;
        Ok(teacher.logits(texts)?)
    });
    Ok(Taught { info, labelled: findings.labelled, ask, size })
}

/// Probes on the vectors, and what they say of the labelled texts held out.
fn probes(lesson: &Lesson<'_>, labelled: (&[&str], &[usize])) -> Result<Member> {
    let all: Vec<&str> = labelled.0.iter().chain(lesson.unlabelled).copied().collect();
    let mut sources = Vec::new();
    for path in lesson.vectors {
        let mut source = Features::open(Box::new(VectorFile::read(path)?), lesson.cache)?;
        source.prepare(&all, &mut |_, _| {})?;
        sources.push(source);
    }
    let options = Options { rounds: 3, seed: lesson.seed };
    let (teacher, findings) =
        ProbeTeacher::fit(sources, labelled, lesson.unlabelled, lesson.classes, options)?;
    Ok(Member { teacher: Box::new(teacher), held_out: findings.labelled })
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
        let labelled: Vec<(usize, &str)> = texts.iter().map(|(c, t)| (*c, t.as_str())).collect();
        let unlabelled: Vec<String> = (0..60)
            .map(|i| match i % 2 {
                0 => format!("storm thunder lightning gale {i}"),
                _ => format!("sun warm beach breeze {i}"),
            })
            .collect();
        let unlabelled: Vec<&str> = unlabelled.iter().map(String::as_str).collect();
        let classes = ["calm".to_owned(), "storm".to_owned()];
        let cache = tempfile::tempdir().unwrap();
        let lesson = Lesson {
            labelled: &labelled,
            unlabelled: &unlabelled,
            classes: &classes,
            seed: 0,
            vectors: &[],
            cache: cache.path(),
        };
        let mut taught = teach(&lesson).unwrap();
        assert_eq!(taught.labelled.len(), labelled.len());
        let asked = (taught.ask)(&["gale", "breeze", "beach"]).unwrap();
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
        let labelled: Vec<(usize, &str)> =
            texts.iter().enumerate().map(|(i, t)| ((i * i / 3) % 2, t.as_str())).collect();
        let classes = ["a".to_owned(), "b".to_owned()];
        let lesson = Lesson {
            labelled: &labelled,
            unlabelled: &[],
            classes: &classes,
            seed: 1,
            vectors: &[],
            cache: Path::new("."),
        };
        let taught = teach(&lesson).unwrap();
        let right = labelled.iter().zip(&taught.labelled).filter(|(l, row)| argmax(row) == l.0);
        assert!(right.count() < 60);
    }
}
