//! A probe teacher: models, the cells that cross-validation chose, the fitted probes and their temperature.
//!
//! Self-training: the blend labels the unlabelled texts, and every probe is fitted again on its own labels and those.
//! The members see a text from different sides (layers, poolings, models), so where they agree the blend is more often
//! right than each alone, and each learns from the others. Only features of the unlabelled texts are used, never
//! labels that were set aside.

use crate::numeric::argmax;
use crate::regression::logistic::{Dense, Logistic};
use crate::teacher::calibration::{
    Calibrated, Labels, as_good_as, average, cool, losses, rows, with_pool,
};
use crate::teacher::cross_validation::{
    Scaler, Trial, choose, cross_validate, fit_probe, put, splits, stratified, table,
};
use crate::teacher::features::Features;
use crate::teacher::{About, Cell, OnProgress, Teacher, Work};
use anyhow::{Result, bail};
use serde::Serialize;
use std::cmp::Reverse;

/// Most unlabelled texts that take part in scaling and self-training; more cost time and gain little.
pub const POOL_TEXTS: usize = 8000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Rounds of self-training on the unlabelled texts; 0 for none.
    pub rounds: usize,
    pub seed: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Findings {
    /// Every cell of every model at its best penalty.
    pub cells: Vec<Candidate>,
    pub finalists: Vec<Candidate>,
    /// Sets of finalists, best first; the first was taken.
    pub blends: Vec<Ensemble>,
    /// Held-out accuracy of the whole method on the labelled rows, self-training included.
    pub accuracy: f64,
    /// Held-out loss of the same after the temperature, nats.
    pub loss: f64,
    pub temperature: f64,
    /// Logits of the labelled rows by models that did not see their labels.
    #[serde(skip)]
    pub labelled: Vec<Vec<f32>>,
    /// Whether each of those rows is taken for another class by every member.
    #[serde(skip)]
    pub contradicted: Vec<bool>,
}

impl Findings {
    /// Judges log-probabilities of labelled rows, and those of each member, by models that did not see their labels.
    pub fn judged(held_out: &[f64], members: &[Vec<f64>], labels: &Labels) -> Self {
        let of =
            |member: &Vec<f64>, i: usize| argmax(&member[i * labels.classes..][..labels.classes]);
        let wrong = |(i, &label)| members.iter().all(|member| of(member, i) != label);
        let contradicted = labels.of.iter().enumerate().map(wrong).collect();
        let Calibrated { table, temperature, accuracy, loss } = Calibrated::new(held_out, labels);
        let labelled = rows(&table, labels.classes);
        Self { labelled, contradicted, accuracy, loss, temperature, ..Self::default() }
    }
}

struct View {
    model: usize,
    slot: usize,
    scaler: Scaler,
    penalty: f64,
    /// The labelled rows first, then the pool of unlabelled texts; empty once a probe is fitted.
    x: Dense,
}

pub struct ProbeTeacher {
    sources: Vec<Features>,
    members: Vec<(View, Logistic)>,
    about: About,
    temperature: f64,
}

impl ProbeTeacher {
    /// Chooses cells and fits probes on labelled texts, with unlabelled ones (already prepared in every source, like
    /// the labelled) for scaling and self-training.
    pub fn fit(
        mut sources: Vec<Features>,
        (texts, labels): (&[&str], &[usize]),
        unlabelled: &[&str],
        classes: &[String],
        options: Options,
    ) -> Result<(Self, Findings)> {
        let fold = stratified(texts, labels, classes, options.seed)?;
        let labels = Labels { of: labels.to_vec(), classes: classes.len() };
        let all: Vec<&str> =
            texts.iter().chain(unlabelled.iter().take(POOL_TEXTS)).copied().collect();

        let mut cells = Vec::new();
        for (model, source) in sources.iter_mut().enumerate() {
            for (slot, cell) in source.description().cells.clone().into_iter().enumerate() {
                let x = scaled(source, slot, &all)?.1;
                let rows: Vec<usize> = (0..texts.len()).collect();
                let trials = cross_validate(&x.select(&rows), &labels, &fold);
                let trial = choose(trials, &labels);
                cells.extend(trial.map(|trial| Candidate { model, slot, cell, trial }));
            }
        }
        let finalists = finalists(&cells);
        let blends = blends(&finalists, &labels);
        let Some(chosen) = blends.first() else { bail!("no model was given to probe") };
        let chosen: Vec<&Candidate> = chosen.members.iter().map(|&i| &finalists[i]).collect();

        let mut views = Vec::new();
        for &&Candidate { model, slot, ref trial, .. } in &chosen {
            let (scaler, x) = scaled(&mut sources[model], slot, &all)?;
            views.push(View { model, slot, scaler, penalty: trial.penalty, x });
        }
        let raw = held_out(&views, &labels, &fold, options.rounds);
        let judged = Findings::judged(&raw, std::slice::from_ref(&raw), &labels);
        let everyone: Vec<usize> = (0..texts.len()).collect();
        let probes = fit(&views, &labels, &everyone, options.rounds);
        let fitted = views.into_iter().zip(probes);
        let members =
            fitted.map(|(view, probe)| (View { x: Dense::default(), ..view }, probe)).collect();
        let method = describe(&sources, &chosen, options, all.len() - texts.len());
        let temperature = judged.temperature;
        let findings = Findings { cells, finalists, blends, ..judged };
        let models = sources.iter().map(|source| source.description().identity.clone()).collect();
        let about = About { classes: classes.to_vec(), models, method };
        Ok((Self { sources, members, about, temperature }, findings))
    }

    /// One cell's vectors of prepared texts, row-major, and their width: what the probe of a candidate reads.
    pub fn vectors(&mut self, candidate: &Candidate, texts: &[&str]) -> Result<(Vec<f32>, usize)> {
        let source = &mut self.sources[candidate.model];
        Ok((source.vectors(texts, candidate.slot)?, source.description().width))
    }
}

fn scaled(source: &mut Features, slot: usize, texts: &[&str]) -> Result<(Scaler, Dense)> {
    let values = source.vectors(texts, slot)?;
    let scaler = Scaler::measure(&values, source.description().width);
    let x = scaler.apply(&values);
    Ok((scaler, x))
}

fn describe(sources: &[Features], chosen: &[&Candidate], options: Options, pool: usize) -> String {
    let model = |(m, source): (usize, &Features)| {
        let about = source.description();
        let own = chosen.iter().filter(|c| c.model == m);
        let own: Vec<String> =
            own.map(|c| format!("{}, penalty {}", c.cell, c.trial.penalty)).collect();
        format!("{} ({}) at {}", about.identity.name, about.summary, own.join(" and "))
    };
    let models: Vec<String> = sources.iter().enumerate().map(model).collect();
    let rounds = match options.rounds {
        0 => String::new(),
        n => format!("; {n} rounds of self-training on {pool} unlabelled texts"),
    };
    format!(
        "linear probes, averaged: {}{rounds}; folds by seed {}; labelled texts by held-out probes",
        models.join("; "),
        options.seed
    )
}

impl Teacher for ProbeTeacher {
    fn about(&self) -> &About {
        &self.about
    }

    fn prepare(&mut self, texts: &[&str], progress: OnProgress<'_>) -> Result<Vec<Work>> {
        self.sources.iter_mut().map(|source| source.prepare(texts, progress)).collect()
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut tables = Vec::with_capacity(self.members.len());
        for (view, probe) in &self.members {
            let values = self.sources[view.model].vectors(texts, view.slot)?;
            tables.push(table(probe, &view.scaler.apply(&values)));
        }
        let classes = self.about.classes.len();
        Ok(rows(&cool(&average(&tables, classes), classes, self.temperature), classes))
    }
}

/// With thousands of rows instead of a hundred the penalty of the labelled fit is too strong.
const PENALTY_SHARE: f64 = 0.3;

/// Fits one model a view on the labelled rows named in `inside`, then `rounds` times on those and the pool.
fn fit(views: &[View], labels: &Labels, inside: &[usize], rounds: usize) -> Vec<Logistic> {
    let (classes, labelled) = (labels.classes, labels.select(inside));
    let weights = vec![1.0; inside.len()];
    let first = |view: &View| {
        let mut model = Logistic::zero(classes, view.x.columns);
        fit_probe(&mut model, &view.x.select(inside), (&labelled, &weights), view.penalty);
        model
    };
    let mut models: Vec<Logistic> = views.iter().map(first).collect();
    let pool: Vec<usize> =
        views.first().map_or_else(Vec::new, |v| (labels.of.len()..v.x.rows()).collect());
    if pool.is_empty() || rounds == 0 {
        return models;
    }
    let rows = [inside, &pool].concat();
    let all: Vec<Dense> = views.iter().map(|view| view.x.select(&rows)).collect();
    for _ in 0..rounds {
        let pool = predict(&models, views, &pool, classes);
        let (truth, weights) = with_pool(&labelled, &pool, classes);
        for ((model, x), view) in models.iter_mut().zip(&all).zip(views) {
            fit_probe(model, x, (&truth, &weights), view.penalty * PENALTY_SHARE);
        }
    }
    models
}

fn predict(models: &[Logistic], views: &[View], rows: &[usize], classes: usize) -> Vec<f64> {
    let of = |(model, view): (&Logistic, &View)| table(model, &view.x.select(rows));
    average(&models.iter().zip(views).map(of).collect::<Vec<_>>(), classes)
}

/// Log-probabilities of every labelled row by models that did not see its label.
fn held_out(views: &[View], labels: &Labels, fold: &[usize], rounds: usize) -> Vec<f64> {
    let mut all = vec![0.0; labels.of.len() * labels.classes];
    for (inside, outside) in splits(fold) {
        let models = fit(views, labels, &inside, rounds);
        put(&mut all, labels.classes, &outside, &predict(&models, views, &outside, labels.classes));
    }
    all
}

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
