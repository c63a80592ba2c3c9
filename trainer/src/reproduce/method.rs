//! A cell of the big table: task, share of labels, seed, method - and the settings that belong to it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::label_source::{By, Tutor};
use super::task::{Task, folder, short};
use super::teacher;
use crate::commands::controls::Control;
use crate::options::Preset;
use crate::options::{Config, Criterion};

/// Rows of the edge student's vocabulary.
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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::K1, Self::K4, Self::K16];

    /// Rows at most; fewer where the texts hold fewer n-grams.
    pub fn rows(self) -> usize {
        match self {
            Self::K1 => 1024,
            Self::K4 => 4096,
            Self::K16 => 16384,
        }
    }

    /// Its name: 1k, 4k, 16k.
    pub fn name(self) -> &'static str {
        match self {
            Self::K1 => "1k",
            Self::K4 => "4k",
            Self::K16 => "16k",
        }
    }
}

/// What is trained and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A teacher itself.
    Teacher(Tutor),
    /// A student on hidden states.
    Dense(Preset, By),
    /// A student on words.
    Edge(Size, By),
    /// A control.
    Control(Control, By),
}

impl Method {
    /// Every method, in the order of the report.
    pub fn all() -> Vec<Self> {
        use By::{Labels, Regression};
        let (model, words) = (By::Teacher(Tutor::Model), By::Teacher(Tutor::Words));
        let mut all = Tutor::ALL.map(Self::Teacher).to_vec();
        for preset in [Preset::Paper, Preset::Product] {
            all.extend([Labels, model].map(|by| Self::Dense(preset, by)));
        }
        for size in Size::ALL {
            all.push(Self::Edge(size, Labels));
            // One size shows what regression and TF-IDF give; so does the linear control beside it.
            if size == Size::K4 {
                all.extend([Regression, words].map(|by| Self::Edge(size, by)));
            }
            all.push(Self::Edge(size, model));
        }
        all.extend([Labels, Regression, words, model].map(|by| Self::Control(Control::Linear, by)));
        let others = [Control::Cosine, Control::Tanh, Control::Fasttext, Control::Tfidf];
        all.extend(others.map(|control| Self::Control(control, Labels)));
        all
    }

    /// The method of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|method| method.to_string() == name)
    }

    /// The teacher whose soft labels it learns from; `None` for teachers themselves.
    pub fn taught(self) -> Option<Tutor> {
        self.tutor().filter(|_| !matches!(self, Self::Teacher(_)))
    }

    /// The teacher that it is or learns from.
    pub fn tutor(self) -> Option<Tutor> {
        if let By::Teacher(tutor) = self.by() { Some(tutor) } else { None }
    }

    fn by(self) -> By {
        match self {
            Self::Teacher(tutor) => By::Teacher(tutor),
            Self::Dense(_, by) | Self::Edge(_, by) | Self::Control(_, by) => by,
        }
    }

    /// Whether it needs hidden states.
    pub fn dense(self) -> bool {
        matches!(self, Self::Dense(..))
    }

    /// Whether a task has it: students on hidden states need those, and without them one teacher is the other.
    pub fn fits(self, task: &Task) -> bool {
        !task.vectors.is_empty() || !(self.dense() || self.tutor() == Some(Tutor::Words))
    }

    /// Whether another seed gives another result. With every label known, TF-IDF draws no number at all.
    pub fn varies(self, share: u32) -> bool {
        share < 100 || self != Self::Control(Control::Tfidf, By::Labels)
    }

    /// What it is, for people.
    pub fn title(self) -> String {
        let name = match self {
            Self::Teacher(Tutor::Model) => return "teacher".into(),
            Self::Teacher(Tutor::Words) => return "TF-IDF as teacher".into(),
            Self::Dense(Preset::Paper, _) => "paper's student, hidden states".into(),
            Self::Dense(Preset::Product, _) => "dense student, hidden states".into(),
            Self::Edge(size, _) => format!("edge student, K = {}", size.name()),
            Self::Control(Control::Linear, _) => "control of K = 4k: linear".into(),
            Self::Control(Control::Cosine, _) => "control of K = 4k: cosine, no ansatz".into(),
            Self::Control(Control::Tanh, _) => "control of K = 4k: 11 x tanh".into(),
            Self::Control(Control::Fasttext, _) => "fastText".into(),
            Self::Control(Control::Tfidf, _) => "TF-IDF + logistic regression".into(),
        };
        name + self.by().words()
    }

    /// The student's settings on a task, the user's own beneath; paths are filled in when it is run.
    pub fn config(self, task: &str, seed: u64, base: &Config) -> Config {
        let mut config = base.clone();
        config.training.seed = seed;
        if let Self::Dense(preset, _) = self {
            config.dense.preset = preset;
            return config;
        }
        config.training.regression |= self.by() == By::Regression;
        let student = &mut config.student;
        // Topics are told by single words, feelings by overlapping n-grams, sentences with a hidden message by how
        // words follow each other and where they begin and end.
        match folder(task) {
            "senti" => {
                (student.bigrams, student.prefixes) = (true, true);
                student.select = Criterion::Weight;
            }
            "stega" => {
                (student.bigrams, student.trigrams, student.edges) = (true, true, true);
                student.select = Criterion::Weight;
            }
            _ => {}
        }
        let size = if let Self::Edge(size, _) = self { size } else { Size::K4 };
        student.rows = size.rows();
        if size == Size::K16 {
            student.bigrams = true;
            student.row_bits = 8;
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
        if let Some(tutor) = self.tutor() {
            digest.update(teacher::describe(!tutor.vectors(task).is_empty()));
        }
        short(digest)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Teacher(Tutor::Model) => return f.write_str("teacher"),
            Self::Teacher(Tutor::Words) => return f.write_str("teacher-tfidf"),
            Self::Dense(Preset::Paper, _) => f.write_str("paper")?,
            Self::Dense(Preset::Product, _) => f.write_str("dense")?,
            Self::Edge(size, _) => write!(f, "edge-{}", size.name())?,
            Self::Control(control, _) => f.write_str(control.name())?,
        }
        f.write_str(self.by().suffix())
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
        let small = of("senti", Method::Edge(Size::K1, By::Teacher(Tutor::Model)));
        assert_eq!(
            (small.student.rows, small.student.prefixes, small.training.seed),
            (1024, true, 7)
        );
        let grouped = of("topic-groups", Method::Control(Control::Linear, By::Labels));
        assert_eq!(grouped, of("topic", Method::Edge(Size::K4, By::Labels)));
        let large = of("topic", Method::Edge(Size::K16, By::Labels));
        assert_eq!((large.student.row_bits, large.student.bigrams), (8, true));
        assert_eq!(
            of("stega", Method::Dense(Preset::Paper, By::Labels)).dense.preset,
            Preset::Paper
        );
    }
}
