//! The teacher of a cell: from a few labelled texts, others without labels and, where there are any, vectors of all of
//! them, to logits for every text.
//!
//! [`teach`] is the one seam between the table and whatever teaches. A labelled text's logits come from a model that
//! has not seen its label, as those of other texts do: a student that learns from both should not be told that the
//! teacher is surer than it is.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::controls::{Tfidf, TfidfOptions, train_tfidf};
use crate::soft::TeacherInfo;
use crate::teacher::Teacher as _;
use crate::teacher::calibrate::{Labels, cool, temperature};
use crate::teacher::exported::Exported;
use crate::teacher::features::Features;
use crate::teacher::fitted::{Options, POOL_TEXTS, ProbeTeacher};
use crate::teacher::folds::stratified;

/// Rounds of self-training.
const ROUNDS: usize = 2;
/// A text that the teacher is this sure of takes part in self-training.
const SURE: f64 = 0.8;
/// A labelled text counts as many times as this beside one that the teacher labelled itself.
const LABELLED_WEIGHT: usize = 3;

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
    if vectors {
        format!(
            "linear probes on hidden states, 3 rounds of self-training on at most {POOL_TEXTS} texts"
        )
    } else {
        format!(
            "TF-IDF + logistic regression, {ROUNDS} rounds of self-training on at most {POOL_TEXTS} texts of which it is sure by {SURE}, labelled texts counted {LABELLED_WEIGHT} times"
        )
    }
}

/// Teaches: probes where there are vectors, TF-IDF with logistic regression otherwise.
///
/// # Errors
/// When the labels cannot be cross-validated, a text has no vector, or a fit does not end.
pub fn teach(lesson: &Lesson<'_>) -> Result<Taught> {
    if lesson.vectors.is_empty() { tfidf(lesson) } else { probes(lesson) }
}

fn probes(lesson: &Lesson<'_>) -> Result<Taught> {
    let (classes, texts): (Vec<usize>, Vec<&str>) = lesson.labelled.iter().copied().unzip();
    let all: Vec<&str> = texts.iter().chain(lesson.unlabelled).copied().collect();
    let mut sources = Vec::new();
    for path in lesson.vectors {
        let mut source = Features::open(Box::new(Exported::read(path)?), lesson.cache)?;
        source.prepare(&all, &mut |_, _| {})?;
        sources.push(source);
    }
    let options = Options { rounds: 3, seed: lesson.seed };
    let (mut teacher, findings) =
        ProbeTeacher::fit(sources, (&texts, &classes), lesson.unlabelled, lesson.classes, options)?;
    let models = teacher.models();
    let join = |parts: Vec<String>| parts.join(" + ");
    let info = TeacherInfo {
        name: join(models.iter().map(|m| m.name.clone()).collect()),
        digest: join(models.iter().map(|m| m.digest.clone()).collect()),
        method: teacher.method(),
        command: String::new(),
    };
    let ask: Ask = Box::new(move |texts| {
        teacher.prepare(texts, &mut |_, _| {})?;
        Ok(teacher.logits(texts)?)
    });
    Ok(Taught { info, labelled: findings.labelled, ask, size: None })
}

fn tfidf(lesson: &Lesson<'_>) -> Result<Taught> {
    let (rows, classes) = (lesson.labelled, lesson.classes.len());
    let (labels, texts): (Vec<usize>, Vec<&str>) = rows.iter().copied().unzip();
    let fold = stratified(&texts, &labels, lesson.classes, lesson.seed)?;
    let mut table = vec![0.0; rows.len() * classes];
    for held in 0..=fold.iter().max().copied().unwrap_or(0) {
        let inside: Vec<(usize, &str)> =
            rows.iter().zip(&fold).filter(|(_, f)| **f != held).map(|(row, _)| *row).collect();
        let model = fit(&inside, classes)?;
        for (i, _) in fold.iter().enumerate().filter(|(_, f)| **f == held) {
            let row = log_probabilities(&model, texts[i]);
            table[i * classes..(i + 1) * classes].copy_from_slice(&row);
        }
    }
    let labels = Labels { of: labels, classes };
    let warmth = temperature(&table, &labels);
    let labelled = narrow(&cool(&table, classes, warmth), classes);

    let mut model = fit(rows, classes)?;
    let pool = &lesson.unlabelled[..lesson.unlabelled.len().min(POOL_TEXTS)];
    for _ in 0..if pool.is_empty() { 0 } else { ROUNDS } {
        let mut more: Vec<(usize, &str)> = Vec::new();
        (0..LABELLED_WEIGHT).for_each(|_| more.extend(rows));
        for &text in pool {
            let row = cool(&log_probabilities(&model, text), classes, warmth);
            let best = crate::teacher::calibrate::best(&row);
            if row[best].exp() >= SURE {
                more.push((best, text));
            }
        }
        model = fit(&more, classes)?;
    }
    let size = Some((model.parameters(), model.model_bytes()));
    let ask: Ask = Box::new(move |texts| {
        let table: Vec<f64> = texts.iter().flat_map(|t| log_probabilities(&model, t)).collect();
        Ok(narrow(&cool(&table, classes, warmth), classes))
    });
    let info = TeacherInfo {
        name: "TF-IDF + logistic regression".into(),
        digest: String::new(),
        method: describe(false),
        command: String::new(),
    };
    Ok(Taught { info, labelled, ask, size })
}

fn fit(rows: &[(usize, &str)], classes: usize) -> Result<Tfidf> {
    let model = train_tfidf(rows, classes, TfidfOptions::default());
    if !model.converged() {
        bail!("the teacher's logistic regression on {} texts did not converge", rows.len());
    }
    Ok(model)
}

fn log_probabilities(model: &Tfidf, text: &str) -> Vec<f64> {
    model.predict(text).into_iter().map(|p| f64::from(p).max(1e-12).ln()).collect()
}

fn narrow(table: &[f64], classes: usize) -> Vec<Vec<f32>> {
    table.chunks_exact(classes).map(|row| row.iter().map(|&v| v as f32).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::argmax;

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
