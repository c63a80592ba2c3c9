//! Runs to figures: mean and standard deviation over seeds, and differences of pairs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::journal::Run;
use super::method::Method;

/// Mean and standard deviation over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stat {
    /// The mean.
    pub mean: f64,
    /// The sample's standard deviation (`n - 1`); `None` for one value.
    pub sd: Option<f64>,
    /// How many values.
    pub n: usize,
}

impl Stat {
    /// Of some values; `None` of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { mean, sd: (n > 1).then(|| (square / (n - 1) as f64).sqrt()), n })
    }

    /// The variance of the mean that the seeds show.
    pub fn variance_of_mean(&self) -> f64 {
        self.sd.map_or(0.0, |sd| sd * sd / self.n as f64)
    }
}

/// One method on one share of a task.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Percentage of the labels that were known.
    pub share: u32,
    /// The method's name.
    pub method: String,
    /// What it is, for people.
    pub title: String,
    /// Seeds done.
    pub seeds: usize,
    /// Training texts with a label.
    pub labels: usize,
    /// Rows of the vocabulary, the least over the seeds.
    pub rows: Option<usize>,
    /// Share of the test texts classified right.
    pub accuracy: Stat,
    /// Weighted precision.
    pub precision: Stat,
    /// Weighted recall.
    pub recall: Stat,
    /// Weighted F1.
    pub f1: Stat,
    /// Numbers that were trained.
    pub parameters: Option<Stat>,
    /// Bytes of the model.
    pub bytes: Option<Stat>,
    /// The most memory that training held at once.
    pub peak_memory_bytes: Option<Stat>,
    /// Seconds of training.
    pub train_seconds: Stat,
    /// Microseconds a text.
    pub microseconds_per_text: Option<Stat>,
}

/// The figures of one task: shares falling, methods in the order of [`Method::all`].
pub fn figures(runs: &[Run], task: &str) -> Vec<Figures> {
    let order: Vec<String> = Method::all().iter().map(ToString::to_string).collect();
    let place =
        |run: &Run| order.iter().position(|name| *name == run.method).unwrap_or(order.len());
    let mut groups: BTreeMap<(std::cmp::Reverse<u32>, usize), Vec<&Run>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.task == task) {
        groups.entry((std::cmp::Reverse(run.share), place(run))).or_default().push(run);
    }
    groups.into_values().filter_map(|group| row(&group)).collect()
}

fn row(runs: &[&Run]) -> Option<Figures> {
    let first = runs.first()?;
    let all = |of: fn(&Run) -> f64| Stat::of(&runs.iter().map(|run| of(run)).collect::<Vec<_>>());
    let some = |of: &dyn Fn(&Run) -> Option<f64>| {
        Stat::of(&runs.iter().filter_map(|run| of(run)).collect::<Vec<_>>())
    };
    Some(Figures {
        share: first.share,
        method: first.method.clone(),
        title: Method::named(&first.method).map_or(first.method.clone(), Method::title),
        seeds: runs.len(),
        labels: first.labels,
        rows: runs.iter().filter_map(|run| run.rows).min(),
        accuracy: all(|run| run.accuracy)?,
        precision: all(|run| run.precision)?,
        recall: all(|run| run.recall)?,
        f1: all(|run| run.f1)?,
        parameters: some(&|run| run.parameters.map(|n| n as f64)),
        bytes: some(&|run| run.bytes.map(|n| n as f64)),
        peak_memory_bytes: some(&|run| run.peak_memory_bytes.map(|n| n as f64)),
        train_seconds: all(|run| run.train_seconds)?,
        microseconds_per_text: some(&|run| run.microseconds_per_text),
    })
}

/// The difference of two methods' accuracies, seed by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The task.
    pub task: String,
    /// Percentage of the labels that were known.
    pub share: u32,
    /// The method whose accuracy counts positive.
    pub method: String,
    /// The one it is compared with.
    pub against: String,
    /// Difference of the accuracies of equal seeds.
    pub difference: Stat,
    /// Standard error of the difference: over the seeds, and of two accuracies on so many test texts.
    pub standard_error: f64,
}

impl Difference {
    /// Whether the difference is more than two standard errors from zero: 1 ahead, -1 behind, 0 neither.
    pub fn verdict(&self) -> i8 {
        let beyond = self.difference.mean.abs() > 2.0 * self.standard_error;
        if beyond { if self.difference.mean > 0.0 { 1 } else { -1 } } else { 0 }
    }
}

/// A task and a share, larger shares first.
type Where<'a> = (&'a str, std::cmp::Reverse<u32>);
/// A method's run and that of the one it is compared with.
type Pair<'a> = (&'a Run, &'a Run);

/// The difference of two methods on every task and share that has both; tasks by name, shares falling.
pub fn differences(runs: &[Run], method: &str, against: &str) -> Vec<Difference> {
    let mut groups: BTreeMap<Where<'_>, Vec<Pair<'_>>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.method == method) {
        let same = |other: &&Run| {
            (&other.task, other.share, other.seed) == (&run.task, run.share, run.seed)
                && other.method == against
        };
        if let Some(other) = runs.iter().find(same) {
            groups.entry((&run.task, std::cmp::Reverse(run.share))).or_default().push((run, other));
        }
    }
    let difference = |((task, share), pairs): (Where<'_>, Vec<Pair<'_>>)| {
        let values: Vec<f64> = pairs.iter().map(|(a, b)| a.accuracy - b.accuracy).collect();
        let difference = Stat::of(&values)?;
        let (first, other) = pairs.first()?;
        let texts = first.test_texts as f64;
        let sampling: f64 =
            [first, other].iter().map(|run| run.accuracy * (1.0 - run.accuracy) / texts).sum();
        Some(Difference {
            task: task.to_owned(),
            share: share.0,
            method: method.to_owned(),
            against: against.to_owned(),
            difference,
            standard_error: (difference.variance_of_mean() + sampling).sqrt(),
        })
    };
    groups.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn mean_and_sample_deviation() {
        let stat = Stat::of(&[0.8, 0.9, 0.7]).unwrap();
        assert!((stat.mean - 0.8).abs() < 1e-12 && (stat.sd.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(Stat::of(&[0.5]), Some(Stat { mean: 0.5, sd: None, n: 1 }));
        assert_eq!(Stat::of(&[]), None);
    }
}
