//! What a batch's counts decide, for people.

use super::access::states_text;
use crate::quafu::jobs::results::{Answers, Summary};
use crate::quafu::jobs::store::Open;
use crate::simulate::Share;

pub fn print(open: &Open, found: &Answers) {
    let (batch, jobs) = (&open.batch, &open.jobs);
    println!("batch {}: {}; {} shots on {}", batch.id, states_text(jobs), batch.shots, batch.chip);
    match found {
        Answers::Decisions(all) => {
            for decision in all {
                let text = &decision.text;
                let line = if text.line > 0 { format!("{}: ", text.line) } else { String::new() };
                let Some(answer) = &decision.answer else {
                    println!("{line}no counts yet: {}", text.text);
                    continue;
                };
                let mark = match &text.label {
                    Some(label) if *label != answer.label => format!(", labelled {label}"),
                    _ => String::new(),
                };
                let exact = if decision.exact == answer.label {
                    String::new()
                } else {
                    format!(", by exact simulation {}", decision.exact)
                };
                let rejected = if answer.rejected { ", under the model's threshold" } else { "" };
                println!(
                    "{line}{}  {:.3} +- {:.3}, margin {:.2} +- {:.2}{rejected}{exact}{mark}: {}",
                    answer.label,
                    answer.probability,
                    answer.probability_error,
                    answer.margin,
                    answer.margin_error,
                    text.text
                );
            }
            if all.len() == 1 {
                return;
            }
            let s = Summary::of(all);
            let share = |s: &Share| {
                let percent = |x: f64| 100.0 * x;
                let (low, high) = (percent(s.low), percent(s.high));
                format!("{} of {} ({:.1} %; {low:.1} to {high:.1})", s.hits, s.of, percent(s.share))
            };
            if let Some(accuracy) = &s.accuracy {
                println!("right: {}", share(accuracy));
            }
            println!("as decided by exact simulation: {}", share(&s.agreement));
            println!("other class by over three standard errors: {}", s.clear_disagreements);
        }
        Answers::Outputs(None) => println!("no counts yet"),
        Answers::Outputs(Some(outputs)) => {
            for (k, (value, error)) in outputs.values.iter().zip(&outputs.errors).enumerate() {
                println!("output {k}: {value:+.4} +- {error:.4}");
            }
        }
    }
}
