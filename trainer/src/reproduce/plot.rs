//! The two plots: accuracy against bytes with all labels, accuracy against the share of labels.

use super::figures::Stat;
use super::label_source::{By, Tutor};
use super::method::{Method, Size};
use super::report::{Report, TaskReport};
use crate::commands::controls::Control;
use crate::options::Preset;
use crate::plots::{Axis, Panel, Point, Scale, Series, figure};

/// A family of methods: its legend, whether its points are joined, its members. Its place is its colour.
type Family = (&'static str, bool, Vec<Method>);

fn families() -> Vec<Family> {
    let edge = |by| Size::ALL.map(|size| Method::Edge(size, by)).to_vec();
    let dense = |preset| vec![Method::Dense(preset, By::Labels)];
    vec![
        ("edge student", true, edge(By::Labels)),
        ("edge student, with teacher", true, edge(By::Teacher(Tutor::Model))),
        (
            "linear, cosine, tanh controls",
            false,
            [Control::Linear, Control::Cosine, Control::Tanh]
                .map(|control| Method::Control(control, By::Labels))
                .to_vec(),
        ),
        ("fastText", false, vec![Method::Control(Control::Fasttext, By::Labels)]),
        ("TF-IDF + logistic regression", false, vec![Method::Control(Control::Tfidf, By::Labels)]),
        ("teacher", false, vec![Method::Teacher(Tutor::Model)]),
        ("paper's student", false, dense(Preset::Paper)),
        ("dense student", false, dense(Preset::Product)),
    ]
}

/// Accuracy against the bytes of the model, one panel a task, the largest share of labels there is.
pub fn by_bytes(report: &Report) -> String {
    let panel = |task: &TaskReport| {
        let share = task.figures.iter().map(|f| f.share).max().unwrap_or(100);
        let find = |method: Method| task.of(share, method);
        let series = series(families(), |method| {
            let row = find(method)?;
            Some(point(row.bytes?.mean, &row.accuracy))
        });
        let bytes: Vec<f64> = series.iter().flat_map(|s| &s.points).map(|p| p.x).collect();
        let low = bytes.iter().copied().fold(f64::INFINITY, f64::min);
        let high = bytes.iter().copied().fold(0.0, f64::max);
        let ends = if bytes.is_empty() {
            (3, 7)
        } else {
            (low.log10().floor() as i32, high.log10().ceil() as i32)
        };
        let name = |power: i32| match power {
            ..3 => format!("{} B", 10_i32.pow(power.max(0) as u32)),
            3..6 => format!("{} kB", 10_i32.pow(power as u32 - 3)),
            _ => format!("{} MB", 10_i32.pow((power as u32 - 6).min(9))),
        };
        Panel {
            title: format!("{} ({share}% of the labels)", task.title),
            x: Axis {
                range: (10_f64.powi(ends.0), 10_f64.powi(ends.1)),
                scale: Scale::Log,
                ticks: (ends.0..=ends.1).map(|power| (10_f64.powi(power), name(power))).collect(),
                title: "bytes of the model, logarithmic".into(),
            },
            y: accuracy(&series),
            series,
        }
    };
    figure(&report.tasks.iter().map(panel).collect::<Vec<_>>())
}

/// Accuracy against the share of known labels, one panel a task, the edge student of 4k rows.
pub fn by_labels(report: &Report) -> String {
    let families = || -> Vec<Family> {
        let mut all = families();
        all[0] = ("edge student, K = 4k", true, vec![Method::Edge(Size::K4, By::Labels)]);
        all[1] = (
            "edge student, K = 4k, with teacher",
            true,
            vec![Method::Edge(Size::K4, By::Teacher(Tutor::Model))],
        );
        all[2] = ("linear control", true, vec![Method::Control(Control::Linear, By::Labels)]);
        all
    };
    let panel = |task: &TaskReport| {
        let shares = task.shares();
        let series: Vec<Series> = families()
            .into_iter()
            .enumerate()
            .map(|(style, (name, _, methods))| Series {
                name: name.into(),
                style,
                joined: true,
                points: shares
                    .iter()
                    .flat_map(|&share| methods.iter().filter_map(move |&m| task.of(share, m)))
                    .map(|row| point(f64::from(row.share), &row.accuracy))
                    .collect(),
            })
            .filter(|series| !series.points.is_empty())
            .collect();
        let low = f64::from(shares.iter().min().copied().unwrap_or(1));
        Panel {
            title: task.title.clone(),
            x: Axis {
                range: (low * 0.85, 115.0),
                scale: Scale::Log,
                ticks: shares.iter().map(|&s| (f64::from(s), format!("{s}%"))).collect(),
                title: "known labels, logarithmic".into(),
            },
            y: accuracy(&series),
            series,
        }
    };
    figure(&report.tasks.iter().map(panel).collect::<Vec<_>>())
}

fn point(x: f64, accuracy: &Stat) -> Point {
    Point { x, y: accuracy.mean, error: accuracy.sd.unwrap_or(0.0) }
}

/// The families that have a point; numbers of colours stay with the family.
fn series(families: Vec<Family>, point: impl Fn(Method) -> Option<Point>) -> Vec<Series> {
    let all = families.into_iter().enumerate().map(|(style, (name, joined, methods))| Series {
        name: name.into(),
        style,
        joined,
        points: methods.into_iter().filter_map(&point).collect(),
    });
    all.filter(|series| !series.points.is_empty()).collect()
}

/// The axis of the accuracies: from the lowest to the highest bar, marks at round values.
fn accuracy(series: &[Series]) -> Axis {
    let points = || series.iter().flat_map(|s| &s.points);
    let low = points().map(|p| p.y - p.error).fold(1.0, f64::min);
    let high = points().map(|p| p.y + p.error).fold(0.0, f64::max);
    let span = (high - low).max(0.02);
    let step = [0.01, 0.02, 0.05, 0.1, 0.2].into_iter().find(|s| span / s <= 7.0).unwrap_or(0.5);
    let (first, last) = ((low / step - 0.2).floor() as i32, (high / step + 0.2).ceil() as i32);
    let (first, last) = (first.max(0), last.max(first + 1));
    let ticks = (first..=last).map(|i| f64::from(i) * step).map(|v| (v, format!("{v:.2}")));
    Axis {
        range: (f64::from(first) * step, f64::from(last) * step),
        scale: Scale::Linear,
        ticks: ticks.collect(),
        title: "accuracy".into(),
    }
}
