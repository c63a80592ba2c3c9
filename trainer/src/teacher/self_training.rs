//! Self-training: the blend labels the unlabelled texts, and every probe is fitted again on its own labels and those.
//!
//! The members see a text from different sides (layers, poolings, models), so where they agree the blend is more often
//! right than each alone, and each learns from the others. Only features of the unlabelled texts are used, never
//! labels that were set aside.

use crate::regression::dense::{Logistic, Matrix};
use crate::teacher::calibration::{Labels, best};
use crate::teacher::ensemble::average;

/// One member's features: the labelled rows first, then the pool of unlabelled texts.
#[derive(Debug, Clone)]
pub struct View {
    pub x: Matrix,
    /// Penalty that cross-validation chose on the labelled rows.
    pub penalty: f64,
}

/// Weight of a labelled row; a pool row weighs the square of the blend's confidence, at most 1.
const LABELLED_WEIGHT: f64 = 3.0;
/// With thousands of rows instead of a hundred the penalty of the labelled fit is too strong.
const PENALTY_SHARE: f64 = 0.3;

/// Fits one model a view on the labelled rows named in `inside`, then `rounds` times on those and the pool.
pub fn fit(views: &[View], labels: &Labels, inside: &[usize], rounds: usize) -> Vec<Logistic> {
    let classes = labels.classes;
    let one_hot = labels.one_hot(inside);
    let mut models: Vec<Logistic> = views
        .iter()
        .map(|view| {
            let mut model = Logistic::zero(classes, view.x.columns);
            model.fit(&view.x.select(inside), &one_hot, &vec![1.0; inside.len()], view.penalty);
            model
        })
        .collect();
    let pool: Vec<usize> =
        views.first().map_or_else(Vec::new, |v| (labels.of.len()..v.x.rows()).collect());
    if pool.is_empty() {
        return models;
    }
    let rows = [inside, &pool].concat();
    let matrices: Vec<Matrix> = views.iter().map(|view| view.x.select(&rows)).collect();
    for _ in 0..rounds {
        let (mut targets, mut weights) = (one_hot.clone(), vec![LABELLED_WEIGHT; inside.len()]);
        for row in predict(&models, &matrices, inside.len()..rows.len()).chunks_exact(classes) {
            let top = best(row);
            targets.extend((0..classes).map(|c| f64::from(u8::from(c == top))));
            weights.push((2.0 * row[top]).exp());
        }
        for ((model, x), view) in models.iter_mut().zip(&matrices).zip(views) {
            model.fit(x, &targets, &weights, view.penalty * PENALTY_SHARE);
        }
    }
    models
}

/// Averaged log-probabilities of a range of rows: one matrix a model.
pub fn predict(models: &[Logistic], matrices: &[Matrix], rows: std::ops::Range<usize>) -> Vec<f64> {
    let tables: Vec<Vec<f64>> = models
        .iter()
        .zip(matrices)
        .map(|(model, x)| rows.clone().flat_map(|i| model.log_probabilities(x.row(i))).collect())
        .collect();
    let tables: Vec<&[f64]> = tables.iter().map(Vec::as_slice).collect();
    average(&tables, models.first().map_or(1, Logistic::classes))
}

/// Log-probabilities of every labelled row by models that did not see its label.
pub fn held_out(views: &[View], labels: &Labels, fold: &[usize], rounds: usize) -> Vec<f64> {
    let mut table = vec![0.0; labels.of.len() * labels.classes];
    for held in 0..fold.iter().max().map_or(0, |f| f + 1) {
        let inside: Vec<usize> = (0..fold.len()).filter(|&i| fold[i] != held).collect();
        let outside: Vec<usize> = (0..fold.len()).filter(|&i| fold[i] == held).collect();
        let models = fit(views, labels, &inside, rounds);
        let matrices: Vec<Matrix> = views.iter().map(|view| view.x.select(&outside)).collect();
        let rows = predict(&models, &matrices, 0..outside.len());
        for (&i, row) in outside.iter().zip(rows.chunks_exact(labels.classes)) {
            table[i * labels.classes..(i + 1) * labels.classes].copy_from_slice(row);
        }
    }
    table
}
