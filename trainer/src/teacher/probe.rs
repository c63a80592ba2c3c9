//! A probe teacher: models, the cells that cross-validation chose, the fitted probes and their temperature.
//!
//! Self-training: the blend labels the unlabelled texts, and every probe is fitted again on its own labels and those.
//! The members see a text from different sides (layers, poolings, models), so where they agree the blend is more often
//! right than each alone, and each learns from the others. Only features of the unlabelled texts are used, never
//! labels that were set aside.

use serde::Serialize;

use crate::regression::logistic::{Dense, Features as _, Logistic};
use crate::teacher::calibration::{Calibrated, Labels, cool, rows, with_pool};
use crate::teacher::cross_validation::{
    Scaler, choose, count, cross_validate, fit_probe, put, split, stratified, table,
};
use crate::teacher::ensemble::{Candidate, Ensemble, average, blends, finalists};
use crate::teacher::features::Features;
use crate::teacher::{About, Result, Teacher, TeacherError, Work};

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
    /// The best cell of each model and pooling.
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
}

struct Member {
    model: usize,
    slot: usize,
    scaler: Scaler,
    probe: Logistic,
}

pub struct ProbeTeacher {
    sources: Vec<Features>,
    members: Vec<Member>,
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
        let Some(chosen) = blends.first() else {
            return Err(TeacherError::Labels("no model was given to probe".into()));
        };
        let chosen: Vec<&Candidate> = chosen.members.iter().map(|&i| &finalists[i]).collect();

        let (mut views, mut scalers) = (Vec::new(), Vec::new());
        for candidate in &chosen {
            let (scaler, x) = scaled(&mut sources[candidate.model], candidate.slot, &all)?;
            views.push(View { x, penalty: candidate.trial.penalty });
            scalers.push(scaler);
        }
        let raw = held_out(&views, &labels, &fold, options.rounds);
        let Calibrated { table, temperature, accuracy, loss } = Calibrated::new(&raw, &labels);
        let everyone: Vec<usize> = (0..texts.len()).collect();
        let probes = fit(&views, &labels, &everyone, options.rounds);
        let member = |((c, scaler), probe): ((&&Candidate, Scaler), Logistic)| Member {
            model: c.model,
            slot: c.slot,
            scaler,
            probe,
        };
        let members = chosen.iter().zip(scalers).zip(probes).map(member).collect();
        let method = describe(&sources, &chosen, options, all.len() - texts.len());
        let findings = Findings {
            labelled: rows(&table, labels.classes),
            accuracy,
            loss,
            temperature,
            blends: blends.clone(),
            finalists: finalists.clone(),
            cells,
        };
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
    let models: Vec<String> = sources
        .iter()
        .enumerate()
        .map(|(m, source)| {
            let about = source.description();
            let own: Vec<String> = chosen
                .iter()
                .filter(|c| c.model == m)
                .map(|c| format!("{}, penalty {}", c.cell, c.trial.penalty))
                .collect();
            format!("{} ({}) at {}", about.identity.name, about.summary, own.join(" and "))
        })
        .collect();
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

    fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Work>> {
        self.sources.iter_mut().map(|source| source.prepare(texts, progress)).collect()
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut tables = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let values = self.sources[member.model].vectors(texts, member.slot)?;
            tables.push(table(&member.probe, &member.scaler.apply(&values)));
        }
        let classes = self.about.classes.len();
        Ok(rows(&cool(&average(&tables, classes), classes, self.temperature), classes))
    }
}

/// One member's features: the labelled rows first, then the pool of unlabelled texts.
struct View {
    x: Dense,
    penalty: f64,
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
    for held in 0..count(fold) {
        let (inside, outside) = split(fold, held);
        let models = fit(views, labels, &inside, rounds);
        put(&mut all, labels.classes, &outside, &predict(&models, views, &outside, labels.classes));
    }
    all
}
