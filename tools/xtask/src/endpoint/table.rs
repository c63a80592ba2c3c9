//! The verdicts as one table.

use super::labels::{Likeness, Text};
use super::trial::Verdict;

/// One way of asking with its figures, each with its name.
pub struct Column {
    /// The way.
    pub ask: String,
    cells: Vec<(&'static str, String)>,
}

impl Column {
    /// The figures of a trial with `texts`.
    pub fn new(ask: &str, texts: &[Text], v: &Verdict) -> Self {
        let (n, (calm, seconds)) = (texts.len(), &v.calm);
        let faults: Vec<String> = v.rough.faults.values().map(ToString::to_string).collect();
        let of = |(spent, limit): (u64, u64)| format!("{spent} of {limit}");
        let cells = vec![
            ("texts", n.to_string()),
            ("undisturbed: requests", calm.arrived.to_string()),
            ("undisturbed: tokens that the server counted", calm.tokens.to_string()),
            ("undisturbed: seconds", format!("{seconds:.0}")),
            ("rough: SIGKILL", v.kills.to_string()),
            ("rough: requests", v.rough.arrived.to_string()),
            ("rough: 429, 503, HTML, cut, held", faults.join(", ")),
            ("rough: first stop, requests", of(v.stops[0])),
            ("rough: second stop, tokens that the server counted", of(v.stops[1])),
            ("rough: texts labelled once; lost; twice", format!("{n}; 0; 0")),
            ("rough: answers asked for again after a kill", v.again.to_string()),
            ("largest difference of a logit, undisturbed runs", format!("{:.4}", v.own.gap)),
            ("largest difference of a logit, rough run", format!("{:.4}", v.resumed.gap)),
            ("accuracy, no label used", format!("{:.3}", v.labels.accuracy(texts))),
        ];
        Self { ask: ask.to_owned(), cells }
    }

    /// Its figures on one line.
    pub fn line(&self) -> String {
        let cells: Vec<String> =
            self.cells.iter().map(|(name, cell)| format!("{name}: {cell}")).collect();
        cells.join(" | ")
    }
}

/// Prints a column for each way of asking.
pub fn print(columns: &[Column]) {
    let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.ask)).collect();
    println!("| | {} |\n|{}", names.join(" | "), " --- |".repeat(names.len() + 1));
    for (i, (name, _)) in columns.first().map_or(&[][..], |c| &c.cells).iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| column.cells[i].1.as_str()).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}

/// Prints how our own teacher compares.
pub fn print_own(like: &Likeness) {
    println!(
        "our own teacher on the same file and prompts: correlation {:.5}, largest difference of a logit {:.3}, \
         same decision {:.3}",
        like.correlation, like.gap, like.agreement
    );
}
