//! `qdllm classify`: texts to classes, one by one as devices do it, a file in batches on all cores.

use crate::data::{RowOptions, text_lines, vectors::table};
use crate::inference::{self, BatchClassifier, Moved, Scratch, explain, parse, parse_for_text};
use crate::options::OverDefaults;
use anyhow::Result;
use clap::Args;
use qdllm_host::rows::texts_of;
use qdllm_host::terminal::{note, output};
use qdllm_runtime::{Model, Prediction};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Classify texts with a model file
///
/// Texts come from the arguments, from --input (in batches on all cores), or from standard input.
///
/// Examples:
///   qdllm classify model.qdm "turn off the porch light"
///   qdllm classify model.qdm --input texts.txt --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ClassifyArgs {
    /// The model file
    pub model: PathBuf,
    /// Texts
    pub texts: Vec<String>,
    /// A file with one text a line, or .tsv, .csv or .jsonl, whose text column is taken; `-` is standard input
    #[arg(long, short, conflicts_with = "texts")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// A file of vectors (.safetensors, .jsonl), for a model that takes vectors
    #[arg(long, value_name = "FILE", conflicts_with_all = ["texts", "input", "explain"])]
    pub vectors: Option<PathBuf>,
    /// How many classes are listed, most probable first
    #[arg(long, default_value_t = 3)]
    pub top: usize,
    /// Show the n-grams that moved the decision
    #[arg(long)]
    pub explain: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &ClassifyArgs) -> Result<()> {
    let bytes = inference::load(&args.model)?;
    let mut out = output();
    if let Some(path) = &args.vectors {
        return vectors(&parse(&bytes, &args.model)?.0, path, args, out);
    }
    let (model, _) = parse_for_text(&bytes, &args.model)?;
    if let Some(path) = &args.input {
        let texts = texts_of(path, &args.rows)?;
        let many = BatchClassifier::new(&model);
        let done = many.each(texts, |text, p| write(&model, text, p, args, &mut out));
        return done.and(Ok(out.flush()?));
    }
    let mut scratch = Box::new(Scratch::new());
    let mut answer = |text: &str| -> Result<()> {
        write(&model, text, &model.classify(text, &mut scratch)?, args, &mut out)?;
        // A device or a person on the other end of a pipe waits for each line.
        Ok(out.flush()?)
    };
    if !args.texts.is_empty() {
        return args.texts.iter().try_for_each(|text| answer(text));
    } else if std::io::stdin().is_terminal() {
        note("type a text a line; end with Ctrl-D");
    }
    text_lines("standard input".into(), std::io::stdin().lock()).try_for_each(|line| answer(&line?))
}

#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    class: usize,
    label: &'a str,
    probability: f32,
    rejected: bool,
    found: u32,
    /// As `found`: its first name.
    known_ngrams: u32,
    top: Vec<(&'a str, f32)>,
    probabilities: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<Moved>>,
}

fn write(
    model: &Model<'_>,
    text: &str,
    p: &Prediction<'_>,
    args: &ClassifyArgs,
    out: &mut impl Write,
) -> Result<()> {
    let answer = Answer {
        text,
        class: p.class(),
        label: model.label(p.class()),
        probability: p.probability(),
        rejected: p.is_rejected(),
        found: p.found(),
        known_ngrams: p.found(),
        top: p.top(args.top).map(|(c, p)| (model.label(c), p)).collect(),
        probabilities: p.probabilities(),
        explanation: args.explain.then(|| explain(model, text)).transpose()?,
    };
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&answer)?)?);
    }
    let Answer { label, probability, ref top, .. } = answer;
    let others: Vec<String> = top.iter().skip(1).map(|(l, p)| format!("{l} {p:.3}")).collect();
    let (others, rejected) = (others.join(", "), rejected(p));
    writeln!(out, "{label}\t{probability:.3}\t{text}\t{others}{rejected}")?;
    for moved in answer.explanation.iter().flatten() {
        writeln!(out, "    {:+.3}  {}", moved.by, moved.ngram)?;
    }
    Ok(())
}

fn rejected(p: &Prediction<'_>) -> &'static str {
    match p.found() {
        0 => "  (rejected: nothing of it is known)",
        _ if p.is_rejected() => "  (rejected: too unsure)",
        _ => "",
    }
}

/// Classifies every row of a file of vectors, in its order: row, class, probability.
fn vectors(model: &Model<'_>, path: &Path, args: &ClassifyArgs, mut out: impl Write) -> Result<()> {
    let table = table(path)?;
    inference::takes_vectors(model, &args.model, table.width)?;
    let mut scratch = Box::new(Scratch::new());
    for row in 0..table.rows() {
        let p = model.classify_vector(table.row(row), &mut scratch)?;
        let (row, label) = (row + 1, model.label(p.class()));
        if args.json {
            let answer = serde_json::json!({
                "row": row, "class": p.class(), "label": label, "probability": p.probability(),
                "rejected": p.is_rejected(), "probabilities": p.probabilities(),
            });
            writeln!(out, "{answer}")?;
        } else {
            writeln!(out, "{row}\t{label}\t{:.3}{}", p.probability(), rejected(&p))?;
        }
    }
    Ok(out.flush()?)
}
