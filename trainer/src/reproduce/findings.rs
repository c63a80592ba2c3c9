//! What the figures say, in sentences that are computed from them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::figures::{Difference, Stat, differences};
use super::journal::Run;
use super::method::{MODEL, Method, Size, Supervision, TFIDF, TeacherKind};
use crate::controls::Control;

/// The comparisons, and a sentence on each; `None` without a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// The edge student of 4k rows less each of its controls, and less the linear one that learned as it did.
    pub circuit: Vec<Difference>,
    /// Students with teacher less the same without.
    pub teacher: Vec<Difference>,
    /// With the teacher that reads hidden states less with the one of TF-IDF alone: the teachers, and what they taught.
    pub model: Vec<Difference>,
    pub circuit_says: Option<String>,
    pub teacher_says: Option<String>,
    pub model_says: Option<String>,
}

impl Findings {
    pub fn of(runs: &[Run]) -> Self {
        use Supervision::{Labels, Regression};
        let edge = |by| Method::Edge(Size::K4, by);
        let mut circuit = Vec::new();
        for (control, by) in [
            (Control::Linear, Labels),
            (Control::Cosine, Labels),
            (Control::Tanh, Labels),
            (Control::Linear, Regression),
            (Control::Linear, TFIDF),
            (Control::Linear, MODEL),
        ] {
            circuit.extend(differences(runs, edge(by), Method::Control(control, by)));
        }
        let mut teacher = Vec::new();
        for method in Method::all() {
            let without = match method {
                Method::Edge(size, MODEL) => Method::Edge(size, Labels),
                Method::Dense(preset, MODEL) => Method::Dense(preset, Labels),
                _ => continue,
            };
            teacher.extend(differences(runs, method, without));
        }
        let students = differences(runs, edge(MODEL), edge(TFIDF));
        let [with, without] = TeacherKind::ALL.map(Method::Teacher);
        Self {
            circuit_says: circuit_says(&circuit),
            teacher_says: by_share("A teacher moves its student", &teacher),
            model_says: by_share(
                "Hidden states beside TF-IDF in the teacher move its edge student",
                &students,
            ),
            model: [differences(runs, with, without), students].concat(),
            circuit,
            teacher,
        }
    }
}

pub fn points(share: f64) -> String {
    format!("{:+.1}", 100.0 * share)
}

/// The mean difference in points, how many are more than two standard errors up and down, and how many there are.
fn tally<'a>(
    differences: impl Iterator<Item = &'a Difference> + Clone,
) -> Option<(String, usize, usize, usize)> {
    let mean = Stat::of(differences.clone().map(|d| d.difference.mean))?;
    let count = |verdict| differences.clone().filter(|d| d.verdict() == verdict).count();
    Some((points(mean.mean), count(1), count(-1), mean.n))
}

fn circuit_says(differences: &[Difference]) -> Option<String> {
    let (mean, ahead, behind, of) = tally(differences.iter())?;
    let verdict = match (ahead, behind) {
        (0, 0) => {
            "The circuit is neutral: it neither gains nor loses accuracy beside a linear, cosine or tanh control of the same size"
        }
        (a, b) if a > 2 * b && a * 4 > of => "The circuit is ahead of its controls",
        (a, b) if b > 2 * a && b * 4 > of => "The circuit is behind its controls",
        _ => "The circuit is neutral on the whole",
    };
    Some(format!(
        "{verdict}. Of {of} comparisons (task, share of labels, control) it is ahead by more than two standard errors in {ahead} and behind in {behind}; the mean difference is {mean} points of accuracy."
    ))
}

/// A sentence of mean differences, share by share; `None` without one.
fn by_share(subject: &str, differences: &[Difference]) -> Option<String> {
    let shares: BTreeSet<u32> = differences.iter().map(|d| d.share).collect();
    let mut parts = Vec::new();
    for share in shares.into_iter().rev() {
        let (mean, ahead, behind, of) = tally(differences.iter().filter(|d| d.share == share))?;
        parts.push(format!(
            "with {share}% of the labels {mean} points on average (more than two standard errors up in {ahead} of {of} comparisons, down in {behind})"
        ));
    }
    (!parts.is_empty()).then(|| format!("{subject} {}.", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(mean: f64) -> Difference {
        Difference {
            task: "t".into(),
            share: 100,
            method: "edge-4k".into(),
            against: "linear".into(),
            difference: Stat { mean, sd: None, n: 1 },
            standard_error: 0.01,
        }
    }

    #[test]
    fn sentences_follow_the_figures() {
        let says = |means: &[f64]| {
            circuit_says(&means.iter().map(|&m| difference(m)).collect::<Vec<_>>()).unwrap()
        };
        assert!(says(&[0.01, -0.015, 0.002]).starts_with("The circuit is neutral: "));
        assert!(says(&[0.03, 0.04, 0.002]).starts_with("The circuit is ahead"));
        assert!(says(&[-0.03, -0.04, 0.002]).starts_with("The circuit is behind"));
        assert!(
            says(&[-0.03, 0.04, 0.0])
                .contains("ahead by more than two standard errors in 1 and behind in 1")
        );
        assert_eq!(circuit_says(&[]), None);
        let says = by_share("A teacher", &[difference(0.05), difference(-0.03)]).unwrap();
        assert!(
            says.starts_with("A teacher with 100% of the labels +1.0 points")
                && says.contains("down in 1"),
            "{says}"
        );
    }
}
