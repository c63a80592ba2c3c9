//! A cell of the big table: task, share of labels, seed, method - and the settings that belong to it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::tasks::{Task, folder, short};
use super::teacher;
use crate::commands::controls::Control;
use crate::config::{Config, Criterion};
use crate::dense::config::Preset;

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
    /// The teacher itself.
    Teacher,
    /// A student on hidden states; whether a teacher helps.
    Dense(Preset, bool),
    /// A student on words; whether a teacher helps.
    Edge(Size, bool),
    /// A control on the labels alone.
    Control(Control),
}

impl Method {
    /// Every method, in the order of the report.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Teacher];
        for preset in [Preset::Paper, Preset::Product] {
            all.extend([false, true].map(|taught| Self::Dense(preset, taught)));
        }
        for size in Size::ALL {
            all.extend([false, true].map(|taught| Self::Edge(size, taught)));
        }
        let controls =
            [Control::Linear, Control::Cosine, Control::Tanh, Control::Fasttext, Control::Tfidf];
        all.extend(controls.map(Self::Control));
        all
    }

    /// The method of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|method| method.to_string() == name)
    }

    /// Whether it learns from soft labels.
    pub fn taught(self) -> bool {
        matches!(self, Self::Dense(_, true) | Self::Edge(_, true))
    }

    /// Whether it needs hidden states.
    pub fn dense(self) -> bool {
        matches!(self, Self::Dense(..))
    }

    /// Whether another seed gives another result. With every label known, TF-IDF draws no number at all.
    pub fn varies(self, share: u32) -> bool {
        share < 100 || self != Self::Control(Control::Tfidf)
    }

    /// What it is, for people.
    pub fn title(self) -> String {
        let with = |taught: bool| if taught { ", with teacher" } else { "" };
        match self {
            Self::Teacher => "teacher".into(),
            Self::Dense(Preset::Paper, t) => format!("paper's student, hidden states{}", with(t)),
            Self::Dense(Preset::Product, t) => format!("dense student, hidden states{}", with(t)),
            Self::Edge(size, t) => format!("edge student, K = {}{}", size.name(), with(t)),
            Self::Control(Control::Linear) => "control of K = 4k: linear".into(),
            Self::Control(Control::Cosine) => "control of K = 4k: cosine, no ansatz".into(),
            Self::Control(Control::Tanh) => "control of K = 4k: 11 x tanh".into(),
            Self::Control(Control::Fasttext) => "fastText".into(),
            Self::Control(Control::Tfidf) => "TF-IDF + logistic regression".into(),
        }
    }

    /// The student's settings on a task, the user's own beneath; paths are filled in when it is run.
    pub fn config(self, task: &str, seed: u64, base: &Config) -> Config {
        let mut config = base.clone();
        config.training.seed = seed;
        if let Self::Dense(preset, _) = self {
            config.dense.preset = preset;
            return config;
        }
        let student = &mut config.student;
        // Topics are told by single words, feelings and hidden messages by overlapping n-grams.
        match folder(task) {
            "senti" => {
                (student.bigrams, student.prefixes) = (true, true);
                student.select = Criterion::Weight;
            }
            "stega" => {
                student.bigrams = true;
                student.select = Criterion::Weight;
                student.row_bits = 8;
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
            Self::Control(Control::Fasttext | Control::Tfidf) | Self::Teacher => {}
            _ => digest.update(self.config(&task.name, seed, base).recipe()),
        }
        if self.taught() || self == Self::Teacher {
            digest.update(teacher::describe(!task.vectors.is_empty()));
        }
        short(digest)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |taught: bool| if taught { "+teacher" } else { "" };
        match *self {
            Self::Teacher => f.write_str("teacher"),
            Self::Dense(Preset::Paper, taught) => write!(f, "paper{}", with(taught)),
            Self::Dense(Preset::Product, taught) => write!(f, "dense{}", with(taught)),
            Self::Edge(size, taught) => write!(f, "edge-{}{}", size.name(), with(taught)),
            Self::Control(control) => f.write_str(control.name()),
        }
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
        let small = of("senti", Method::Edge(Size::K1, true));
        assert_eq!(
            (small.student.rows, small.student.prefixes, small.training.seed),
            (1024, true, 7)
        );
        let grouped = of("topic-groups", Method::Control(Control::Linear));
        assert_eq!(grouped, of("topic", Method::Edge(Size::K4, false)));
        let large = of("topic", Method::Edge(Size::K16, false));
        assert_eq!((large.student.row_bits, large.student.bigrams), (8, true));
        assert_eq!(of("stega", Method::Dense(Preset::Paper, false)).dense.preset, Preset::Paper);
    }
}
