//! Self-training: the blend labels the unlabelled texts, and every probe is fitted again on its own labels and those.
//!
//! The members see a text from different sides (layers, poolings, models), so where they agree the blend is more often
//! right than each alone, and each learns from the others. Only features of the unlabelled texts are used, never
//! labels that were set aside.

use super::calibration::Labels;
use super::cross_validation::{count, fit_probe, put, split, table};
use super::ensemble::average;
use crate::numeric::argmax;
use crate::regression::features::{Dense, Features};
use crate::regression::logistic::Logistic;

/// One member's features: the labelled rows first, then the pool of unlabelled texts.
#[derive(Debug, Clone)]
pub struct View {
    pub x: Dense,
    pub penalty: f64,
}

/// Weight of a labelled row; a pool row weighs the square of the blend's confidence, at most 1.
const LABELLED_WEIGHT: f64 = 3.0;
/// With thousands of rows instead of a hundred the penalty of the labelled fit is too strong.
const PENALTY_SHARE: f64 = 0.3;

/// Fits one model a view on the labelled rows named in `inside`, then `rounds` times on those and the pool.
pub fn fit(views: &[View], labels: &Labels, inside: &[usize], rounds: usize) -> Vec<Logistic> {
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
        let (mut truth, mut weights) = (labelled.clone(), vec![LABELLED_WEIGHT; inside.len()]);
        for row in predict(&models, views, &pool, classes).chunks_exact(classes) {
            let top = argmax(row);
            truth.push(top);
            weights.push((2.0 * row[top]).exp());
        }
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
pub fn held_out(views: &[View], labels: &Labels, fold: &[usize], rounds: usize) -> Vec<f64> {
    let mut all = vec![0.0; labels.of.len() * labels.classes];
    for held in 0..count(fold) {
        let (inside, outside) = split(fold, held);
        let models = fit(views, labels, &inside, rounds);
        put(&mut all, labels.classes, &outside, &predict(&models, views, &outside, labels.classes));
    }
    all
}
