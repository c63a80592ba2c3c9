//! `qdllm classify`: texts to classes, one by one through the runtime that devices run, a file in
//! batches on all cores.

use crate::batch_inference::BatchClassifier;
use crate::data::vectors::table;
use crate::explain::{Moved, explain};
use crate::model_file::{load, parse, parse_for_text, takes_vectors};
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_host::errors::OfFile as _;
use qdllm_runtime::{MAX_CLASSES, Model, Prediction, Scratch};
use serde::Serialize;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

const REJECTED: &str = "  (rejected: too unsure)";

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
    explanation: Option<Vec<Moved>>,
}

pub fn run(args: &ClassifyArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    let out = std::io::stdout().lock();
    if let Some(path) = &args.vectors {
        return vectors(&bytes, path, args, &mut BufWriter::new(out));
    }
    let (model, _) = parse_for_text(&bytes, &args.model)?;
    let mut answers = Answers { model: &model, args, scratch: Box::new(Scratch::new()), out };
    if let Some(path) = &args.input {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).of_file(path)?;
        return answers.of_file(lines(&name, BufReader::new(file)));
    }
    if !args.texts.is_empty() {
        return args.texts.iter().try_for_each(|text| answers.of(text));
    }
    if std::io::stdin().is_terminal() {
        eprintln!("type a text a line; end with Ctrl-D");
    }
    lines("standard input", std::io::stdin().lock()).try_for_each(|line| answers.of(&line?))
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

/// Answers one after another.
struct Answers<'a, W> {
    model: &'a Model<'a>,
    args: &'a ClassifyArgs,
    scratch: Box<Scratch>,
    out: W,
}

impl<W: Write> Answers<'_, W> {
    fn of(&mut self, text: &str) -> Result<()> {
        let explanation = self.explanation(text)?;
        let prediction = self.model.classify(text, &mut self.scratch)?;
        write(self.model, text, &prediction, explanation, self.args, &mut self.out)?;
        // A device or a person on the other end of a pipe waits for each line.
        Ok(self.out.flush()?)
    }

    /// Classifies lines in batches; what comes before a bad line is answered.
    fn of_file(&mut self, mut all: impl Iterator<Item = Result<String>>) -> Result<()> {
        let batches = BatchClassifier::new(self.model);
        let mut memory = [0.0; MAX_CLASSES];
        loop {
            let mut failed = Ok(());
            let good = |line: Result<String>| line.map_err(|e| failed = Err(e)).ok();
            let texts: Vec<String> = all.by_ref().take(BATCH).map_while(good).collect();
            let mut out = Vec::new();
            for (text, answer) in texts.iter().zip(batches.classify(&texts)?) {
                let explanation = self.explanation(text)?;
                let prediction = batches.prediction(&answer, &mut memory);
                write(self.model, text, &prediction, explanation, self.args, &mut out)?;
            }
            self.out.write_all(&out)?;
            self.out.flush()?;
            failed?;
            if texts.is_empty() {
                return Ok(());
            }
        }
    }

    fn explanation(&mut self, text: &str) -> Result<Option<Vec<Moved>>> {
        let asked = self.args.explain.then(|| explain(self.model, text, &mut self.scratch));
        Ok(asked.transpose()?)
    }
}

fn write(
    model: &Model<'_>,
    text: &str,
    p: &Prediction<'_>,
    explanation: Option<Vec<Moved>>,
    args: &ClassifyArgs,
    out: &mut impl Write,
) -> Result<()> {
    let answer = Answer {
        text,
        class: p.class(),
        label: model.label(p.class()),
        probability: p.probability(),
        rejected: p.is_rejected(),
        known_ngrams: p.found(),
        top: p.top(args.top).map(|(c, p)| (model.label(c), p)).collect(),
        probabilities: p.probabilities(),
        explanation,
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        return Ok(());
    }
    let others: Vec<String> =
        answer.top.iter().skip(1).map(|(label, p)| format!("{label} {p:.3}")).collect();
    let rejected = if answer.rejected { REJECTED } else { "" };
    let unknown = if answer.known_ngrams == 0 { "  (no known word)" } else { "" };
    writeln!(
        out,
        "{}\t{:.3}\t{text}\t{}{rejected}{unknown}",
        answer.label,
        answer.probability,
        others.join(", ")
    )?;
    for moved in answer.explanation.iter().flatten() {
        writeln!(out, "    {:+.3}  {}", moved.by, moved.ngram)?;
    }
    Ok(())
}

/// Classifies every row of a file of vectors, in its order: row, class, probability.
fn vectors(bytes: &[u8], path: &Path, args: &ClassifyArgs, out: &mut impl Write) -> Result<()> {
    let (model, _) = parse(bytes, &args.model)?;
    let table = table(path)?;
    takes_vectors(&model, &args.model, table.width)?;
    let mut scratch = Box::new(Scratch::new());
    for row in 0..table.len() {
        let p = model.classify_vector(table.row(row), &mut scratch)?;
        let label = model.label(p.class());
        if args.json {
            let answer = serde_json::json!({
                "row": row + 1, "class": p.class(), "label": label, "probability": p.probability(),
                "rejected": p.is_rejected(), "probabilities": p.probabilities(),
            });
            writeln!(out, "{answer}")?;
        } else {
            let note = if p.is_rejected() { REJECTED } else { "" };
            writeln!(out, "{}\t{label}\t{:.3}{note}", row + 1, p.probability())?;
        }
    }
    Ok(out.flush()?)
}
