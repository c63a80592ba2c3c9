//! `qdllm distill`: labels, soft labels or both to a model file.

pub mod asked;
pub mod outcome;
pub mod review;
pub mod vectors;

pub use outcome::Outcome;

use crate::data::BadRows;
use crate::options::{Config, Criterion, Pooling};
use crate::progress::Progress;
use crate::resource_usage::peak_memory_bytes;
use crate::student::backprop::Heart;
use crate::student::checkpoint::write_whole;
use crate::student::distillation::{Prepared, Student};
use crate::student::export::export;
use crate::student::train::{Event, Moment, Resume, epochs_done};
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_runtime::Scratch;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Train a student from labelled texts, a teacher's soft labels, or both
///
/// The result is one model file. Beside it are written `<out>.toml` (the resolved settings) and
/// `<out>.metrics.jsonl` (one line an epoch). A run that was interrupted goes on where it stood when
/// the same command is given again, and ends with the same bytes.
///
/// Examples:
///
///   qdllm distill --data train.tsv --rows 4096 --out model.qdm
///
///   qdllm distill --data labelled.tsv --unlabelled texts.txt --soft soft.jsonl --out model.qdm
///
///   qdllm distill --classes classes.toml --unlabelled texts.txt --teacher `URL` \
///       --endpoint-model NAME --review --out model.qdm
#[derive(Args, Debug, Clone)]
#[command(verbatim_doc_comment)]
pub struct DistillArgs {
    /// Labelled texts: .tsv (label, tab, text), .csv or .jsonl
    #[arg(long, alias = "labels")]
    pub data: Option<PathBuf>,
    /// Texts without labels: .txt or .jsonl; needs --soft or --teacher
    #[arg(long)]
    pub unlabelled: Option<PathBuf>,
    /// Soft labels made by `qdllm teach`, or logits from anywhere (.jsonl, .safetensors)
    #[arg(long)]
    pub soft: Option<PathBuf>,
    /// The texts whose order a .safetensors file of logits follows
    #[arg(long, requires = "soft")]
    pub soft_texts: Option<PathBuf>,
    /// The classes in the order of the logits, where the file does not state them
    #[arg(long, value_delimiter = ',', value_name = "C,C,..")]
    pub soft_classes: Vec<String>,
    /// Labelled texts for validation (else a part of the others is held out)
    #[arg(long)]
    pub valid: Option<PathBuf>,
    /// Where the model goes
    #[arg(long, short)]
    pub out: PathBuf,
    /// Settings file (TOML); options given here win over it
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Keep only this many labels a class and hide the rest
    #[arg(long)]
    pub labels_per_class: Option<usize>,
    /// Which draw of labels is kept [default: 0]
    #[arg(long)]
    pub label_draw: Option<u64>,
    /// Share held out for validation without --valid [default: 0.1]
    #[arg(long)]
    pub holdout: Option<f64>,
    /// What to do with bad rows [default: refuse]
    #[arg(long)]
    pub bad_rows: Option<BadRows>,
    /// Rows of the vocabulary [default: 1024]
    #[arg(long)]
    pub rows: Option<usize>,
    /// Count pairs of neighbouring words too
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub bigrams: Option<bool>,
    /// Count triples of neighbouring words too
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub trigrams: Option<bool>,
    /// Let pairs and triples reach over the text's ends: its first and last words count apart
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub edges: Option<bool>,
    /// Count the first four characters of longer words too
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub prefixes: Option<bool>,
    /// How the rows of a text become features [default: root]
    #[arg(long)]
    pub pooling: Option<Pooling>,
    /// How the vocabulary is chosen [default: chi-squared]
    #[arg(long)]
    pub select: Option<Criterion>,
    /// `OpenQASM` 2 file of the circuit to train, up to 11 qubits [default: the preset `paper`]
    ///
    /// Names in its angles are the parameters to train, x0 to x10 the encoder's inputs; without an
    /// encoder of its own, RX of an input is put in front of each qubit. Read are the measured qubits,
    /// or all if none is measured.
    #[arg(long)]
    pub circuit: Option<PathBuf>,
    /// Bits of a row's entries, 4 or 8 [default: 4]
    #[arg(long)]
    pub row_bits: Option<u8>,
    /// Reject decisions under this probability [default: 0, never]
    #[arg(long)]
    pub reject_below: Option<f32>,
    /// Seed of every random stream [default: 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Passes over the texts [default: 15]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Steps at least; few texts are passed over more often [default: 1500]
    #[arg(long)]
    pub least_steps: Option<usize>,
    /// Texts a step [default: 32]
    #[arg(long)]
    pub batch: Option<usize>,
    /// Learning rate of the vocabulary rows [default: 0.01]
    #[arg(long)]
    pub rate: Option<f32>,
    /// Learning rate of angles, bias and head [default: 0.01]
    #[arg(long)]
    pub heart_rate: Option<f32>,
    /// Weight decay of the vocabulary rows [default: 0.2]
    #[arg(long)]
    pub decay: Option<f32>,
    /// Chance that an n-gram is left out in training [default: 0.5]
    #[arg(long)]
    pub dropout: Option<f32>,
    /// Let a logistic regression on the n-grams, fitted on the same labels, answer in place of the labels where no
    /// teacher does: better students from labels alone
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub regression: Option<bool>,
    /// Label smoothing [default: 0.03]
    #[arg(long)]
    pub smoothing: Option<f32>,
    /// The teacher's share of the loss where there is a label too [default: 0.5]
    #[arg(long)]
    pub alpha: Option<f32>,
    /// Temperature of the distillation term [default: 2]
    #[arg(long)]
    pub temperature: Option<f32>,
    /// Epochs without a better validation loss after which training stops [default: 10, or a fifth of all]
    #[arg(long)]
    pub patience: Option<usize>,
    /// Seconds between two checkpoints at least; 0 writes one an epoch
    #[arg(long, default_value_t = 1)]
    pub checkpoint_seconds: u64,
    /// Forget an earlier, unfinished run
    #[arg(long)]
    pub restart: bool,
    /// The front end `dense`
    #[command(flatten)]
    pub dense: vectors::DenseArgs,
    /// A teacher that is asked first
    #[command(flatten)]
    pub ask: asked::AskArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

impl DistillArgs {
    /// The settings file with the options laid over it.
    ///
    /// # Errors
    /// When the file cannot be read or a value is out of its range.
    pub fn resolve(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        macro_rules! lay {
            ($($option:ident => $place:expr),* $(,)?) => {
                $(if let Some(value) = self.$option.clone() { $place = value.into(); })*
            };
        }
        lay! {
            data => config.sources.data,
            unlabelled => config.sources.unlabelled,
            soft => config.sources.soft,
            soft_texts => config.sources.soft_texts,
            valid => config.sources.valid,
            labels_per_class => config.sources.labels_per_class,
            label_draw => config.sources.label_draw,
            holdout => config.sources.holdout,
            bad_rows => config.sources.bad_rows,
            rows => config.student.rows,
            bigrams => config.student.bigrams,
            trigrams => config.student.trigrams,
            edges => config.student.edges,
            prefixes => config.student.prefixes,
            pooling => config.student.pooling,
            select => config.student.select,
            circuit => config.student.circuit,
            row_bits => config.student.row_bits,
            reject_below => config.student.reject_below,
            seed => config.training.seed,
            epochs => config.training.epochs,
            least_steps => config.training.least_steps,
            batch => config.training.batch,
            rate => config.training.rate,
            heart_rate => config.training.heart_rate,
            decay => config.training.decay,
            dropout => config.training.dropout,
            regression => config.training.regression,
            smoothing => config.training.smoothing,
            alpha => config.training.alpha,
            temperature => config.training.temperature,
            patience => config.training.patience,
        }
        if !self.soft_classes.is_empty() {
            config.sources.soft_classes.clone_from(&self.soft_classes);
        }
        self.dense.lay(&mut config);
        config.check()?;
        Ok(config)
    }
}

/// Runs the command.
///
/// # Errors
/// With file, line and remedy; the model file is written only when it is complete.
pub fn run(args: &DistillArgs) -> Result<()> {
    let mut config = args.resolve()?;
    let mut progress = Progress::new(args.quiet || args.json);
    if let Some(teacher) = &args.ask.teacher {
        asked::ask(args, teacher, &mut config)?;
    }
    let unsure = asked::judge(args, &mut config)?;
    if let Some(unsure) = &unsure {
        (if args.json { eprint!("{unsure}") } else { print!("{unsure}") });
    }
    let keep = Keep {
        restart: args.restart,
        checkpoint_every: Duration::from_secs(args.checkpoint_seconds),
    };
    let outcome = if config.sources.vectors.is_empty() {
        distill(&config, &args.out, keep, &mut progress)?.0
    } else {
        vectors::distill(&config, &args.out, keep, &mut progress)?
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        print!("{outcome}");
    }
    Ok(())
}

/// How a run deals with an earlier one and with its own end.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Whether an earlier, unfinished run is forgotten.
    pub restart: bool,
    /// Least time between two checkpoints.
    pub checkpoint_every: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { restart: false, checkpoint_every: Duration::from_secs(1) }
    }
}

/// A path with something appended to its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Distils and writes the model, its settings and its metrics.
///
/// # Errors
/// As [`run`].
pub fn distill(
    config: &Config,
    out: &Path,
    keep: Keep,
    progress: &mut Progress,
) -> Result<(Outcome, Student)> {
    if config.student.heart != Heart::Circuit {
        bail!(
            "the heart `{:?}` is a control; only `circuit` makes a model file",
            config.student.heart
        );
    }
    if out.is_dir() {
        bail!("{}: is a folder; --out names a file", out.display());
    }
    let started = Instant::now();
    let (checkpoint, metrics) = (beside(out, ".ckpt"), beside(out, ".metrics.jsonl"));
    if keep.restart && checkpoint.exists() {
        std::fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    }
    let prepared = Prepared::read(config, progress)?;
    let resume = Resume {
        path: checkpoint.clone(),
        fingerprint: prepared.fingerprint(config),
        every: keep.checkpoint_every,
    };
    let done = epochs_done(&checkpoint, &resume.fingerprint)?;
    if done > 0 {
        progress.say(&format!("going on after epoch {done} of {}", checkpoint.display()));
    }
    let mut log = reopen(&metrics, done).with_context(|| metrics.display().to_string())?;
    progress.stage("training", texts_of(config, &prepared));
    let mut failed = None;
    let student = prepared.distil(config, Some(&resume), |moment| {
        let event = match moment {
            Moment::Texts(done) => return progress.at(done),
            Moment::Epoch(event) => event,
        };
        progress.say(&line(event));
        let written = serde_json::to_string(event).map_err(std::io::Error::other);
        if let Err(e) = written.and_then(|json| writeln!(log, "{json}")) {
            failed.get_or_insert(e);
        }
    })?;
    progress.done();
    if let Some(e) = failed {
        return Err(e).with_context(|| metrics.display().to_string());
    }
    let exported = export(&student, &prepared, config)?;
    write_whole(&beside(out, ".toml"), config.to_toml().as_bytes())
        .with_context(|| beside(out, ".toml").display().to_string())?;
    write_whole(out, &exported.bytes).with_context(|| out.display().to_string())?;
    std::fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    let outcome = Outcome {
        model: out.to_owned(),
        bytes: exported.bytes.len(),
        ram_bytes: size_of::<Scratch>(),
        parameters: student.shape.parameters(),
        train_seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
        summary: student.summary.clone(),
        largest_gap: exported.largest_gap,
        probes: exported.probes,
    };
    Ok((outcome, student))
}

/// Texts that training passes over, repeats counted.
pub fn texts_of(config: &Config, prepared: &Prepared) -> u64 {
    (config.epochs_for(prepared.texts.len()) * prepared.texts.len()) as u64
}

/// The metrics file with the lines of the epochs that the checkpoint has done.
pub(super) fn reopen(path: &Path, epochs: usize) -> std::io::Result<std::fs::File> {
    let kept: String = match std::fs::read_to_string(path) {
        Ok(text) => text.lines().take(epochs).map(|l| format!("{l}\n")).collect(),
        Err(_) => String::new(),
    };
    std::fs::write(path, kept)?;
    std::fs::OpenOptions::new().append(true).open(path)
}

pub(super) fn line(event: &Event) -> String {
    format!(
        "epoch {:>3}  train loss {:.4}  valid loss {:.4}{}",
        event.epoch,
        event.train_loss,
        event.valid.loss,
        outcome::shares(&event.valid),
    )
}
