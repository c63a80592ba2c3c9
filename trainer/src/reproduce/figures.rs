//! Runs to figures: mean and standard deviation over seeds, differences of pairs, and what they say in sentences.

use super::journal::{Outcome, Run};
use super::method::{METHODS, Method};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Mean and standard deviation over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stat {
    pub mean: f64,
    /// The sample's standard deviation (`n - 1`); `None` for one value.
    pub sd: Option<f64>,
    pub n: usize,
}

impl Stat {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = (n > 1).then(|| (square / (n - 1) as f64).sqrt());
        (n > 0).then_some(Self { mean, sd, n })
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Percentage of the labels that were known.
    pub share: u32,
    pub method: String,
    pub title: String,
    pub seeds: usize,
    pub labels: usize,
    /// Rows of the vocabulary, the least over the seeds.
    pub rows: Option<usize>,
    pub accuracy: Stat,
    pub precision: Stat,
    pub recall: Stat,
    pub f1: Stat,
    pub parameters: Option<Stat>,
    pub bytes: Option<Stat>,
    pub peak_memory_bytes: Option<Stat>,
    pub train_seconds: Stat,
    pub microseconds_per_text: Option<Stat>,
}

/// The figures of one task: shares falling, methods in the order of [`METHODS`].
pub fn figures(runs: &[Run], task: &str) -> Vec<Figures> {
    let mut groups: BTreeMap<(Reverse<u32>, usize), Vec<&Run>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.task == task) {
        let place = METHODS.iter().position(|method| method.name == run.method);
        let place = place.unwrap_or(METHODS.len());
        groups.entry((Reverse(run.share), place)).or_default().push(run);
    }
    groups.into_values().filter_map(|group| Figures::of(&group)).collect()
}

impl Figures {
    fn of(runs: &[&Run]) -> Option<Self> {
        let first = runs.first()?;
        let all = |of: fn(&Outcome) -> f64| Stat::of(runs.iter().map(|run| of(&run.outcome)));
        let some = |of: fn(&Outcome) -> Option<f64>| {
            Stat::of(runs.iter().filter_map(|run| of(&run.outcome)))
        };
        Some(Self {
            share: first.share,
            method: first.method.clone(),
            title: Method::named(&first.method).map_or(&first.method, |m| &m.title).clone(),
            seeds: runs.len(),
            labels: first.labels,
            rows: runs.iter().filter_map(|run| run.outcome.rows).min(),
            accuracy: all(|of| of.accuracy)?,
            precision: all(|of| of.weighted.precision)?,
            recall: all(|of| of.weighted.recall)?,
            f1: all(|of| of.weighted.f1)?,
            parameters: some(|of| Some(of.parameters? as f64)),
            bytes: some(|of| Some(of.bytes? as f64)),
            peak_memory_bytes: some(|of| Some(of.peak_memory_bytes? as f64)),
            train_seconds: all(|of| of.train_seconds)?,
            microseconds_per_text: some(|of| of.microseconds_per_text),
        })
    }
}

/// The difference of two methods' accuracies, seed by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub task: String,
    /// Percentage of the labels that were known.
    pub share: u32,
    pub method: String,
    pub against: String,
    pub difference: Stat,
    /// Standard error of the difference: over the seeds, and of two accuracies on so many test texts.
    pub standard_error: f64,
}

impl Difference {
    /// Whether the difference is more than two standard errors from zero: 1 ahead, -1 behind, 0 neither.
    pub fn verdict(&self) -> i8 {
        let mean = self.difference.mean;
        if mean.abs() <= 2.0 * self.standard_error { 0 } else { mean.signum() as i8 }
    }
}

/// The difference of two methods on every task and share that has both; tasks by name, shares falling.
fn differences(runs: &[Run], method: &str, against: &str) -> Vec<Difference> {
    let mut groups: BTreeMap<(&str, Reverse<u32>), Vec<[&Run; 2]>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.method == method) {
        let place = (&run.task, run.share, run.seed);
        let same = |o: &&Run| o.method == against && (&o.task, o.share, o.seed) == place;
        if let Some(other) = runs.iter().find(same) {
            groups.entry((&run.task, Reverse(run.share))).or_default().push([run, other]);
        }
    }
    let difference = |((task, Reverse(share)), pairs): ((&str, _), Vec<[&Run; 2]>)| {
        let accuracies = pairs.iter().map(|pair| pair.map(|run| run.outcome.accuracy));
        let difference = Stat::of(accuracies.clone().map(|[a, b]| a - b))?;
        let texts = pairs[0][0].test_texts as f64;
        let sampling = accuracies.clone().next()?.map(|a| a * (1.0 - a) / texts);
        let over_seeds = difference.sd.map_or(0.0, |sd| sd * sd / difference.n as f64);
        Some(Difference {
            task: task.to_owned(),
            share,
            method: method.into(),
            against: against.into(),
            difference,
            standard_error: (over_seeds + (sampling[0] + sampling[1])).sqrt(),
        })
    };
    groups.into_iter().filter_map(difference).collect()
}

/// The comparisons, and a sentence on each; `None` without a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// The edge student of 4k rows less each of its controls, and less the linear one that learned as it did.
    pub circuit: Vec<Difference>,
    pub teacher: Vec<Difference>,
    /// With the teacher that reads hidden states less with the one of TF-IDF alone: the teachers, and what they taught.
    pub model: Vec<Difference>,
    pub circuit_says: Option<String>,
    pub teacher_says: Option<String>,
    pub model_says: Option<String>,
}

impl Findings {
    pub fn of(runs: &[Run]) -> Self {
        let circuit: Vec<Difference> = [
            ("edge-4k", "linear"),
            ("edge-4k", "cosine"),
            ("edge-4k", "tanh"),
            ("edge-4k+regression", "linear+regression"),
            ("edge-4k+tfidf", "linear+tfidf"),
            ("edge-4k+teacher", "linear+teacher"),
        ]
        .into_iter()
        .flat_map(|(student, control)| differences(runs, student, control))
        .collect();
        let teacher: Vec<Difference> = ["paper", "dense", "edge-1k", "edge-4k", "edge-16k"]
            .into_iter()
            .flat_map(|student| differences(runs, &format!("{student}+teacher"), student))
            .collect();
        let students = differences(runs, "edge-4k+teacher", "edge-4k+tfidf");
        Self {
            circuit_says: circuit_says(&circuit),
            teacher_says: by_share("A teacher moves its student", &teacher),
            model_says: by_share(
                "Hidden states beside TF-IDF in the teacher move its edge student",
                &students,
            ),
            model: [differences(runs, "teacher", "teacher-tfidf"), students].concat(),
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
    let shares: BTreeSet<Reverse<u32>> = differences.iter().map(|d| Reverse(d.share)).collect();
    let part = |Reverse(share): Reverse<u32>| {
        let (mean, ahead, behind, of) = tally(differences.iter().filter(|d| d.share == share))?;
        Some(format!(
            "with {share}% of the labels {mean} points on average (more than two standard errors up in {ahead} of {of} comparisons, down in {behind})"
        ))
    };
    let parts: Vec<String> = shares.into_iter().filter_map(part).collect();
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

    #[test]
    fn mean_and_sample_deviation() {
        let stat = Stat::of([0.8, 0.9, 0.7]).unwrap();
        assert!((stat.mean - 0.8).abs() < 1e-12 && (stat.sd.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(Stat::of([0.5]), Some(Stat { mean: 0.5, sd: None, n: 1 }));
        assert_eq!(Stat::of([]), None);
    }
}
