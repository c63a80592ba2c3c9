//! One run, as a process of its own: files of texts in, a teacher's soft labels or a model out, and its figures.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use qdllm_host::terminal::Progress;
use serde::{Deserialize, Serialize};

use super::journal::Outcome;
use super::method::{Learner, Method};
use super::task::ROUNDS;
use crate::controls::{Control, ControlsArgs, measure};
use crate::data::BadRows;
use crate::data::labelled::{read_labelled, read_texts};
use crate::data::soft::SoftWriter;
use crate::evaluation::{evaluate, evaluate_vectors};
use crate::metrics::{Report, Scores};
use crate::options::Config;
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};
use crate::student::run::distill;
use crate::teacher::Teacher;
use crate::teacher::committee::{Committee, Member};
use crate::teacher::features::{Features, VectorFile};
use crate::teacher::probe::{Options, ProbeTeacher};

/// What a run reads and writes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lesson {
    pub method: String,
    /// Settings with their seed and files; a teacher writes the file of soft labels that it names.
    pub config: Config,
    pub valid: PathBuf,
    pub classes: Vec<String>,
    /// Where models and features may be put.
    pub folder: PathBuf,
}

/// Runs the lesson of a file; returns its figures as JSON.
pub fn run(path: &Path) -> Result<String> {
    let lesson: Lesson = serde_json::from_slice(&files::read(path)?).of_file(path)?;
    lesson.config.check()?;
    let method = Method::named(&lesson.method).context("a lesson of no method")?;
    let (scores, size, train_seconds, microseconds_per_text) = match method.learner {
        Learner::Teacher => lesson.teacher()?,
        Learner::Control(control) => lesson.control(control)?,
        Learner::Edge(_) | Learner::Dense(_) => lesson.student()?,
    };
    let outcome = Outcome {
        rows: method.rows().map(|_| lesson.config.student.rows),
        accuracy: scores.0,
        weighted: scores.1,
        parameters: size.map(|size| size.0),
        bytes: size.map(|size| size.1),
        peak_memory_bytes: peak_memory_bytes(),
        train_seconds,
        microseconds_per_text,
    };
    Ok(serde_json::to_string(&outcome)?)
}

/// Accuracy with weighted scores, parameters with bytes, seconds of training, microseconds a text.
type Figures = ((f64, Scores), Option<(usize, usize)>, f64, Option<f64>);

impl Lesson {
    fn student(&self) -> Result<Figures> {
        let (model, vectors) = (self.folder.join("student.qdm"), &self.config.sources.vectors);
        let keep = (true, Duration::from_secs(1));
        let trained = distill(&self.config, &model, keep, &mut Progress::new(true))?;
        let (report, microseconds) = if vectors.is_empty() {
            let judged = evaluate(&model, &self.valid, BadRows::Refuse, None, true)?;
            (judged.student, judged.microseconds_per_text)
        } else {
            let judged = evaluate_vectors(&model, &self.valid, vectors, BadRows::Refuse)?;
            (judged.report, judged.microseconds_per_text)
        };
        let size = Some((trained.parameters, trained.bytes));
        let scores = (report.accuracy, report.weighted_avg);
        Ok((scores, size, trained.train_seconds, Some(microseconds)))
    }

    fn control(&self, control: Control) -> Result<Figures> {
        let settings = self.folder.join("control.toml");
        files::write(&settings, self.config.to_toml())?;
        let summary = measure(&ControlsArgs {
            data: self.config.sources.data.clone().unwrap_or_default(),
            test: self.valid.clone(),
            json: true,
            config: control.heart().map(|_| settings),
            seed: self.config.training.seed,
            only: Some(control),
            bad_rows: BadRows::Refuse,
        })?;
        let outcome = summary.controls.first().context("no control in the report")?;
        let (scores, m) = ((outcome.accuracy, outcome.weighted_avg), &outcome.measured);
        let size = Some((m.parameters, m.bytes));
        Ok((scores, size, m.train_seconds, Some(m.microseconds_per_text)))
    }

    /// From a few labelled texts, others without labels and, where there are any, vectors of all of them, to a file of
    /// soft labels.
    fn teacher(&self) -> Result<Figures> {
        let sources = &self.config.sources;
        let files = sources.data.as_deref().zip(sources.soft.as_deref());
        let (data, soft) = files.context("a lesson without files")?;
        let (texts, labels) = read_labelled(data, BadRows::Refuse, &self.classes)?;
        let unlabelled = match &sources.unlabelled {
            Some(path) => read_texts(path, BadRows::Refuse, &mut 0)?,
            None => Vec::new(),
        };
        let (valid, truth) = read_labelled(&self.valid, BadRows::Refuse, &self.classes)?;
        let [texts, unlabelled, valid] = [&texts, &unlabelled, &valid]
            .map(|of| of.iter().map(String::as_str).collect::<Vec<_>>());

        let start = Instant::now();
        let (mut teacher, held_out) = self.fit((&texts, &labels), &unlabelled)?;
        let train_seconds = start.elapsed().as_secs_f64();
        let report = Report::of_logits(&self.classes, &truth, &ask(&mut teacher, &valid)?);
        // The language model in front of vectors has run long ago: its time is not known here.
        let microseconds_per_text = sources.vectors.is_empty().then(|| {
            microseconds_a_text(&valid, |text| ask(&mut teacher, &[*text]).map(|rows| rows.len()))
        });

        let partial = self.folder.join("soft.jsonl");
        let info = teacher.about().info(String::new());
        let mut writer = SoftWriter::open(&partial, &self.classes, &info)?;
        for (text, logits) in texts.iter().zip(&held_out) {
            writer.append(text, logits)?;
        }
        writer.append_all(&unlabelled, |texts| ask(&mut teacher, texts))?;
        std::fs::rename(&partial, soft).of_file(soft)?;
        let scores = (report.accuracy, report.weighted_avg);
        Ok((scores, teacher.size(), train_seconds, microseconds_per_text))
    }

    /// A regression on TF-IDF, averaged with probes where there are vectors; returns the teacher, and logits of the
    /// labelled texts by models that did not see their labels, as those of other texts do: a student that learns from
    /// both should not be told that the teacher is surer than it is.
    fn fit(
        &self,
        labelled: (&[&str], &[usize]),
        unlabelled: &[&str],
    ) -> Result<(Committee, Vec<Vec<f32>>)> {
        let (vectors, seed) = (&self.config.sources.vectors, self.config.training.seed);
        let mut probes = None;
        if !vectors.is_empty() {
            let all = [labelled.0, unlabelled].concat();
            let mut sources = Vec::new();
            for path in vectors {
                let cache = self.folder.join("features");
                let mut source = Features::open(Box::new(VectorFile::read(path)?), &cache)?;
                source.prepare(&all, &mut |_, _| {})?;
                sources.push(source);
            }
            let options = Options { rounds: 3, seed };
            let (teacher, findings) =
                ProbeTeacher::fit(sources, labelled, unlabelled, &self.classes, options)?;
            probes = Some(Member { teacher: Box::new(teacher), held_out: findings.labelled });
        }
        let options = Options { rounds: ROUNDS, seed };
        let (teacher, findings) =
            Committee::fit(probes, labelled, unlabelled, &self.classes, options)?;
        Ok((teacher, findings.labelled))
    }
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
        let (mut teacher, held_out) = lesson.fit((&texts, &labels), &unlabelled).unwrap();
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
        let mut lesson = Lesson { classes, ..Lesson::default() };
        lesson.config.training.seed = 1;
        let (_, held_out) = lesson.fit((&texts, &labels), &[]).unwrap();
        let right = labels.iter().zip(&held_out).filter(|(label, row)| argmax(row) == **label);
        assert!(right.count() < 60);
    }
}
