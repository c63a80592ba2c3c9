//! Settings of a training run. Each option is defined once, here: name on the command line and in the settings file,
//! help, default. Options win over the file; the resolved settings are written beside the result.

use crate::data::RowOptions;
use crate::data::class_weights::ClassWeights;
use crate::data::conflicts::Conflicts;
use anyhow::{Result, anyhow};
use clap::{ArgAction, ArgMatches, Args, FromArgMatches};
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::files;
use qdllm_host::values::within;
use qdllm_runtime::text::ngram::{GramKinds, Runs};
use qdllm_runtime::text::pool::{Pool, RowBits};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything that decides a run's result, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub student: StudentConfig,
    #[command(flatten)]
    pub training: TrainingConfig,
    #[command(flatten)]
    pub dense: DenseConfig,
    #[command(flatten)]
    #[serde(skip_serializing_if = "is_default")]
    pub compact: CompactConfig,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A section of the settings: its fields are options of the same name, with their defaults.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$attribute:meta])* $field:ident: $type:ty = $default:expr, )* }
    ) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Args)]
        #[serde(deny_unknown_fields, default)]
        $(#[$meta])*
        pub struct $name {
            $( $(#[$attribute])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }
    };
}

section! {
    /// Where the texts come from.
    #[command(next_display_order = 10, next_help_heading = "Data")]
    Sources {
        /// Labelled texts: .tsv (label, tab, text), .csv with a header, .jsonl or fastText's .txt, `-` for standard input;
        /// may be given again
        #[arg(long, alias = "labels")]
        #[serde(with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
        data: Vec<PathBuf> = Vec::new(),
        /// Texts that are none of the classes (.txt, or as those of --unlabelled), to learn what to reject [default: a shipped
        /// list of sentences of many domains and languages, and nonsense]
        #[arg(long)]
        #[serde(skip_serializing_if = "Option::is_none")]
        foreign: Option<PathBuf> = None,
        /// Texts without labels: .txt or .jsonl; needs --soft or --teacher
        #[arg(long)]
        unlabelled: Option<PathBuf> = None,
        /// Soft labels made by `qdllm teach`, or logits from anywhere (.jsonl, .safetensors)
        #[arg(long)]
        soft: Option<PathBuf> = None,
        /// The texts whose order a .safetensors file of logits follows
        #[arg(long, requires = "soft")]
        soft_texts: Option<PathBuf> = None,
        /// The classes in the order of the logits, where the file does not state them
        #[arg(long, value_delimiter = ',', value_name = "C,C,..")]
        soft_classes: Vec<String> = Vec::new(),
        /// Labelled texts for validation (else a part of the others is held out)
        #[arg(long)]
        valid: Option<PathBuf> = None,
        /// Vectors of the texts (.safetensors or .jsonl), for a model that takes vectors; may be given again
        #[arg(long, value_name = "FILE", display_order = 100)]
        vectors: Vec<PathBuf> = Vec::new(),
        /// Keep only this many labels a class and hide the rest
        #[arg(long, display_order = 20, value_parser = within(1_usize..))]
        labels_per_class: Option<usize> = None,
        /// Which draw of labels is kept [default: 0]
        #[arg(long, display_order = 21)]
        label_draw: u64 = 0,
        /// Share held out for validation without --valid [default: 0.1]
        #[arg(long, display_order = 22)]
        holdout: f64 = 0.1,
        #[command(flatten)]
        #[serde(flatten)]
        rows: RowOptions = RowOptions::default(),
        /// What to do with texts that carry several labels [default: majority]
        #[arg(long, display_order = 24)]
        #[serde(skip_serializing_if = "Conflicts::is_default")]
        conflicts: Conflicts = Conflicts::Majority,
    }
}

section! {
    /// Sizes of the student.
    #[command(next_display_order = 30, next_help_heading = "Text")]
    StudentConfig {
        /// Rows of the vocabulary [default: 1024]
        #[arg(long)]
        rows: usize = 1024,
        /// Count pairs of neighbouring words too
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        bigrams: bool = false,
        /// Count triples of neighbouring words too
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        trigrams: bool = false,
        /// Let pairs and triples reach over the text's ends: its first and last words count apart
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        edges: bool = false,
        /// Count the first four characters of longer words too
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        prefixes: bool = false,
        /// Fold letters to those without marks and take emoji one by one (token rules 3); `false` tells words as older
        /// models do, for builds of the runtime without the feature `unicode` [default: true]
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        #[serde(skip_serializing_if = "Clone::clone")]
        unicode: bool = true,
        /// Keep digits as they are, and count runs of signs such as $, :-) and the ++ of C++ as words
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        keep_signs: bool = false,
        /// How the rows of a text become features [default: root]
        #[arg(long)]
        pooling: Pooling = Pooling::Root,
        /// How the vocabulary is chosen [default: chi-squared]
        #[arg(long)]
        select: Criterion = Criterion::ChiSquared,
        /// Bits of a row's entries, 4 or 8 [default: 4]
        #[arg(long, display_order = 50, help_heading = "Training")]
        row_bits: u8 = 4,
        /// What stands between features and head; only `circuit` can be exported.
        #[arg(skip = HiddenLayer::Circuit)]
        heart: HiddenLayer = HiddenLayer::Circuit,
        /// `OpenQASM` 2 or 3 file of the circuit to train, up to 11 qubits [default: the preset `paper`]
        ///
        /// Names in its angles are the parameters to train, x0 to x10 the encoder's inputs; without an
        /// encoder of its own, RX of an input is put in front of each qubit. Read are the measured qubits,
        /// or all if none is measured.
        #[arg(long, help_heading = "Training")]
        #[serde(skip_serializing_if = "Option::is_none")]
        circuit: Option<PathBuf> = None,
        /// Reject decisions under this probability [default: 0, never]
        #[arg(long, display_order = 51, help_heading = "Training")]
        reject_below: f32 = 0.0,
        /// Share of right answers that may be given up to reject foreign texts; 0 for no such rule [default: 0.02 with the
        /// front end `compact`, else 0]
        #[arg(long)]
        #[serde(skip_serializing_if = "Option::is_none")]
        reject_rate: Option<f64> = None,
    }
}

section! {
    /// How the student is trained.
    #[command(next_display_order = 60, next_help_heading = "Training")]
    TrainingConfig {
        /// Seed of every random stream [default: 0]
        #[arg(long)]
        seed: u64 = 0,
        /// Passes over the texts [default: 15]
        #[arg(long)]
        epochs: usize = 15,
        /// Steps at least; few texts are passed over more often [default: 1500]
        #[arg(long, alias = "least-steps")]
        #[serde(alias = "least_steps")]
        min_steps: usize = 1500,
        /// Texts a step [default: 32]
        #[arg(long, alias = "batch")]
        #[serde(alias = "batch")]
        batch_size: usize = 32,
        /// Learning rate of the vocabulary rows [default: 0.01]
        #[arg(long, alias = "rate")]
        #[serde(alias = "rate")]
        lr: f32 = 0.01,
        /// Learning rate of angles, bias and head [default: 0.01]
        #[arg(long, alias = "heart-rate")]
        #[serde(alias = "heart_rate")]
        circuit_lr: f32 = 0.01,
        /// Weight decay of the vocabulary rows [default: 0.2]
        #[arg(long, alias = "decay")]
        #[serde(alias = "decay")]
        weight_decay: f32 = 0.2,
        /// Standard deviation of the rows at the start.
        #[arg(skip = 0.05_f32)]
        row_spread: f32 = 0.05,
        /// Chance that an n-gram is left out in training [default: 0.5]
        #[arg(long)]
        dropout: f32 = 0.5,
        /// Let a logistic regression on the n-grams, fitted on the same labels, answer in place of the labels where no
        /// teacher does: better students from labels alone
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        regression: bool = false,
        /// Keep a teacher, or the regression, that labelled texts held out show to do harm
        #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        keep_teacher: bool = false,
        /// Label smoothing [default: 0.03]
        #[arg(long)]
        smoothing: f32 = 0.03,
        /// The teacher's share of the loss where there is a label too [default: 0.5]
        #[arg(long)]
        alpha: f32 = 0.5,
        /// Temperature of the distillation term [default: 2]
        #[arg(long)]
        temperature: f32 = 2.0,
        /// Epochs without a better one after which training stops [default: 10, or a fifth of all]
        #[arg(long)]
        patience: usize = 10,
        /// What makes an epoch the best one on the validation texts [default: loss]
        #[arg(long)]
        #[serde(skip_serializing_if = "Judge::is_loss")]
        criterion: Judge = Judge::Loss,
        /// What a text of each class weighs: `none` all the same, `balanced` those of rare classes more, until each class
        /// counts the same, or by a file of lines class, tab, weight (1 where a class is not named) [default: none]
        #[arg(long, value_name = "none|balanced|FILE")]
        #[serde(skip_serializing_if = "ClassWeights::is_none")]
        class_weights: ClassWeights = ClassWeights::None,
    }
}

section! {
    /// The front end `dense`, for vectors.
    #[command(next_display_order = 101, next_help_heading = "Models of vectors")]
    DenseConfig {
        /// Which design learns from vectors [default: product]
        #[arg(long)]
        preset: Preset = Preset::Product,
        /// How the 11 features of a vector become angles [default: as the preset]
        #[arg(long)]
        squash: Option<SquashKind> = None,
        // Least validation loss on hidden states with few texts: faster rates overfit within two epochs.
        /// Chance that an input of a vector is left out in training [default: 0.5]
        #[arg(id = "input_dropout", long = "input-dropout", value_name = "INPUT_DROPOUT")]
        dropout: f32 = 0.5,
        /// Weight decay of the Dense layer [default: 10]
        #[arg(id = "dense_decay", long = "dense-decay", value_name = "DENSE_DECAY")]
        decay: f32 = 10.0,
        /// Learning rate of the Dense layer [default: 0.0003]
        #[arg(id = "dense_rate", long = "dense-rate", value_name = "DENSE_RATE")]
        rate: f32 = 0.0003,
        // Of 0.001, 0.003, 0.01 and 0.03 the least mean loss on the parts held out of the paper's three training sets. The
        // published description gives none.
        /// Learning rate under the preset paper [default: 0.01]
        #[arg(long)]
        paper_rate: f32 = 0.01,
    }
}

section! {
    /// The front end `compact`.
    #[command(next_display_order = 35, next_help_heading = "Text")]
    CompactConfig {
        /// How texts are read: `words`, a vocabulary with a key for each n-gram, or `compact`, a keyless table of few bits,
        /// several times smaller [default: words]
        #[arg(long)]
        front_end: FrontEndKind = FrontEndKind::Words,
        /// Numbers that the compact table holds for an n-gram [default: classes less 1, at most 11]
        #[arg(long)]
        rank: Option<usize> = None,
        /// Bits of each of them, 1 to 4 [default: 4]
        #[arg(long)]
        code_bits: u8 = 4,
        /// Bits by which the compact table tells foreign n-grams, 0 to 12; each halves their number [default: 7]
        #[arg(long)]
        fingerprint_bits: u8 = 7,
        /// Characters of a word that count, 3 to 8; 0 for all [default: 0]
        #[arg(long)]
        stem: u8 = 0,
        /// Count runs of so many characters within words too, as 3-5
        #[arg(long)]
        runs: Option<String> = None,
        /// Penalty on the regression's weights [default: a hundredth of the texts of a class, 0.1 to 16]
        #[arg(long)]
        penalty: Option<f64> = None,
        /// How far rare n-grams are favoured: 0 not, 0.5 as the square root of their rarity [default: 0.25]
        #[arg(long)]
        frequency_power: f64 = 0.25,
    }
}

/// How texts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FrontEndKind {
    /// A vocabulary with a key for each n-gram (format version 1).
    Words,
    /// A keyless table of few bits (format version 2).
    Compact,
}

/// A list that is written as its one entry where it has one, as it was when it could have no more.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::path::PathBuf;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Paths {
        One(PathBuf),
        Many(Vec<PathBuf>),
    }

    pub fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        match paths {
            [one] => one.serialize(to),
            many => many.serialize(to),
        }
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(match Paths::deserialize(from)? {
            Paths::One(path) => vec![path],
            Paths::Many(paths) => paths,
        })
    }
}

/// How the rows of a text become features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// Their sum over the square root of their number.
    Root,
}

/// How the vocabulary is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// Chi-squared statistic of presence and class: good where single words tell the topic.
    ChiSquared,
    /// Weight in a logistic regression on all n-grams: good for short texts with overlapping n-grams.
    Weight,
}

/// What makes an epoch the best one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    /// The least loss
    Loss,
    /// The highest accuracy
    Accuracy,
    /// The highest mean of the classes' F1
    MacroF1,
}

impl Judge {
    #[allow(clippy::trivially_copy_pass_by_ref)] // What serde calls.
    fn is_loss(&self) -> bool {
        *self == Self::Loss
    }
}

/// What stands between the features and the head: the circuit, or a control of the same size. Settings call it `heart`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenLayer {
    /// The trained circuit: the preset `paper` or one from a file.
    Circuit,
    /// Nothing: the head reads the features.
    Linear,
    /// The encoder without an ansatz: `cos(pi tanh x)`.
    Cosine,
    /// `tanh x`.
    Tanh,
}

/// Which design is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The one that scores best: standardised inputs, dropout and decay, `pi tanh`.
    Product,
    /// arXiv 2505.13205 as its public code has it: Dense, min-max to 0..10 over the sample's 11 features, the circuit,
    /// Dense; loss `(1-a) CE + a T^2 KL + a JS` with T = 2, a = 0.5; Adam.
    Paper,
}

/// How the 11 features become angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SquashKind {
    /// `pi tanh(x)`.
    PiTanh,
    /// Min-max of the sample's features to 0..10.
    MinMax,
}

impl StudentConfig {
    /// The n-grams besides words.
    pub fn kinds(&self) -> GramKinds {
        let &Self { bigrams, prefixes, trigrams, edges, unicode, keep_signs: signs, .. } = self;
        GramKinds { bigrams, prefixes, trigrams, edges, unicode, signs, ..GramKinds::default() }
    }

    pub fn pool(&self) -> Pool {
        match self.pooling {
            Pooling::Mean => Pool::Mean,
            Pooling::Root => Pool::Root,
        }
    }

    pub fn row_bits(&self) -> RowBits {
        if self.row_bits == 8 { RowBits::Eight } else { RowBits::Four }
    }
}

pub use qdllm_host::cli::OverDefaults;

/// The options that were given, still to be laid over a settings file.
#[derive(Clone, Debug)]
pub struct Given(ArgMatches);

impl Given {
    /// The settings with the given options in place.
    pub fn over(&self, mut config: Config) -> Config {
        // The matches were parsed by the same definition: nothing in them is refused.
        if let Err(error) = config.update_from_arg_matches(&self.0) {
            debug_assert!(false, "{error}");
        }
        config
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: clap::Command) -> clap::Command {
        Config::augment_args_for_update(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Config::augment_args_for_update(command)
    }
}

/// Options under other names than they had first; the first are still read.
const FIRST_NAMES: [(&str, &str); 5] = [
    ("min_steps", "least_steps"),
    ("batch_size", "batch"),
    ("lr", "rate"),
    ("circuit_lr", "heart_rate"),
    ("weight_decay", "decay"),
];

impl Config {
    /// Reads a settings file; keys left out keep their defaults.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        let parsed = toml::from_str(&text).map_err(|e| anyhow!("{}", e.to_string().trim()));
        parsed.of_file(path)
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let Sources { data, unlabelled, soft, soft_texts, valid, vectors, .. } = &self.sources;
        let single = [unlabelled, soft, soft_texts, valid, &self.student.circuit];
        let weights = self.training.class_weights.file();
        data.iter().chain(vectors).chain(single.into_iter().flatten()).chain(weights)
    }

    pub fn to_toml(&self) -> String {
        // Plain numbers, texts and paths: nothing that TOML could not hold.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The settings without the files' names: what, with the files' contents, decides the result. Its digest stands in
    /// model files and checkpoints, so it keeps the names that options had first.
    pub fn recipe(&self) -> String {
        let mut plain = self.clone();
        let Sources { data, unlabelled, soft, soft_texts, valid, vectors, .. } = &mut plain.sources;
        for file in [unlabelled, soft, soft_texts, valid, &mut plain.student.circuit] {
            *file = None;
        }
        data.clear();
        vectors.clear();
        if plain.training.class_weights.file().is_some() {
            plain.training.class_weights = ClassWeights::File(PathBuf::new());
        }
        // Whether a teacher was weighed decides nothing once it is there.
        plain.training.keep_teacher = false;
        let text = plain.to_toml();
        FIRST_NAMES.iter().fold(text, |text, (name, first)| {
            text.replace(&format!("\n{name} = "), &format!("\n{first} = "))
        })
    }

    /// Whether a compact student's n-grams and sizes are left open.
    pub fn is_to_be_sized(&self) -> bool {
        let (open, rows) = (CompactConfig::default(), StudentConfig::default().rows);
        let front_end = self.compact.front_end;
        front_end == FrontEndKind::Compact
            && self.compact == CompactConfig { front_end, ..open }
            && self.student.rows == rows
    }

    /// The share of right answers that a rule of rejection may give up; 0 for no rule.
    pub fn reject_rate(&self) -> f64 {
        let compact = self.compact.front_end == FrontEndKind::Compact;
        self.student.reject_rate.unwrap_or(if compact { 0.02 } else { 0.0 })
    }

    /// The n-grams of a compact front end.
    pub fn gram_kinds(&self) -> GramKinds {
        let bounds = self.compact.runs.as_deref().and_then(|runs| runs.split_once('-'));
        let bounds = bounds.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (shortest, longest) = bounds.unwrap_or_default();
        let runs = Runs { shortest, longest };
        GramKinds { cut: self.compact.stem, runs, ..self.student.kinds() }
    }

    /// The training of so many texts: the epochs asked for, or as many as the least number of steps takes.
    pub fn training_of(&self, texts: usize) -> TrainingConfig {
        let steps = texts.div_ceil(self.training.batch_size).max(1);
        let epochs = self.training.epochs.max(self.training.min_steps.div_ceil(steps));
        TrainingConfig { epochs, ..self.training.clone() }
    }

    pub fn check(&self) -> Result<()> {
        let Self { sources, student, training, dense, compact } = self;
        let range = |ok: bool, key: &str, value: &dyn std::fmt::Display, range: &str| {
            let wrong = || wrong_use(format!("{key} is {value}; it must be {range}"));
            if ok { Ok(()) } else { Err(wrong()) }
        };
        let share = |key, x: f32| range((0.0..=1.0).contains(&x), key, &x, "from 0 to 1");
        let chance = |key, x: f32| range((0.0..1.0).contains(&x), key, &x, "from 0 to below 1");
        let rate = |key, x: f32| range(x > 0.0 && x <= 1.0, key, &x, "above 0, at most 1");
        let some = |key, n: usize| range(n > 0, key, &n, "at least 1");
        let (rows, bits, edges) = (student.rows, student.row_bits, student.edges);
        range((1..=65535).contains(&rows), "rows", &rows, "from 1 to 65535")?;
        let joined = student.bigrams || student.trigrams;
        range(joined || !edges, "edges", &edges, "false without bigrams or trigrams")?;
        let signs = student.keep_signs;
        range(student.unicode || !signs, "keep-signs", &signs, "false without unicode")?;
        range([4, 8].contains(&bits), "row-bits", &bits, "4 or 8")?;
        let CompactConfig { rank, code_bits, fingerprint_bits, stem, penalty, .. } = compact;
        let rank = rank.unwrap_or(1);
        range((1..=11).contains(&rank), "rank", &rank, "from 1 to 11")?;
        range((1..=4).contains(code_bits), "code-bits", code_bits, "from 1 to 4")?;
        let bits = fingerprint_bits;
        range((0..=12).contains(bits), "fingerprint-bits", bits, "from 0 to 12")?;
        range(*stem == 0 || (3..=8).contains(stem), "stem", stem, "0, or from 3 to 8")?;
        let penalty = penalty.unwrap_or(1.0);
        range(penalty > 0.0, "penalty", &penalty, "above 0")?;
        share("reject-below", student.reject_below)?;
        share("reject-rate", student.reject_rate.unwrap_or(0.0) as f32)?;
        some("epochs", training.epochs)?;
        let batch = training.batch_size;
        range((1..=65536).contains(&batch), "batch-size", &batch, "from 1 to 65536")?;
        rate("lr", training.lr)?;
        rate("circuit-lr", training.circuit_lr)?;
        let decay = training.weight_decay;
        range((0.0..10.0).contains(&decay), "weight-decay", &decay, "from 0 to 10")?;
        let spread = training.row_spread;
        range(spread > 0.0 && spread <= 10.0, "row-spread", &spread, "above 0, at most 10")?;
        chance("dropout", training.dropout)?;
        share("smoothing", training.smoothing)?;
        share("alpha", training.alpha)?;
        let heat = training.temperature;
        range((0.1..=100.0).contains(&heat), "temperature", &heat, "from 0.1 to 100")?;
        some("patience", training.patience)?;
        chance("dense dropout", dense.dropout)?;
        range((0.0..1e3).contains(&dense.decay), "dense decay", &dense.decay, "from 0 to 1000")?;
        rate("dense rate", dense.rate)?;
        rate("paper-rate", dense.paper_rate)?;
        let holdout = sources.holdout;
        range((0.0..1.0).contains(&holdout), "holdout", &holdout, "from 0 to below 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Given,
    }

    fn given(line: &str, config: Config) -> Config {
        Line::try_parse_from(line.split(' ')).unwrap().options.over(config)
    }

    /// Written by the last version under the first names.
    const FIRST: &str = include_str!("../../tests/vectors/settings_v1.toml");

    #[test]
    fn settings_files_with_the_first_names_are_read_and_keep_their_digest() {
        let read: Config = toml::from_str(FIRST).unwrap();
        let training = &read.training;
        assert_eq!((training.min_steps, training.batch_size), (7, 16));
        assert_eq!((training.lr, training.circuit_lr, training.weight_decay), (0.02, 0.03, 0.1));
        let written = read.to_toml();
        for line in ["min_steps = 7", "batch_size = 16", "\nlr = 0.02", "circuit_lr = 0.03"] {
            assert!(written.contains(line), "{written}");
        }
        assert_eq!(toml::from_str::<Config>(&written).unwrap(), read);
        // What is digested is the first spelling, file names left out: models and checkpoints keep their fingerprint.
        let files = ["data = ", "soft = "];
        let nameless: String = FIRST
            .lines()
            .filter(|line| !files.iter().any(|file| line.starts_with(file)))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(read.recipe(), nameless);
    }

    #[test]
    fn options_win_over_the_file_and_have_hidden_aliases() {
        let file: Config = toml::from_str(FIRST).unwrap();
        assert_eq!(given("distill", file.clone()), file, "what is not given stays");
        let new =
            "distill --min-steps 1 --batch-size 2 --lr 0.3 --circuit-lr 0.4 --weight-decay 0.5";
        let old = "distill --least-steps 1 --batch 2 --rate 0.3 --heart-rate 0.4 --decay 0.5";
        let laid = given(new, file.clone());
        assert_eq!(laid, given(old, file.clone()));
        let training = &laid.training;
        assert_eq!((training.min_steps, training.batch_size), (1, 2));
        assert_eq!((training.lr, training.circuit_lr, training.weight_decay), (0.3, 0.4, 0.5));
        let flags = given("distill --edges --bigrams false --input-dropout 0.1 --vectors a", file);
        assert!(flags.student.edges && !flags.student.bigrams && flags.student.trigrams);
        assert_eq!((flags.dense.dropout, flags.training.dropout), (0.1, 0.25));
        assert_eq!(flags.sources.vectors, [PathBuf::from("a")]);
        let mut command = <Line as clap::CommandFactory>::command();
        assert!(!command.render_long_help().to_string().contains("least-steps"));
    }

    #[test]
    fn helps_state_the_defaults() {
        let table = toml::Table::try_from(Config::default()).unwrap();
        let command = <Line as clap::CommandFactory>::command();
        let sections = [("input_", "dense"), ("dense_", "dense")];
        let mut stated = 0;
        for option in command.get_arguments() {
            let help = option.get_help().unwrap_or_default().to_string();
            let Some((_, default)) = help.split_once("[default: ") else { continue };
            let default = default.split([',', ']']).next().unwrap_or_default();
            let id = option.get_id().as_str();
            let own = sections.iter().find_map(|(start, of)| Some((*of, id.strip_prefix(start)?)));
            let value = match own {
                Some((section, key)) => table[section].get(key),
                None => table.values().find_map(|section| section.get(id)),
            };
            // A path or preset that is absent has no value to state.
            let Some(value) = value else { continue };
            let written = match value {
                toml::Value::String(text) => text.clone(),
                // Settings are f32: their shortest digits.
                toml::Value::Float(x) => (*x as f32).to_string(),
                other => other.to_string(),
            };
            assert_eq!(written, default, "{id}");
            stated += 1;
        }
        assert!(stated >= 20, "{stated}");
    }
}
