//! `qdllm tune`: LoRA and a classification head trained on labelled texts.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::terminal::Progress;
use serde::Serialize;

use crate::commands::print_in_line;
use crate::commands::teach::local::resolve;
use crate::data::BadRows;
use crate::data::labelled::{self, Labelled};
use crate::student::run::reopen;
use crate::teacher::llm::device;
use crate::teacher::llm::lora::adapter::About;
use crate::teacher::llm::lora::train::{Epoch, Settings, Tuner};
use crate::teacher::llm::pretrained::Pretrained;

/// What is worth knowing before a long run: printed by `--help`.
const ADVICE: &str = "\
The model's own weights stay as they are; small matrices beside its attention (LoRA) and a head that gives the classes
are trained. The result is a folder of a few megabytes in PEFT's layout:
  qdllm tune --model SmolLM2-135M-Instruct.Q4_1.gguf --data train.tsv --valid valid.tsv --out tuned
  qdllm teach --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter tuned --method head \\
      --unlabelled texts.txt --out soft.jsonl
A run that was ended goes on with the same command from its last checkpoint and writes the bytes it would have written.

With --valid the epoch of least validation loss is kept, without it the last one. If the training loss falls and the
validation loss rises, take fewer --epochs or a smaller --rank; if the training loss hardly falls, a higher --lr.
Memory grows with --batch-size and --max-tokens, not with --accumulate: an update sees
--batch-size x --accumulate texts.
PEFT reads the folder too: PeftModel.from_pretrained(AutoModelForSequenceClassification..., \"tuned\").";

/// Trains LoRA and a classification head on labelled texts
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
    /// What to do with a row that cannot be read
    #[arg(long, value_enum, default_value = "refuse")]
    pub bad_rows: BadRows,
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
    /// Of this run; those before an interruption stand in metrics.jsonl too.
    epochs: Vec<Epoch>,
    #[serde(skip)]
    classes: usize,
}

/// Runs the command; where the training fails, the last checkpoint stays.
pub fn run(args: &TuneArgs) -> Result<()> {
    let Settings { rank, alpha, epochs, batch, accumulate, rate, decay, max_tokens, .. } =
        args.settings;
    ensure!(
        ![rank, batch, accumulate, max_tokens, epochs as usize].contains(&0),
        "--rank, --batch-size, --accumulate, --max-tokens and --epochs must be at least 1"
    );
    let finite = |x: f64| x.is_finite() && x >= 0.0;
    ensure!(
        finite(rate) && rate > 0.0 && finite(decay) && finite(alpha),
        "--lr must be a positive number, --weight-decay and --alpha numbers of at least 0"
    );
    let mut skipped = 0;
    let train = Labelled::read(&args.data, args.bad_rows, &mut skipped)?;
    let read = |path: &PathBuf| Labelled::read(path, args.bad_rows, &mut skipped);
    let valid = args.valid.as_ref().map(read).transpose()?.unwrap_or_default();
    let classes = labelled::classes(&train);
    let numbered = |rows, path| -> Result<Vec<(String, usize)>> {
        let (texts, labels) = labelled::numbered(rows, path, &classes, "the training data")?;
        Ok(texts.into_iter().zip(labels).collect())
    };
    let train = numbered(train, &args.data)?;
    let valid = numbered(valid, args.valid.as_ref().unwrap_or(&args.data))?;
    let model = Pretrained::open(&resolve(&args.model, args.hub_token_file.as_deref())?, None)?;
    let (data, settings) = ((train.as_slice(), valid.as_slice()), args.settings.clone());
    let mut tuner = Tuner::open(model, &classes, data, settings, &args.out, &device()?)?;
    let (parameters, cut, resumed) = (tuner.parameters(), tuner.cut, tuner.resumed);
    let started = Instant::now();
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
        classes: classes.len(),
    };
    print_in_line(&outcome, args.json)?;
    eprintln!("wrote {}", args.out.display());
    Ok(())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, parameters, texts, cut, seconds, classes, .. } = self;
        writeln!(
            f,
            "{texts} texts ({cut} cut), {classes} classes, {parameters} trained numbers, {seconds:.0} s; kept epoch {}",
            about.epoch
        )
    }
}

/// All updates that are left, with progress, checkpoints and a line an epoch.
fn descend(args: &TuneArgs, tuner: &mut Tuner) -> Result<Vec<Epoch>> {
    let (done, all) = tuner.progress();
    let mut progress = Progress::new(false);
    if tuner.resumed {
        progress.say(&format!("going on after update {done} of {all}"));
    }
    progress.stage("tuning", all);
    progress.at(done);
    // Epochs that ended after the checkpoint come again.
    let path = args.out.join("metrics.jsonl");
    let mut log = reopen(&path, tuner.epochs_done() as usize).of_file(&path)?;
    let (mut saved, mut epochs) = (Instant::now(), Vec::new());
    while tuner.progress().0 < all {
        let epoch = tuner.step()?;
        progress.at(tuner.progress().0);
        if let Some(epoch) = epoch {
            writeln!(log, "{}", serde_json::to_string(&epoch)?).of_file(&path)?;
            let valid = epoch
                .valid_loss
                .zip(epoch.valid_accuracy)
                .map_or(String::new(), |(loss, share)| {
                    format!(", validation {loss:.4}, accuracy {share:.3}")
                });
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
