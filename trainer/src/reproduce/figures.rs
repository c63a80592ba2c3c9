//! Runs to figures: mean and standard deviation over seeds, and differences of pairs.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::journal::Run;
use super::method::Method;

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
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { mean, sd: (n > 1).then(|| (square / (n - 1) as f64).sqrt()), n })
    }
}

/// One method on one share of a task.
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

/// The figures of one task: shares falling, methods in the order of [`Method::all`].
pub fn figures(runs: &[Run], task: &str) -> Vec<Figures> {
    let order: Vec<String> = Method::all().iter().map(ToString::to_string).collect();
    let place = |run: &Run| order.iter().position(|name| *name == run.method);
    let mut groups: BTreeMap<(Reverse<u32>, usize), Vec<&Run>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.task == task) {
        let place = place(run).unwrap_or(order.len());
        groups.entry((Reverse(run.share), place)).or_default().push(run);
    }
    groups.into_values().filter_map(|group| of_runs(&group)).collect()
}

fn of_runs(runs: &[&Run]) -> Option<Figures> {
    let first = runs.first()?;
    let all = |of: fn(&Run) -> f64| Stat::of(runs.iter().map(|run| of(run)));
    let some = |of: fn(&Run) -> Option<f64>| Stat::of(runs.iter().filter_map(|run| of(run)));
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
        parameters: some(|run| run.parameters.map(|n| n as f64)),
        bytes: some(|run| run.bytes.map(|n| n as f64)),
        peak_memory_bytes: some(|run| run.peak_memory_bytes.map(|n| n as f64)),
        train_seconds: all(|run| run.train_seconds)?,
        microseconds_per_text: some(|run| run.microseconds_per_text),
    })
}

/// The difference of two methods' accuracies, seed by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub task: String,
    /// Percentage of the labels that were known.
    pub share: u32,
    pub method: String,
    pub against: String,
    /// Difference of the accuracies of equal seeds.
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

/// Runs of two methods on the same task, share and seed.
type Pairs<'r> = Vec<(&'r Run, &'r Run)>;

/// The difference of two methods on every task and share that has both; tasks by name, shares falling.
pub fn differences(runs: &[Run], method: Method, against: Method) -> Vec<Difference> {
    let (method, against) = (method.to_string(), against.to_string());
    let mut groups: BTreeMap<(&str, Reverse<u32>), Pairs<'_>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.method == method) {
        let same = |other: &&Run| {
            (&other.task, other.share, other.seed) == (&run.task, run.share, run.seed)
                && other.method == against
        };
        if let Some(other) = runs.iter().find(same) {
            groups.entry((&run.task, Reverse(run.share))).or_default().push((run, other));
        }
    }
    let difference = |((task, Reverse(share)), pairs): ((&str, _), Pairs<'_>)| {
        let difference = Stat::of(pairs.iter().map(|(a, b)| a.accuracy - b.accuracy))?;
        let (first, other) = pairs.first()?;
        let texts = first.test_texts as f64;
        let sampling = |run: &Run| run.accuracy * (1.0 - run.accuracy) / texts;
        let over_seeds = difference.sd.map_or(0.0, |sd| sd * sd / difference.n as f64);
        Some(Difference {
            task: task.to_owned(),
            share,
            method: method.clone(),
            against: against.clone(),
            difference,
            standard_error: (over_seeds + (sampling(first) + sampling(other))).sqrt(),
        })
    };
    groups.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn mean_and_sample_deviation() {
        let stat = Stat::of([0.8, 0.9, 0.7]).unwrap();
        assert!((stat.mean - 0.8).abs() < 1e-12 && (stat.sd.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(Stat::of([0.5]), Some(Stat { mean: 0.5, sd: None, n: 1 }));
        assert_eq!(Stat::of([]), None);
    }
}
