//! A probe teacher: models, the cells that cross-validation chose, the fitted probes and their temperature.

use serde::Serialize;

use super::calibration::{Calibrated, Labels, cool, rows};
use super::cross_validation::{Scaler, choose, cross_validate, stratified, table};
use super::ensemble::{Candidate, Ensemble, average, blends, finalists};
use super::features::Features;
use super::self_training::{View, fit, held_out};
use super::{Identity, Teacher, TeacherError, Work};
use crate::regression::features::Dense;
use crate::regression::logistic::Logistic;

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
    classes: Vec<String>,
    temperature: f64,
    method: String,
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
    ) -> Result<(Self, Findings), TeacherError> {
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
        let members = chosen.iter().zip(scalers).zip(probes).map(|((c, scaler), probe)| Member {
            model: c.model,
            slot: c.slot,
            scaler,
            probe,
        });
        let members = members.collect();
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
        Ok((Self { sources, members, classes: classes.to_vec(), temperature, method }, findings))
    }

    /// One cell's vectors of prepared texts, row-major, and their width: what the probe of a candidate reads.
    pub fn vectors(
        &mut self,
        candidate: &Candidate,
        texts: &[&str],
    ) -> Result<(Vec<f32>, usize), TeacherError> {
        let source = &mut self.sources[candidate.model];
        Ok((source.vectors(texts, candidate.slot)?, source.description().width))
    }
}

fn scaled(
    source: &mut Features,
    slot: usize,
    texts: &[&str],
) -> Result<(Scaler, Dense), TeacherError> {
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
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn models(&self) -> Vec<Identity> {
        self.sources.iter().map(|source| source.description().identity.clone()).collect()
    }

    fn method(&self) -> String {
        self.method.clone()
    }

    fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Work>, TeacherError> {
        self.sources.iter_mut().map(|source| source.prepare(texts, progress)).collect()
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let mut tables = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let values = self.sources[member.model].vectors(texts, member.slot)?;
            tables.push(table(&member.probe, &member.scaler.apply(&values)));
        }
        let table = average(&tables, self.classes.len());
        Ok(rows(&cool(&table, self.classes.len(), self.temperature), self.classes.len()))
    }
}
