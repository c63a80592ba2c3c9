//! Local models: probes on hidden states, and zero-shot scores of class words.

use super::options::{Method, TeachArgs};
use super::report::{Taught, prepare};
use super::texts::Texts;
use crate::data::classes::Class;
use crate::data::tensors::Table;
use crate::data::text_digest;
use crate::teacher::Teacher as _;
use crate::teacher::features::{Features, ScoreTeacher};
use crate::teacher::llm::{self, Reading, classifier};
use crate::teacher::probe::{Candidate, Options, ProbeTeacher};
use crate::teacher::zero_shot::{self, ClassScores};
use anyhow::Result;
use qdllm_host::errors::wrong_use;
use qdllm_host::terminal::{Progress, note};
use std::path::{Path, PathBuf};

/// What a causal model reads when nothing else is asked for.
const PROMPT: &str = "The text \"{text}\" is about";

pub(super) fn ask(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    match args.local.method {
        Method::Probe => probe(args, texts),
        Method::ZeroShot => zero_shot(args, texts),
        Method::Head => head(args, texts),
    }
}

pub(super) fn reading(args: &TeachArgs) -> Reading {
    Reading {
        prompt: args.prompt.clone().unwrap_or_else(|| PROMPT.to_owned()),
        limit: args.local.max_tokens,
        layers: args.local.layers.clone(),
        adapter: args.local.adapter.clone(),
    }
}

fn probe(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    if args.data.is_empty() {
        let what = "a probe learns from labelled texts: give --data, or --method zero-shot";
        return Err(wrong_use(what));
    }
    if args.local.adapter.is_some() && args.local.model.len() > 1 {
        let given = args.local.model.len();
        return Err(wrong_use(format_args!("--adapter belongs to one model, {given} were given")));
    }
    let (mut sources, mut speeds, every) = (Vec::new(), Vec::new(), texts.every());
    for path in &args.local.model {
        let mut features =
            Features::open(llm::extractor(&place(args, path)?, &reading(args))?, &args.cache())?;
        let name = features.description().identity.name.clone();
        let run =
            |at: &mut (dyn FnMut(usize) + Send)| features.prepare(&every, &mut |done, _| at(done));
        speeds.push(Progress::new(false).during(&name, every.len(), run)?);
        sources.push(features);
    }
    let (labelled, labels, pool) = texts.to_learn();
    let options = Options { rounds: args.local.rounds, seed: args.local.seed };
    let (mut teacher, findings) =
        ProbeTeacher::fit(sources, (&labelled, &labels), &pool, &texts.classes, options)?;
    if let Some(path) = &args.local.export_vectors {
        export((path, args.local.export_layer), &mut teacher, &findings.cells, &every)?;
    }
    Ok((Box::new(teacher), Some(findings), speeds))
}

/// Writes the vectors of the cell that the best single probe reads, or of the layer that was asked for.
fn export(
    (path, asked): (&Path, Option<usize>),
    teacher: &mut ProbeTeacher,
    cells: &[Candidate],
    texts: &[&str],
) -> Result<()> {
    let cells = cells.iter().filter(|c| asked.is_none_or(|layer| c.cell.layer == layer));
    let Some(best) = cells.min_by(|a, b| a.trial.loss.total_cmp(&b.trial.loss)) else {
        return Err(wrong_use(format_args!(
            "--export-layer {}: not among the layers tried; name it in --layers too",
            asked.unwrap_or(0)
        )));
    };
    let mut seen = std::collections::HashSet::new();
    let unique: Vec<&str> = texts.iter().copied().filter(|t| seen.insert(*t)).collect();
    let (values, width) = teacher.vectors(best, &unique)?;
    let name = &teacher.about().models[best.model].name;
    let digests = unique.iter().map(|text| text_digest(text)).collect();
    let metadata = [("model".into(), name.into()), ("cell".into(), best.cell.to_string())].into();
    let table = Table { width, values, digests: Some(digests), metadata };
    table.write(path, "vectors")?;
    note(format_args!(
        "wrote {} ({} vectors of {width} numbers: {name} {})",
        path.display(),
        table.rows(),
        best.cell
    ));
    Ok(())
}

fn zero_shot(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let path = one(args, "zero-shot")?;
    let classes = args.classes(&texts.classes)?;
    let words: Vec<Vec<String>> = classes.class.iter().map(Class::words).collect();
    let scores = ClassScores::new(llm::causal(&path, &reading(args))?, &words)?;
    let how = (args.local.several, !args.local.no_calibration);
    scored(zero_shot::teacher(scores, &classes.names(), how, &args.cache())?, texts)
}

fn head(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let path = one(args, "a classification head")?;
    if args.prompt.is_some() {
        return Err(wrong_use(
            "--prompt: a classification head was trained on texts as they are; leave the prompt away",
        ));
    }
    let scores = llm::head(&path, &reading(args))?;
    scored(classifier::teacher(scores, &texts.classes, &args.cache())?, texts)
}

fn scored(mut teacher: ScoreTeacher, texts: &Texts) -> Result<Taught> {
    let speeds = prepare(&mut teacher, &texts.every())?;
    Ok((Box::new(teacher), None, speeds))
}

pub(super) fn place(args: &TeachArgs, model: &Path) -> Result<PathBuf> {
    resolve(model, args.local.hub_token_file.as_deref())
}

/// The one model of a method that takes no more.
fn one(args: &TeachArgs, what: &str) -> Result<PathBuf> {
    match args.local.model.as_slice() {
        [path] => place(args, path),
        many => Err(wrong_use(format_args!("{what} takes one model, {} were given", many.len()))),
    }
}

/// The path of a model that was named on the command line. What exists is taken as it is, so a local folder always
/// comes before the hub.
pub fn resolve(model: &Path, token_file: Option<&Path>) -> Result<PathBuf> {
    let text = model.to_string_lossy();
    if model.exists() || !text.starts_with("hf:") {
        return Ok(model.to_owned());
    }
    #[cfg(feature = "hub")]
    return crate::teacher::llm::hub::fetch(&text, token_file);
    #[cfg(not(feature = "hub"))]
    {
        let _ = token_file;
        bail!(
            "{text}: this build does not reach the hub; build with `--features hub`, or fetch the folder and give its path"
        )
    }
}
