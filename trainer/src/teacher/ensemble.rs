//! Choosing probes and averaging them: the best cell of each model and pooling, then the best set of those.

use std::cmp::Reverse;

use serde::Serialize;

use crate::teacher::Cell;
use crate::teacher::calibration::{Calibrated, Labels, as_good_as, cool, losses};
use crate::teacher::cross_validation::Trial;

/// A cell of a model with the outcome of one penalty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub model: usize,
    pub slot: usize,
    pub cell: Cell,
    #[serde(flatten)]
    pub trial: Trial,
}

/// A set of candidates whose log-probabilities are averaged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ensemble {
    pub members: Vec<usize>,
    pub accuracy: f64,
    pub loss: f64,
    pub temperature: f64,
}

/// Of every (model, pooling) the candidate with the lowest held-out loss, in order of appearance. Loss rather than
/// accuracy: on a hundred labels accuracy moves in steps that are mostly luck.
pub fn finalists(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut best: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let same =
            |b: &Candidate| (b.model, b.cell.pooling) == (candidate.model, candidate.cell.pooling);
        match best.iter_mut().find(|b| same(b)) {
            None => best.push(candidate.clone()),
            Some(b) if candidate.trial.loss < b.trial.loss => *b = candidate.clone(),
            Some(_) => {}
        }
    }
    best
}

/// Judges every set of finalists that has at least one member of each model. First comes the one to take: the largest
/// that the labels cannot tell from the best (an average errs less the more it is over); then by rising loss.
pub fn blends(finalists: &[Candidate], labels: &Labels) -> Vec<Ensemble> {
    let models = finalists.iter().map(|c| c.model + 1).max().unwrap_or(0);
    let table = |members: &[usize]| {
        let tables: Vec<&[f64]> =
            members.iter().map(|&i| finalists[i].trial.held_out.as_slice()).collect();
        average(&tables, labels.classes)
    };
    let mut all: Vec<Ensemble> = (1..1usize << finalists.len())
        .map(|set| (0..finalists.len()).filter(|i| set >> i & 1 == 1).collect::<Vec<_>>())
        .filter(|members| (0..models).all(|m| members.iter().any(|&i| finalists[i].model == m)))
        .map(|members| {
            let Calibrated { accuracy, loss, temperature, .. } =
                Calibrated::new(&table(&members), labels);
            Ensemble { members, accuracy, loss, temperature }
        })
        .collect();
    all.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    if let Some(lowest) = all.first() {
        let best = losses(&table(&lowest.members), labels);
        let close = |b: &Ensemble| as_good_as(&losses(&table(&b.members), labels), &best);
        // The first of equally many members has the lower loss.
        let taken = (0..all.len())
            .filter(|&i| close(&all[i]))
            .max_by_key(|&i| (all[i].members.len(), Reverse(i)))
            .unwrap_or(0);
        all[..=taken].rotate_right(1);
    }
    all
}

/// Mean of several tables of log-probabilities, normalised again row by row.
pub fn average(tables: &[impl AsRef<[f64]>], classes: usize) -> Vec<f64> {
    let mut sum = vec![0.0; tables.first().map_or(0, |t| t.as_ref().len())];
    for table in tables {
        sum.iter_mut().zip(table.as_ref()).for_each(|(s, v)| *s += v / tables.len() as f64);
    }
    cool(&sum, classes, 1.0)
}

impl Candidate {
    /// `layer 15 mean, penalty 0.001` with the model's name in front.
    pub fn describe(&self, model: &str) -> String {
        format!("{model} {}, penalty {}", self.cell, self.trial.penalty)
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, blends, finalists};
    use crate::teacher::calibration::{Labels, judge};
    use crate::teacher::cross_validation::Trial;
    use crate::teacher::{Cell, Pooling};

    fn labels() -> Labels {
        Labels { of: (0..40).map(|i| i % 2).collect(), classes: 2 }
    }

    /// Says the truth with probability `p`, except on every `wrong`-th row starting at `phase`.
    fn table(p: f64, wrong: usize, phase: usize) -> Vec<f64> {
        let row = |i: usize| {
            let truth = if (i + phase).is_multiple_of(wrong) { 1 - i % 2 } else { i % 2 };
            [0, 1].map(|c| if c == truth { p.ln() } else { (1.0 - p).ln() })
        };
        (0..40).flat_map(row).collect()
    }

    fn candidate(model: usize, layer: usize, held_out: Vec<f64>) -> Candidate {
        let (accuracy, loss) = judge(&held_out, &labels());
        let trial = Trial { penalty: 1.0, accuracy, loss, held_out };
        Candidate { model, slot: layer, cell: Cell { layer, pooling: Pooling::Mean }, trial }
    }

    #[test]
    fn keeps_the_best_layer_and_one_member_of_each_model() {
        let all = [
            candidate(0, 1, table(0.7, 3, 0)),
            candidate(0, 2, table(0.8, 8, 0)),
            candidate(1, 6, table(0.8, 8, 4)),
        ];
        let best = finalists(&all);
        assert_eq!(
            best.iter().map(|c| (c.model, c.cell.layer)).collect::<Vec<_>>(),
            [(0, 2), (1, 6)]
        );
        let sets = blends(&best, &labels());
        assert_eq!(sets.len(), 1, "both models must take part");
        assert_eq!(sets[0].members, [0, 1]);
        assert!(
            sets[0].loss < best[0].trial.loss,
            "errors on different rows: the average is better"
        );
    }
}
