//! The report at a glance: a line a task and share, a column a method.

use std::fmt::Write as _;

use super::label_source::{By, Tutor};
use super::method::{Method, Size};
use super::report::Report;
use crate::commands::controls::Control;
use crate::options::Preset;

/// A column: what stands above it, and the method whose accuracy stands in it.
type Column = (&'static str, Method);

/// Both tables, those columns left out that no task has.
pub fn overview(report: &Report) -> String {
    let (model, words) = (By::Teacher(Tutor::Model), By::Teacher(Tutor::Words));
    let edge = |by| Method::Edge(Size::K4, by);
    let control = |control, by| Method::Control(control, by);
    let dense = Method::Dense;
    let mut out = String::new();
    table(
        &mut out,
        report,
        "On words: the edge student of K = 4k, its linear control, the teachers, and baselines.",
        &[
            ("student", edge(By::Labels)),
            ("with regression", edge(By::Regression)),
            ("with TF-IDF as teacher", edge(words)),
            ("with teacher", edge(model)),
            ("linear control", control(Control::Linear, By::Labels)),
            ("linear, with teacher", control(Control::Linear, model)),
            ("teacher", Method::Teacher(Tutor::Model)),
            ("TF-IDF", control(Control::Tfidf, By::Labels)),
            ("fastText", control(Control::Fasttext, By::Labels)),
        ],
    );
    table(
        &mut out,
        report,
        "On the language model's hidden states:",
        &[
            ("paper's student", dense(Preset::Paper, By::Labels)),
            ("with teacher", dense(Preset::Paper, model)),
            ("dense student", dense(Preset::Product, By::Labels)),
            ("with teacher", dense(Preset::Product, model)),
            ("teacher", Method::Teacher(Tutor::Model)),
        ],
    );
    if out.is_empty() { out } else { format!("\n## At a glance\n{out}") }
}

fn table(out: &mut String, report: &Report, title: &str, columns: &[Column]) {
    let has = |method: Method| {
        report.tasks.iter().any(|t| t.shares().into_iter().any(|s| t.of(s, method).is_some()))
    };
    let columns: Vec<&Column> = columns.iter().filter(|column| has(column.1)).collect();
    // A teacher alone says nothing of students.
    if columns.iter().all(|column| matches!(column.1, Method::Teacher(_))) {
        return;
    }
    let _ = writeln!(out, "\n{title} Mean accuracy over the seeds.\n");
    let heads: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let _ = writeln!(out, "| task | labels | {} |", heads.join(" | "));
    let _ = writeln!(out, "| --- | --: |{}", " --: |".repeat(columns.len()));
    for task in &report.tasks {
        for share in task.shares() {
            let cell = |column: &&Column| {
                task.of(share, column.1)
                    .map_or(String::new(), |f| format!("{:.3}", f.accuracy.mean))
            };
            let cells: Vec<String> = columns.iter().map(cell).collect();
            let _ = writeln!(out, "| {} | {share}% | {} |", task.name, cells.join(" | "));
        }
    }
}
