//! The options of `submit`.

use crate::commands::access::{Access, StoreArgs, Where};
use crate::transpile::native::Basis;
use clap::Args;
use std::path::PathBuf;

/// Submit circuits or texts to a quantum cloud
///
/// Makes a batch in the store and sends it. A text becomes one or two circuits, compiled here for the
/// chip's qubits as they are calibrated now; `fetch` turns their counts into a decision.
///
/// The command may end at any point, by error, by you, or by a power cut: run it again, or with
/// --resume, and it goes on where it was. What was received is never sent again: asked for the same
/// thing, it finds the batch that exists. To run something once more, give it another --name.
///
/// The token comes from `QPU_API_TOKEN` (platform sqc) or `QUAFU_API_KEY` (portal), --token-file, or the
/// keyring (see `qdllm-hw token`).
///
/// Examples:
///   qdllm-hw submit model.qdm "turn on the light" --chip Baihua
///   qdllm-hw submit model.qdm --data test.tsv --first 200 --shots 2048
///   qdllm-hw submit --qasm circuit.qasm
///   qdllm-hw submit --compiled folder-of-transpile
///   qdllm-hw submit --resume model-3f2a
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct SubmitArgs {
    /// A model file (.qdm)
    #[arg(required_unless_present_any = ["qasm", "compiled", "resume"])]
    pub model: Option<PathBuf>,
    /// The text to classify
    #[arg(required_unless_present_any = ["data", "qasm", "compiled", "resume"])]
    pub text: Option<String>,
    /// Texts to classify: .tsv (label, tab, text), .jsonl (text, label), else one text a line
    #[arg(long, value_name = "FILE", requires = "model", conflicts_with = "text")]
    pub data: Option<PathBuf>,
    /// Only the first N texts of --data
    #[arg(long, value_name = "N", requires = "data")]
    pub first: Option<usize>,
    /// An OpenQASM 2 file; compiled here for the chip
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "text"])]
    pub qasm: Option<PathBuf>,
    /// Send --qasm unchanged: its qubits and gates are the chip's own
    #[arg(long, requires = "qasm")]
    pub as_is: bool,
    /// Let the platform compile --qasm
    #[arg(long, requires = "qasm", conflicts_with = "as_is")]
    pub compile_there: bool,
    /// A folder that `transpile -o` wrote
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "text", "qasm"])]
    pub compiled: Option<PathBuf>,
    /// Go on with a batch; the beginning of its name will do
    #[arg(long, value_name = "BATCH", conflicts_with_all = ["model", "text", "qasm", "compiled"])]
    pub resume: Option<String>,
    /// With --resume: send jobs that failed once more, under new names
    #[arg(long, requires = "resume", conflicts_with = "model")]
    pub retry_failed: bool,
    /// With --resume: the platform has the job of this name as this task
    #[arg(long, value_name = "NAME=TASK", requires = "resume")]
    pub received: Vec<String>,
    /// With --resume: the platform does not have the job of this name; send it again
    #[arg(long, value_name = "NAME", requires = "resume")]
    pub lost: Vec<String>,
    /// The chip, or the portal's target
    #[arg(long, default_value = "Baihua")]
    pub chip: String,
    /// Repetitions of each circuit
    #[arg(long, default_value_t = 1024)]
    pub shots: u32,
    /// A word that tells this batch from an equal one
    #[arg(long, default_value = "")]
    pub name: String,
    /// Compile for this map instead of the chip's own, live one: baihua, or a JSON file
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// One-qubit gates to use beside cz
    #[arg(long, value_enum, default_value = "h-rz")]
    pub basis: Basis,
    /// Keep one circuit whose every qubit is read as in the source
    #[arg(long)]
    pub no_rewrite: bool,
    /// Seed of the routing
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Tasks a day; 0: no limit [default: what the platform is known to allow]
    #[arg(long, value_name = "N")]
    pub daily: Option<u32>,
    /// Seconds after a lost answer until the platform's list of tasks is taken to be complete
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub settle: u64,
    /// Where jobs are kept
    #[command(flatten)]
    pub store: StoreArgs,
    /// Which platform
    #[command(flatten)]
    pub place: Where,
    /// How it is reached
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}
