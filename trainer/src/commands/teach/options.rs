//! The options of `qdllm teach`.

use crate::data::RowOptions;
use crate::data::classes::Classes;
use crate::data::conflicts::Conflicts;
use crate::options::OverDefaults;
#[cfg(feature = "endpoint")]
use crate::teacher::endpoint::EndpointArgs;
#[cfg(feature = "teacher")]
use crate::teacher::zero_shot::Several;
use anyhow::Result;
use clap::{Args, FromArgMatches as _};
use qdllm_host::values::within;
use std::path::{Path, PathBuf};

/// Ask a language model for soft labels
///
/// The model is a local file (--model) or stands behind an OpenAI-compatible address (--endpoint).
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("source")))]
#[cfg_attr(feature = "teacher", command(after_long_help = include_str!("models.txt").trim_end()))]
pub struct TeachArgs {
    /// Local models
    #[cfg(feature = "teacher")]
    #[command(flatten)]
    pub local: LocalArgs,
    /// Models behind an endpoint
    #[cfg(feature = "endpoint")]
    #[command(flatten)]
    pub remote: EndpointArgs,
    /// Addresses of servers with the same model, commas between them: http(s)://host:port, /v1 is added
    #[cfg(feature = "endpoint")]
    #[arg(long, value_delimiter = ',', value_name = "URL,URL,..", group = "source")]
    pub endpoint: Vec<String>,
    /// Average the teacher with a TF-IDF regression fitted on the labels; alone, that regression is the teacher
    #[arg(long)]
    pub tfidf: bool,
    /// Labelled texts (.tsv, .csv, .jsonl, fastText's .txt), may be given again; probes and --tfidf need them
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Keep this many labels a class and set the others aside
    #[arg(long, value_name = "N", value_parser = within(1_usize..))]
    pub labels_per_class: Option<usize>,
    /// Which labels are kept
    #[arg(long, value_name = "D", default_value_t = 0)]
    pub label_draw: u64,
    /// Texts without labels; may be given again
    #[arg(long, value_name = "FILE")]
    pub unlabelled: Vec<PathBuf>,
    /// Set this share of the labels aside and judge the teacher on them
    #[arg(long, value_name = "SHARE", conflicts_with = "test", value_parser = within(0.0..1.0))]
    pub heldback: Option<f64>,
    /// Labelled texts to judge the teacher on; they get no soft label
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// The soft label file to write
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// List the labelled texts whose label no member of the teacher agrees with, learnt without it: label, class taken,
    /// the label's probability, text
    #[arg(long, value_name = "FILE", requires = "data")]
    pub suspects: Option<PathBuf>,
    /// Folder for features and answers, reused by later runs [default: teacher-cache beside the output]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// What the model reads; {text} stands for the text, {classes} for their list in a chat
    #[arg(long, value_name = "TEMPLATE")]
    pub prompt: Option<String>,
    /// Class names, when the data does not name them all, or a file that describes them (.toml)
    #[arg(long, value_delimiter = ',', value_name = "C,C,..")]
    pub classes: Vec<String>,
    /// Words for the classes in their order, | between phrases of one class [default: the names, _ as space]
    #[arg(long, value_delimiter = ',', value_name = "W,W,..")]
    pub class_words: Vec<String>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// Show what would be asked for three texts, and count requests, tokens, cost and time, without asking
    #[arg(long)]
    pub dry_run: bool,
    /// Price of a million tokens, for the cost that --dry-run shows
    #[arg(long, value_name = "PRICE", requires = "dry_run", value_parser = within(0.0..1e9))]
    pub price_per_million: Option<f64>,
    /// What to do with texts that carry several labels
    #[arg(long, value_enum, default_value = "majority")]
    pub conflicts: Conflicts,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

impl TeachArgs {
    /// Every option as the command line has it by default.
    pub fn with_defaults(out: &Path) -> Result<Self> {
        let command = Self::augment_args(clap::Command::new("teach"));
        let given = command.try_get_matches_from(["teach", "--out", "."])?;
        Ok(Self { out: out.to_owned(), ..Self::from_arg_matches(&given)? })
    }

    /// The folder for features and answers.
    #[cfg(any(feature = "teacher", feature = "endpoint"))]
    pub(super) fn cache(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| self.out.with_file_name("teacher-cache"))
    }

    /// The classes that are named on the command line or in a file; `None` without either.
    pub(super) fn named(&self) -> Result<Option<Classes>> {
        match self.classes.as_slice() {
            [] => Ok(None),
            [file] if file.to_ascii_lowercase().ends_with(".toml") => {
                Ok(Some(Classes::read(Path::new(file))?))
            }
            names => Ok(Some(Classes::named(names, &self.class_words)?)),
        }
    }

    /// Those classes, or else those of the data.
    #[cfg(any(feature = "teacher", feature = "endpoint"))]
    pub(super) fn classes(&self, of_data: &[String]) -> Result<Classes> {
        match self.named()? {
            Some(classes) => Ok(classes),
            None if of_data.is_empty() => anyhow::bail!(
                "the classes are named nowhere: give --classes (names, or a .toml file), or --data with labelled texts"
            ),
            None => Classes::named(of_data, &self.class_words),
        }
    }
}

/// How logits are drawn from a model.
#[cfg(feature = "teacher")]
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
#[cfg(feature = "teacher")]
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
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = within(1_usize..))]
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
