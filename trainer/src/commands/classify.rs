//! `qdllm classify`: texts to classes, one by one through the runtime that devices run, a file in
//! batches on all cores.

use crate::batch_inference::BatchClassifier;
use crate::explain::explain;
use crate::model_file::{load, parse, takes_text};
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_runtime::{MAX_CLASSES, Model, Prediction, Scratch};
use serde::Serialize;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Lines of a file that are classified together.
const BATCH: usize = 8192;

/// Classify texts with a model file
///
/// Texts come from the arguments, from --input (in batches on all cores), or line by line from standard
/// input.
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
    let (model, _) = parse(&bytes, &args.model)?;
    takes_text(&model, &args.model)?;
    let mut scratch = Box::new(Scratch::new());
    let mut out = std::io::stdout().lock();
    if let Some(path) = &args.input {
        return file(&model, path, args, &mut scratch, &mut BufWriter::new(out));
    }
    let mut answer = |text: &str| one(&model, text, args, &mut scratch, &mut out);
    if !args.texts.is_empty() {
        return args.texts.iter().try_for_each(|text| answer(text));
    }
    if std::io::stdin().is_terminal() {
        eprintln!("type a text a line; end with Ctrl-D");
    }
    lines("standard input", std::io::stdin().lock()).try_for_each(|line| answer(&line?))
}

/// The lines of a text, errors with their number.
fn lines(name: &str, reader: impl BufRead) -> impl Iterator<Item = Result<String>> {
    reader.lines().enumerate().map(move |(i, line)| match line {
        Ok(line) => Ok(line),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            bail!("{name}:{}: not UTF-8; convert the file first", i + 1)
        }
        Err(e) => Err(e).context(name.to_owned()),
    })
}

/// Classifies a file in batches; what comes before a bad line is answered.
fn file(
    model: &Model<'_>,
    path: &Path,
    args: &ClassifyArgs,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> Result<()> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).with_context(|| name.clone())?;
    let many = BatchClassifier::new(model);
    let mut memory = [0.0; MAX_CLASSES];
    let mut all = lines(&name, BufReader::new(file));
    loop {
        let (mut texts, mut failed) = (Vec::new(), None);
        for line in all.by_ref().take(BATCH) {
            match line {
                Ok(line) => texts.push(line),
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        for (text, answer) in texts.iter().zip(many.classify(&texts)?) {
            let explanation =
                if args.explain { Some(explain(model, text, scratch)?) } else { None };
            write(model, text, &many.prediction(&answer, &mut memory), explanation, args, out)?;
        }
        out.flush()?;
        match failed {
            Some(e) => return Err(e),
            None if texts.is_empty() => return Ok(()),
            None => {}
        }
    }
}

fn one(
    model: &Model<'_>,
    text: &str,
    args: &ClassifyArgs,
    scratch: &mut Scratch,
    out: &mut impl Write,
) -> Result<()> {
    let explanation = if args.explain { Some(explain(model, text, scratch)?) } else { None };
    write(model, text, &model.classify(text, scratch)?, explanation, args, out)?;
    // A device or a person on the other end of a pipe waits for each line.
    out.flush()?;
    Ok(())
}

fn write(
    model: &Model<'_>,
    text: &str,
    p: &Prediction<'_>,
    explanation: Option<Vec<crate::explain::Moved>>,
    args: &ClassifyArgs,
    out: &mut impl Write,
) -> Result<()> {
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
