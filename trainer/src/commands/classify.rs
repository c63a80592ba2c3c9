//! `qdllm classify`: texts to classes, through the runtime that devices run.

use crate::commands::{load, takes_text};
use crate::explain::explain;
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_runtime::{Model, Scratch};
use serde::Serialize;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;

/// Classify texts with a model file
///
/// Texts come from the arguments, from --input, or line by line from standard input.
///
/// Examples:
///
///   qdllm classify model.qdm "turn off the porch light"
///
///   qdllm classify model.qdm --input texts.txt --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ClassifyArgs {
    /// The model file
    pub model: PathBuf,
    /// Texts
    pub texts: Vec<String>,
    /// A file with one text a line
    #[arg(long, short, conflicts_with = "texts")]
    pub input: Option<PathBuf>,
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

#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    class: usize,
    label: &'a str,
    probability: f32,
    rejected: bool,
    known_ngrams: u32,
    top: Vec<(&'a str, f32)>,
    probabilities: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<crate::explain::Moved>>,
}

/// Runs the command.
///
/// # Errors
/// When the model or the texts cannot be read.
pub fn run(args: &ClassifyArgs) -> Result<()> {
    if let Some(vectors) = &args.vectors {
        return crate::commands::vectors::classify(&args.model, vectors, args.json);
    }
    let bytes = load(&args.model)?;
    let model = Model::parse(&bytes).with_context(|| args.model.display().to_string())?;
    takes_text(&model, &args.model)?;
    let mut scratch = Box::new(Scratch::new());
    let mut out = std::io::stdout().lock();
    let mut answer = |text: &str| one(&model, text, args, &mut scratch, &mut out);
    if !args.texts.is_empty() {
        return args.texts.iter().try_for_each(|text| answer(text));
    }
    let (name, reader): (String, Box<dyn BufRead>) = match &args.input {
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path).with_context(|| name.clone())?;
            (name, Box::new(BufReader::new(file)))
        }
        None => {
            if std::io::stdin().is_terminal() {
                eprintln!("type a text a line; end with Ctrl-D");
            }
            ("standard input".into(), Box::new(std::io::stdin().lock()))
        }
    };
    for (i, line) in reader.lines().enumerate() {
        let line = match line {
            Ok(line) => line,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                bail!("{name}:{}: not UTF-8; convert the file first", i + 1)
            }
            Err(e) => return Err(e).context(name),
        };
        answer(&line)?;
    }
    Ok(())
}

fn one(
    model: &Model<'_>,
    text: &str,
    args: &ClassifyArgs,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> Result<()> {
    let explanation = if args.explain { Some(explain(model, text, scratch)?) } else { None };
    let p = model.classify(text, scratch)?;
    let top: Vec<(&str, f32)> = p.top(args.top).map(|(c, p)| (model.label(c), p)).collect();
    let answer = Answer {
        text,
        class: p.class(),
        label: model.label(p.class()),
        probability: p.probability(),
        rejected: p.is_rejected(),
        known_ngrams: p.found(),
        top,
        probabilities: p.probabilities(),
        explanation,
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    } else {
        write_plain(&answer, out)?;
    }
    // A device or a person on the other end of a pipe waits for each line.
    out.flush()?;
    Ok(())
}

fn write_plain(answer: &Answer<'_>, out: &mut impl Write) -> std::io::Result<()> {
    let others: Vec<String> =
        answer.top.iter().skip(1).map(|(label, p)| format!("{label} {p:.3}")).collect();
    let mut note = String::new();
    if answer.rejected {
        note += "  (rejected: too unsure)";
    }
    if answer.known_ngrams == 0 {
        note += "  (no known word)";
    }
    writeln!(
        out,
        "{}\t{:.3}\t{}\t{}{note}",
        answer.label,
        answer.probability,
        answer.text,
        others.join(", ")
    )?;
    for moved in answer.explanation.iter().flatten() {
        writeln!(out, "    {:+.3}  {}", moved.by, moved.ngram)?;
    }
    Ok(())
}
