//! The committee of a language model and a regression on words, and labels that no member agrees with.

use super::options::TeachArgs;
use super::report::{Outcome, Taught};
use super::texts::{Texts, apart};
use crate::numeric::{argmax, softmax};
use crate::teacher::Teacher;
use crate::teacher::committee::{Committee, Member};
use crate::teacher::probe::{Findings, Options};
use anyhow::Result;
use qdllm_host::errors::wrong_use;
use qdllm_host::files;
use qdllm_host::terminal::note;
use std::path::Path;

/// Rounds in which a committee teaches its regression.
const ROUNDS: usize = 2;

/// Joins a teacher with a regression on words, or takes that alone.
pub fn join(args: &TeachArgs, texts: &Texts, taught: Option<Taught>) -> Result<Taught> {
    if args.data.is_empty() {
        return Err(wrong_use("--tfidf learns from labelled texts: give --data"));
    }
    let (labelled, labels, pool) = texts.to_learn();
    let (mut cells, mut speeds, mut model) = (Findings::default(), Vec::new(), None);
    if let Some((mut teacher, found, work)) = taught {
        speeds = work;
        // Probes have judged their labelled texts held out; a teacher that saw no label may simply be asked.
        let held_out = match &found {
            Some(found) => found.labelled.clone(),
            None => teacher.logits(&labelled)?,
        };
        cells = found.unwrap_or_default();
        model = Some(Member { teacher, held_out });
    }
    let options = Options { rounds: ROUNDS, seed: 0 };
    let (teacher, found) =
        Committee::fit(model, (&labelled, &labels), &pool, &texts.classes, options)?;
    let Findings { cells, finalists, blends, .. } = cells;
    let findings = Findings { cells, finalists, blends, ..found };
    Ok((Box::new(teacher), Some(findings), speeds))
}

/// Writes the labelled texts that no member takes for what their label says, the surest first: label, class taken, the
/// label's probability, text.
pub fn suspects(
    path: &Path,
    texts: &Texts,
    teacher: &mut dyn Teacher,
    outcome: &Outcome,
) -> Result<()> {
    let (of, labels) = apart(&texts.known);
    let (held_out, contradicted) = match &outcome.findings {
        Some(found) => (found.labelled.clone(), found.contradicted.clone()),
        // A teacher that saw no label has nothing to hold out.
        None => (teacher.logits(&of)?, vec![true; of.len()]),
    };
    let classes = &teacher.about().classes;
    let mut found: Vec<(f32, String)> = Vec::new();
    for (i, logits) in held_out.iter().enumerate() {
        if !contradicted[i] || argmax(logits) == labels[i] {
            continue;
        }
        let p = softmax(logits, 1.0)[labels[i]];
        let (label, taken) = (&classes[labels[i]], &classes[argmax(logits)]);
        let plain = of[i].replace(['\t', '\n', '\r'], " ");
        found.push((p, format!("{label}\t{taken}\t{p:.3}\t{plain}\n")));
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    note(format_args!("wrote {} ({} of {} labels)", path.display(), found.len(), of.len()));
    files::write(path, found.into_iter().map(|(_, row)| row).collect::<String>())
}
