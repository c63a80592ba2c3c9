//! The methods of the table: what is trained, who answers for its training texts, and the settings that belong to it.

use super::task::{Task, describe, folder, short};
use crate::controls::Control;
use crate::options::{Config, Criterion, Preset};
use Learner::{Control as Beside, Dense, Edge, Teacher};
use Supervision::{Labels, Model, Regression, TfIdf};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The edge student's sizes by name: thousands of rows, fewer where the texts hold fewer n-grams.
pub const SIZES: [&str; 3] = ["1k", "4k", "16k"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// Answers for all training texts and knows only the labels that its students know.
    Teacher,
    Dense(Preset),
    /// Of so many rows.
    Edge(usize),
    Control(Control),
}

/// Who answers for the texts that a student or a control learns from; of a teacher: which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    Labels,
    /// A logistic regression on the student's own n-grams, fitted on the same labels.
    Regression,
    /// A teacher of TF-IDF alone: what one gives that has read nothing but the task's own texts.
    TfIdf,
    /// A teacher of a language model's hidden states, where there are any, beside TF-IDF.
    Model,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    pub name: String,
    pub title: String,
    pub learner: Learner,
    pub by: Supervision,
}

/// Every method, in the order of the report.
pub static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
    // One size shows what regression and TF-IDF give; so does the linear control beside it.
    let (all, two, one) = ([Labels, Regression, TfIdf, Model], [Labels, Model], [Labels]);
    let learners: [(&str, &str, Learner, &[Supervision]); 12] = [
        ("teacher", "teacher", Teacher, &[Model]),
        ("teacher-tfidf", "TF-IDF as teacher", Teacher, &[TfIdf]),
        ("paper", "paper's student, hidden states", Dense(Preset::Paper), &two),
        ("dense", "dense student, hidden states", Dense(Preset::Product), &two),
        ("edge-1k", "edge student, K = 1k", Edge(1024), &two),
        ("edge-4k", "edge student, K = 4k", Edge(4096), &all),
        ("edge-16k", "edge student, K = 16k", Edge(16384), &two),
        ("linear", "control of K = 4k: linear", Beside(Control::Linear), &all),
        ("cosine", "control of K = 4k: cosine, no ansatz", Beside(Control::Cosine), &one),
        ("tanh", "control of K = 4k: 11 x tanh", Beside(Control::Tanh), &one),
        ("fasttext", "fastText", Beside(Control::Fasttext), &one),
        ("tfidf", "TF-IDF + logistic regression", Beside(Control::Tfidf), &one),
    ];
    let ends = [
        ("", ""),
        ("+regression", ", with regression"),
        ("+tfidf", ", with TF-IDF as teacher"),
        ("+teacher", ", with teacher"),
    ];
    let mut methods = Vec::new();
    for (name, title, learner, by) in learners {
        for &by in by {
            let (name_end, title_end) = ends[if learner == Teacher { 0 } else { by as usize }];
            let (name, title) = (name.to_owned() + name_end, title.to_owned() + title_end);
            methods.push(Method { name, title, learner, by });
        }
    }
    methods
});

impl Method {
    pub fn named(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// The teacher whose soft labels a student or control learns from.
    pub fn taught(&self) -> Option<&'static Self> {
        let mut teachers = METHODS.iter().filter(|other| other.learner == Teacher);
        teachers.find(|other| self.learner != Teacher && other.by == self.by)
    }

    pub fn dense(&self) -> bool {
        matches!(self.learner, Dense(_))
    }

    /// Rows of its vocabulary at most, where it has one.
    pub fn rows(&self) -> Option<usize> {
        match self.learner {
            Edge(rows) => Some(rows),
            Beside(control) => control.heart().map(|_| 4096),
            Teacher | Dense(_) => None,
        }
    }

    /// Whether a task has it: students on hidden states need those, and without them one teacher is the other.
    pub fn fits(&self, task: &Task) -> bool {
        !task.vectors.is_empty() || !(self.dense() || self.by == TfIdf)
    }

    /// The student's settings on a task, the user's own beneath; paths are filled in when it is run.
    pub fn config(&self, task: &str, seed: u64, base: &Config) -> Config {
        let mut config = base.clone();
        config.training.seed = seed;
        if let Dense(preset) = self.learner {
            config.dense.preset = preset;
        }
        let Some(rows) = self.rows() else { return config };
        config.training.regression |= self.by == Regression;
        let student = &mut config.student;
        // Topics are told by single words, feelings by overlapping n-grams, sentences with a hidden message by how
        // words follow each other and where they begin and end.
        let of = folder(task);
        if ["senti", "stega"].contains(&of) {
            (student.bigrams, student.select) = (true, Criterion::Weight);
        }
        student.prefixes |= of == "senti";
        student.trigrams |= of == "stega";
        student.edges |= of == "stega";
        student.rows = rows;
        if self.learner == Edge(16384) {
            (student.bigrams, student.row_bits) = (true, 8);
        }
        config
    }

    /// Digest of everything but data and version that decides the result.
    pub fn settings(&self, task: &Task, seed: u64, base: &Config) -> String {
        let mut digest = Sha256::new_with_prefix(&self.name);
        if !matches!(self.learner, Beside(Control::Fasttext | Control::Tfidf) | Teacher) {
            digest.update(self.config(&task.about.name, seed, base).recipe());
        }
        if [Model, TfIdf].contains(&self.by) {
            digest.update(describe(self.by == Model && !task.vectors.is_empty()));
        }
        short(digest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_method_has_a_name_of_its_own_and_is_found_by_it() {
        let names: HashSet<&String> = METHODS.iter().map(|method| &method.name).collect();
        assert_eq!((names.len(), METHODS.len()), (22, 22));
        for method in METHODS.iter() {
            assert_eq!(Method::named(&method.name), Some(method));
        }
        assert_eq!(Method::named("edge-2k"), None);
        let taught = Method::named("linear+tfidf").unwrap();
        assert_eq!(taught.title, "control of K = 4k: linear, with TF-IDF as teacher");
        assert_eq!(taught.taught(), Method::named("teacher-tfidf"));
    }

    #[test]
    fn settings_follow_task_and_size() {
        let of = |task, method| Method::named(method).unwrap().config(task, 7, &Config::default());
        let small = of("senti", "edge-1k+teacher");
        assert_eq!(
            (small.student.rows, small.student.prefixes, small.training.seed),
            (1024, true, 7)
        );
        assert_eq!(of("topic-groups", "linear"), of("topic", "edge-4k"));
        let large = of("topic", "edge-16k");
        assert_eq!((large.student.row_bits, large.student.bigrams), (8, true));
        assert_eq!(of("stega", "paper").dense.preset, Preset::Paper);
    }
}
