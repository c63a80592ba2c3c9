//! `qdllm tune`: LoRA and a classification head trained on labelled texts.

use crate::commands::{print_in_line, teach::local::resolve};
use crate::data::{RowOptions, labelled, labelled::Labelled};
use crate::options::OverDefaults;
use crate::student::run::reopen;
use crate::teacher::llm::lora::adapter::About;
use crate::teacher::llm::lora::train::{Epoch, Settings, Tuner};
use crate::teacher::llm::{device, pretrained::Pretrained};
use anyhow::Result;
use qdllm_host::errors::OfFile as _;
use qdllm_host::terminal::{Progress, note};
use serde::Serialize;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const ADVICE: &str = include_str!("tune.txt");

/// Fine-tune a language model on labelled texts (LoRA and a head), for `teach --adapter`
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = ADVICE)]
pub struct TuneArgs {
    /// The model: a .gguf file, a folder with config.json, tokenizer.json and safetensors, or hf:owner/name
    #[arg(long, value_name = "PATH")]
    pub model: PathBuf,
    /// File that holds the hub's access token and that nobody else can read [default: the variable `HF_TOKEN`]
    #[arg(long, value_name = "FILE")]
    pub hub_token_file: Option<PathBuf>,
    /// Labelled texts (.tsv, .csv, .jsonl)
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Labelled texts that choose the epoch that is kept
    #[arg(long, value_name = "FILE")]
    pub valid: Option<PathBuf>,
    /// The folder to write the adapter into
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    /// Seconds between two checkpoints
    #[arg(long, default_value_t = 60, value_name = "S")]
    pub checkpoint_every: u64,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Outcome {
    about: About,
    parameters: usize,
    texts: usize,
    cut: usize,
    skipped_rows: u64,
    resumed: bool,
    seconds: f64,
    epochs: Vec<Epoch>,
}

/// Runs the command; where the training fails, the last checkpoint stays.
pub fn run(args: &TuneArgs) -> Result<()> {
    let mut skipped = 0;
    let train = Labelled::read(&args.data, &*args.rows, &mut skipped)?;
    let classes = labelled::classes(&train);
    let numbered = |rows, path| -> Result<Vec<(String, usize)>> {
        let (texts, labels) = labelled::numbered(rows, path, &classes, "the training data")?;
        Ok(texts.into_iter().zip(labels).collect())
    };
    let train = numbered(train, &args.data)?;
    let valid = match &args.valid {
        Some(path) => numbered(Labelled::read(path, &*args.rows, &mut skipped)?, path)?,
        None => Vec::new(),
    };
    let model = Pretrained::open(&resolve(&args.model, args.hub_token_file.as_deref())?, None)?;
    let data = (train.as_slice(), valid.as_slice());
    let mut tuner =
        Tuner::open(model, &classes, data, args.settings.clone(), &args.out, &device()?)?;
    let (parameters, cut, resumed, started) =
        (tuner.parameters(), tuner.cut, tuner.resumed, Instant::now());
    let epochs = descend(args, &mut tuner)?;
    let outcome = Outcome {
        about: tuner.finish()?,
        parameters,
        texts: train.len(),
        cut,
        skipped_rows: skipped,
        resumed,
        seconds: started.elapsed().as_secs_f64(),
        epochs,
    };
    note(format_args!("wrote {}", args.out.display()));
    print_in_line(&outcome, args.json)
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { about, parameters, texts, cut, seconds, .. } = self;
        let classes = about.classes.len();
        writeln!(
            f,
            "{texts} texts ({cut} cut), {classes} classes, {parameters} trained numbers, {seconds:.0} s; kept epoch {}",
            about.epoch
        )
    }
}

/// All updates that are left, with progress, checkpoints and a line an epoch.
fn descend(args: &TuneArgs, tuner: &mut Tuner) -> Result<Vec<Epoch>> {
    let ((done, all), mut progress) = (tuner.progress(), Progress::new(false));
    if tuner.resumed {
        progress.say(&format!("going on after update {done} of {all}"));
    }
    progress.stage("tuning", all);
    progress.at(done);
    // Epochs that ended after the checkpoint come again.
    let path = args.out.join("metrics.jsonl");
    let mut log = reopen(&path, (done / tuner.updates_an_epoch()) as usize).of_file(&path)?;
    let (mut saved, mut epochs) = (Instant::now(), Vec::new());
    while tuner.progress().0 < all {
        let epoch = tuner.step()?;
        progress.at(tuner.progress().0);
        if let Some(epoch) = epoch {
            writeln!(log, "{}", serde_json::to_string(&epoch)?).of_file(&path)?;
            let valid = epoch.valid_loss.zip(epoch.valid_accuracy);
            let shown = |(loss, share)| format!(", validation {loss:.4}, accuracy {share:.3}");
            let valid = valid.map_or(String::new(), shown);
            progress.say(&format!("epoch {}: loss {:.4}{valid}", epoch.epoch, epoch.train_loss));
            epochs.push(epoch);
        }
        if saved.elapsed() >= Duration::from_secs(args.checkpoint_every) {
            tuner.checkpoint()?;
            saved = Instant::now();
        }
    }
    progress.done();
    Ok(epochs)
}
