//! The methods of the table: what is trained, who answers for its training texts, and the settings that belong to it.

use std::fmt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::task::{Task, folder, short};
use super::teacher;
use crate::controls::Control;
use crate::options::{Config, Criterion, Preset};

/// Rows of the edge student's vocabulary at most; fewer where the texts hold fewer n-grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Size {
    /// 1024 rows.
    #[value(name = "1k")]
    K1,
    /// 4096 rows.
    #[value(name = "4k")]
    K4,
    /// 16384 rows, word pairs, int8.
    #[value(name = "16k")]
    K16,
}

impl Size {
    pub const ALL: [Self; 3] = [Self::K1, Self::K4, Self::K16];

    pub fn rows(self) -> usize {
        1024 << (2 * self as usize)
    }

    pub fn name(self) -> &'static str {
        ["1k", "4k", "16k"][self as usize]
    }
}

/// A teacher that answers for all training texts and knows only the labels that its students know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeacherKind {
    /// Hidden states of a language model, where there are any, beside TF-IDF.
    Model,
    /// TF-IDF alone: what a teacher gives that has read nothing but the task's own texts.
    TfIdf,
}

impl TeacherKind {
    pub const ALL: [Self; 2] = [Self::Model, Self::TfIdf];

    /// The files of hidden states of a task that it reads.
    pub fn vectors(self, task: &Task) -> &[PathBuf] {
        if self == Self::Model { &task.vectors } else { &[] }
    }
}

/// Who answers for the texts that a student or a control learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    Labels,
    /// A logistic regression on the student's own n-grams, fitted on the same labels.
    Regression,
    Teacher(TeacherKind),
}

pub const MODEL: Supervision = Supervision::Teacher(TeacherKind::Model);
pub const TFIDF: Supervision = Supervision::Teacher(TeacherKind::TfIdf);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Teacher(TeacherKind),
    Dense(Preset, Supervision),
    Edge(Size, Supervision),
    Control(Control, Supervision),
}

impl Method {
    /// Every method, in the order of the report.
    pub fn all() -> Vec<Self> {
        use Supervision::{Labels, Regression};
        let mut all = TeacherKind::ALL.map(Self::Teacher).to_vec();
        for preset in [Preset::Paper, Preset::Product] {
            all.extend([Labels, MODEL].map(|by| Self::Dense(preset, by)));
        }
        for size in Size::ALL {
            // One size shows what regression and TF-IDF give; so does the linear control beside it.
            let shown = |by: &Supervision| size == Size::K4 || [Labels, MODEL].contains(by);
            let by = [Labels, Regression, TFIDF, MODEL].into_iter().filter(shown);
            all.extend(by.map(|by| Self::Edge(size, by)));
        }
        all.extend([Labels, Regression, TFIDF, MODEL].map(|by| Self::Control(Control::Linear, by)));
        let others = [Control::Cosine, Control::Tanh, Control::Fasttext, Control::Tfidf];
        all.extend(others.map(|control| Self::Control(control, Labels)));
        all
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|method| method.to_string() == name)
    }

    /// The teacher whose soft labels it learns from; `None` for teachers themselves.
    pub fn taught(self) -> Option<TeacherKind> {
        self.teacher().filter(|_| !matches!(self, Self::Teacher(_)))
    }

    /// The teacher that it is or learns from.
    fn teacher(self) -> Option<TeacherKind> {
        if let Supervision::Teacher(kind) = self.supervision() { Some(kind) } else { None }
    }

    fn supervision(self) -> Supervision {
        match self {
            Self::Teacher(kind) => Supervision::Teacher(kind),
            Self::Dense(_, by) | Self::Edge(_, by) | Self::Control(_, by) => by,
        }
    }

    pub fn dense(self) -> bool {
        matches!(self, Self::Dense(..))
    }

    /// Whether a task has it: students on hidden states need those, and without them one teacher is the other.
    pub fn fits(self, task: &Task) -> bool {
        !task.vectors.is_empty() || !(self.dense() || self.teacher() == Some(TeacherKind::TfIdf))
    }

    /// Whether another seed gives another result. With every label known, TF-IDF draws no number at all.
    pub fn varies(self, share: u32) -> bool {
        share < 100 || self != Self::Control(Control::Tfidf, Supervision::Labels)
    }

    /// Its name and its title.
    fn words(self) -> (String, String) {
        let (name, title) = match self {
            Self::Teacher(TeacherKind::Model) => return ("teacher".into(), "teacher".into()),
            Self::Teacher(TeacherKind::TfIdf) => {
                return ("teacher-tfidf".into(), "TF-IDF as teacher".into());
            }
            Self::Dense(Preset::Paper, _) => ("paper", "paper's student, hidden states"),
            Self::Dense(Preset::Product, _) => ("dense", "dense student, hidden states"),
            Self::Edge(Size::K1, _) => ("edge-1k", "edge student, K = 1k"),
            Self::Edge(Size::K4, _) => ("edge-4k", "edge student, K = 4k"),
            Self::Edge(Size::K16, _) => ("edge-16k", "edge student, K = 16k"),
            Self::Control(Control::Linear, _) => ("linear", "control of K = 4k: linear"),
            Self::Control(Control::Cosine, _) => ("cosine", "control of K = 4k: cosine, no ansatz"),
            Self::Control(Control::Tanh, _) => ("tanh", "control of K = 4k: 11 x tanh"),
            Self::Control(Control::Fasttext, _) => ("fasttext", "fastText"),
            Self::Control(Control::Tfidf, _) => ("tfidf", "TF-IDF + logistic regression"),
        };
        let (name_end, title_end) = match self.supervision() {
            Supervision::Labels => ("", ""),
            Supervision::Regression => ("+regression", ", with regression"),
            MODEL => ("+teacher", ", with teacher"),
            TFIDF => ("+tfidf", ", with TF-IDF as teacher"),
        };
        (name.to_owned() + name_end, title.to_owned() + title_end)
    }

    pub fn title(self) -> String {
        self.words().1
    }

    /// The student's settings on a task, the user's own beneath; paths are filled in when it is run.
    pub fn config(self, task: &str, seed: u64, base: &Config) -> Config {
        let mut config = base.clone();
        config.training.seed = seed;
        if let Self::Dense(preset, _) = self {
            config.dense.preset = preset;
            return config;
        }
        config.training.regression |= self.supervision() == Supervision::Regression;
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
        let size = if let Self::Edge(size, _) = self { size } else { Size::K4 };
        student.rows = size.rows();
        if size == Size::K16 {
            (student.bigrams, student.row_bits) = (true, 8);
        }
        config
    }

    /// Digest of everything but data and version that decides the result.
    pub fn settings(self, task: &Task, seed: u64, base: &Config) -> String {
        let mut digest = Sha256::new_with_prefix(self.to_string());
        match self {
            Self::Control(Control::Fasttext | Control::Tfidf, _) | Self::Teacher(_) => {}
            _ => digest.update(self.config(&task.name, seed, base).recipe()),
        }
        if let Some(kind) = self.teacher() {
            digest.update(teacher::describe(!kind.vectors(task).is_empty()));
        }
        short(digest)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_method_has_a_name_of_its_own_and_is_found_by_it() {
        let all = Method::all();
        let names: HashSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
        for method in all {
            assert_eq!(Method::named(&method.to_string()), Some(method));
        }
        assert_eq!(Method::named("edge-2k"), None);
    }

    #[test]
    fn settings_follow_task_and_size() {
        let of = |task, method: Method| method.config(task, 7, &Config::default());
        let small = of("senti", Method::Edge(Size::K1, MODEL));
        assert_eq!(
            (small.student.rows, small.student.prefixes, small.training.seed),
            (1024, true, 7)
        );
        let grouped = of("topic-groups", Method::Control(Control::Linear, Supervision::Labels));
        assert_eq!(grouped, of("topic", Method::Edge(Size::K4, Supervision::Labels)));
        let large = of("topic", Method::Edge(Size::K16, Supervision::Labels));
        assert_eq!((large.student.row_bits, large.student.bigrams), (8, true));
        assert_eq!(
            of("stega", Method::Dense(Preset::Paper, Supervision::Labels)).dense.preset,
            Preset::Paper
        );
    }
}
