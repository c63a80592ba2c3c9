//! The verdicts as one table.

use super::labels::{Likeness, Text};
use super::trial::Verdict;

/// Prints a column for each way of asking.
pub fn print(columns: &[(&str, usize, Verdict)], texts: &[Text]) {
    let names: Vec<String> = columns.iter().map(|(ask, ..)| format!("`{ask}`")).collect();
    println!("| | {} |\n|{}", names.join(" | "), " --- |".repeat(names.len() + 1));
    let row = |name: &str, cell: &dyn Fn(usize, &Verdict) -> String| {
        let cells: Vec<String> = columns.iter().map(|(_, n, verdict)| cell(*n, verdict)).collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    row("texts", &|n, _| n.to_string());
    row("undisturbed: requests, server's tokens", &|_, v| {
        format!("{}, {}", v.calm.0.arrived, v.calm.0.tokens)
    });
    row("undisturbed: seconds a text", &|n, v| format!("{:.2}", v.calm.1 / n as f64));
    row("rough: requests, of which the server answered", &|_, v| {
        format!("{}, {}", v.rough.arrived, v.rough.served)
    });
    row("rough: faults (429, 503, HTML, cut, held)", &|_, v| {
        let counts: Vec<String> = v.rough.faults.values().map(ToString::to_string).collect();
        counts.join(", ")
    });
    row("SIGKILL", &|_, v| v.kills.to_string());
    row("stopped at requests, of", &|_, v| format!("{}, {}", v.stops[0].0, v.stops[0].1));
    row("stopped at server's tokens, of", &|_, v| format!("{}, {}", v.stops[1].0, v.stops[1].1));
    row("texts labelled once, lost, twice", &|n, _| format!("{n}, 0, 0"));
    row("answers asked for again after a kill", &|_, v| v.again.to_string());
    row("largest gap of a logit, two undisturbed runs", &|_, v| format!("{:.4}", v.own.gap));
    row("largest gap of a logit, interrupted run", &|_, v| format!("{:.4}", v.resumed.gap));
    row("same decision, interrupted run", &|_, v| format!("{:.3}", v.resumed.agreement));
    row("accuracy, no label used", &|n, v| format!("{:.3}", v.labels.accuracy(&texts[..n])));
}

/// Prints how our own teacher compares.
pub fn print_own(like: &Likeness) {
    println!(
        "our own teacher on the same file and prompts: correlation {:.5}, largest gap of a logit {:.3}, same \
         decision {:.3}",
        like.correlation, like.gap, like.agreement
    );
}
