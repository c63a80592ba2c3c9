//! The two plots: accuracy against bytes with all labels, accuracy against the share of labels.

use super::figures::Figures;
use super::report::{Report, TaskReport};
use qdllm_host::plots::{Axis, Panel, Point, Series, figure};

/// A family of methods: its legend and its members. Its place is its colour.
type Family = (&'static str, &'static [&'static str]);

/// The families behind the first three, which are the students and controls that a plot shows.
const OTHERS: [Family; 5] = [
    ("fastText", &["fasttext"]),
    ("TF-IDF + logistic regression", &["tfidf"]),
    ("teacher", &["teacher"]),
    ("paper's student", &["paper"]),
    ("dense student", &["dense"]),
];

/// One panel a task: its title, its series, and the horizontal axis that belongs to them.
fn panels(report: &Report, of: impl Fn(&TaskReport) -> (String, Vec<Series>, Axis)) -> String {
    let panel = |task: &TaskReport| {
        let (title, series, x) = of(task);
        Panel { title, x, y: accuracy(&series), series }
    };
    figure(&report.tasks.iter().map(panel).collect::<Vec<_>>())
}

/// Accuracy against the bytes of the model, the largest share of labels there is.
pub fn by_bytes(report: &Report) -> String {
    let first: [Family; 3] = [
        ("edge student", &["edge-1k", "edge-4k", "edge-16k"]),
        ("edge student, with teacher", &["edge-1k+teacher", "edge-4k+teacher", "edge-16k+teacher"]),
        ("linear, cosine, tanh controls", &["linear", "cosine", "tanh"]),
    ];
    panels(report, |task| {
        let share = task.figures.iter().map(|f| f.share).max().unwrap_or(100);
        let of_share = |f: &Figures| f.bytes.filter(|_| f.share == share).map(|bytes| bytes.mean);
        let series = series(task, first, 2, of_share);
        let bytes = || series.iter().flat_map(|s| &s.points).map(|p| p.x);
        let (low, high) = (bytes().fold(f64::INFINITY, f64::min), bytes().fold(0.0, f64::max));
        let ends = match high {
            0.0 => (3, 7),
            _ => (low.log10().floor() as i32, high.log10().ceil() as i32),
        };
        let name = |power: i32| match power {
            ..3 => format!("{} B", 10_i32.pow(power.max(0) as u32)),
            3..6 => format!("{} kB", 10_i32.pow(power as u32 - 3)),
            _ => format!("{} MB", 10_i32.pow((power as u32 - 6).min(9))),
        };
        let x = Axis {
            range: (10_f64.powi(ends.0), 10_f64.powi(ends.1)),
            logarithmic: true,
            ticks: (ends.0..=ends.1).map(|power| (10_f64.powi(power), name(power))).collect(),
            title: "bytes of the model, logarithmic".into(),
        };
        (format!("{} ({share}% of the labels)", task.title), series, x)
    })
}

/// Accuracy against the share of known labels, the edge student of 4k rows.
pub fn by_labels(report: &Report) -> String {
    let first: [Family; 3] = [
        ("edge student, K = 4k", &["edge-4k"]),
        ("edge student, K = 4k, with teacher", &["edge-4k+teacher"]),
        ("linear control", &["linear"]),
    ];
    panels(report, |task| {
        let shares = task.shares();
        let series = series(task, first, 8, |f| Some(f64::from(f.share)));
        let low = f64::from(shares.iter().min().copied().unwrap_or(1));
        let x = Axis {
            range: (low * 0.85, 115.0),
            logarithmic: true,
            ticks: shares.iter().map(|&s| (f64::from(s), format!("{s}%"))).collect(),
            title: "known labels, logarithmic".into(),
        };
        (task.title.clone(), series, x)
    })
}

/// The families that have a point, the points of the first few joined; numbers of colours stay with the family.
fn series(
    task: &TaskReport,
    first: [Family; 3],
    joined: usize,
    x: impl Fn(&Figures) -> Option<f64>,
) -> Vec<Series> {
    let point = |f: &Figures| {
        Some(Point { x: x(f)?, y: f.accuracy.mean, error: f.accuracy.sd.unwrap_or(0.0) })
    };
    let points = |method: &&str| {
        let of = task.figures.iter().filter(|f| f.method == *method);
        of.filter_map(point).collect::<Vec<Point>>()
    };
    let all = first.into_iter().chain(OTHERS).enumerate().map(|(style, (name, methods))| Series {
        name: name.into(),
        style,
        joined: style < joined,
        points: methods.iter().flat_map(points).collect(),
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
    let at = |i: i32| f64::from(i) * step;
    Axis {
        range: (at(first), at(last)),
        logarithmic: false,
        ticks: (first..=last).map(|i| (at(i), format!("{:.2}", at(i)))).collect(),
        title: "accuracy".into(),
    }
}
