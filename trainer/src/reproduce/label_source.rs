//! Who answers for the texts that a student or a control learns from.

use std::path::PathBuf;

use super::task::Task;

/// A teacher that answers for all training texts and knows only the labels that its students know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tutor {
    /// Hidden states of a language model, where there are any, beside TF-IDF.
    Model,
    /// TF-IDF alone: what a teacher gives that has read nothing but the task's own texts.
    Words,
}

impl Tutor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Model, Self::Words];

    /// The hidden states of a task that it reads.
    pub fn vectors(self, task: &Task) -> &[PathBuf] {
        match self {
            Self::Model => &task.vectors,
            Self::Words => &[],
        }
    }
}

/// Who answers for the texts that a student or a control learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The labels.
    Labels,
    /// A logistic regression on the student's own n-grams, fitted on the same labels.
    Regression,
    /// A teacher.
    Teacher(Tutor),
}

impl By {
    /// What a method's name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Labels => "",
            Self::Regression => "+regression",
            Self::Teacher(Tutor::Model) => "+teacher",
            Self::Teacher(Tutor::Words) => "+tfidf",
        }
    }

    /// What a method's title ends with.
    pub fn words(self) -> &'static str {
        match self {
            Self::Labels => "",
            Self::Regression => ", with regression",
            Self::Teacher(Tutor::Model) => ", with teacher",
            Self::Teacher(Tutor::Words) => ", with TF-IDF as teacher",
        }
    }
}
