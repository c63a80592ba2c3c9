//! What the figures say, in sentences that are computed from them.

use serde::Serialize;

use super::figures::{Difference, Stat, differences};
use super::journal::Run;
use super::label_source::{By, Tutor};
use super::method::{Method, Size};
use crate::commands::controls::Control;

/// What the figures say.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// The edge student of 4k rows less each of its controls, and less the linear one that learned as it did.
    pub circuit: Vec<Difference>,
    /// Students with teacher less the same without.
    pub teacher: Vec<Difference>,
    /// With the teacher that reads hidden states less with the one of TF-IDF alone: the teachers, and what they taught.
    pub model: Vec<Difference>,
    /// Whether the circuit is better or worse than its controls, in a sentence; `None` without a comparison.
    pub circuit_says: Option<String>,
    /// Whether a teacher helps, in a sentence; `None` without a comparison.
    pub teacher_says: Option<String>,
    /// What hidden states add to the teacher of TF-IDF alone, in a sentence; `None` without a comparison.
    pub model_says: Option<String>,
}

impl Findings {
    /// Of some runs.
    pub fn of(runs: &[Run]) -> Self {
        let (model, words) = (By::Teacher(Tutor::Model), By::Teacher(Tutor::Words));
        let circuit: Vec<Difference> = [
            (Control::Linear, By::Labels),
            (Control::Cosine, By::Labels),
            (Control::Tanh, By::Labels),
            (Control::Linear, By::Regression),
            (Control::Linear, words),
            (Control::Linear, model),
        ]
        .into_iter()
        .flat_map(|(control, by)| {
            let (student, control) = (Method::Edge(Size::K4, by), Method::Control(control, by));
            differences(runs, &student.to_string(), &control.to_string())
        })
        .collect();
        let less = |with: Method, without: Method| {
            differences(runs, &with.to_string(), &without.to_string())
        };
        let taught = |method: Method| match method {
            Method::Edge(size, by) if by == model => less(method, Method::Edge(size, By::Labels)),
            Method::Dense(preset, by) if by == model => {
                less(method, Method::Dense(preset, By::Labels))
            }
            _ => Vec::new(),
        };
        let teacher: Vec<Difference> = Method::all().into_iter().flat_map(taught).collect();
        let students = less(Method::Edge(Size::K4, model), Method::Edge(Size::K4, words));
        let teachers = less(Method::Teacher(Tutor::Model), Method::Teacher(Tutor::Words));
        Self {
            circuit_says: circuit_says(&circuit),
            teacher_says: by_share("A teacher moves its student", &teacher),
            model_says: by_share(
                "Hidden states beside TF-IDF in the teacher move its edge student",
                &students,
            ),
            model: [teachers, students].concat(),
            circuit,
            teacher,
        }
    }
}

/// Points of accuracy with a sign.
pub fn points(share: f64) -> String {
    format!("{:+.1}", 100.0 * share)
}

fn tally(differences: &[Difference]) -> (usize, usize) {
    let count = |verdict: i8| differences.iter().filter(|d| d.verdict() == verdict).count();
    (count(1), count(-1))
}

fn circuit_says(differences: &[Difference]) -> Option<String> {
    let means: Vec<f64> = differences.iter().map(|d| d.difference.mean).collect();
    let all = Stat::of(&means)?;
    let (ahead, behind) = tally(differences);
    let verdict = match (ahead, behind) {
        (0, 0) => {
            "The circuit is neutral: it neither gains nor loses accuracy beside a linear, cosine or tanh control of the same size"
        }
        (a, b) if a > 2 * b && a * 4 > differences.len() => "The circuit is ahead of its controls",
        (a, b) if b > 2 * a && b * 4 > differences.len() => "The circuit is behind its controls",
        _ => "The circuit is neutral on the whole",
    };
    Some(format!(
        "{verdict}. Of {} comparisons (task, share of labels, control) it is ahead by more than two standard errors in {ahead} and behind in {behind}; the mean difference is {} points of accuracy.",
        differences.len(),
        points(all.mean)
    ))
}

/// A sentence of mean differences, share by share; `None` without one.
fn by_share(subject: &str, differences: &[Difference]) -> Option<String> {
    let shares: std::collections::BTreeSet<u32> = differences.iter().map(|d| d.share).collect();
    let mut parts = Vec::new();
    for share in shares.into_iter().rev() {
        let of: Vec<Difference> =
            differences.iter().filter(|d| d.share == share).cloned().collect();
        let means: Vec<f64> = of.iter().map(|d| d.difference.mean).collect();
        let (ahead, behind) = tally(&of);
        parts.push(format!(
            "with {share}% of the labels {} points on average (more than two standard errors up in {ahead} of {} comparisons, down in {behind})",
            points(Stat::of(&means)?.mean),
            of.len()
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
