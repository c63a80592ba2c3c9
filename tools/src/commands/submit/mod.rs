//! `qdllm-hw submit`: circuits or texts to a quantum cloud, each exactly once.

mod batch;

use crate::commands::access::{Access, StoreArgs, Where, states, states_text, with_progress};
use crate::commands::line;
use crate::quafu::jobs::State;
use crate::quafu::jobs::store::{Open, Store};
use crate::transpile::native::Basis;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
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

pub fn run(args: &SubmitArgs) -> Result<()> {
    let store = args.store.open();
    let id = match &args.resume {
        Some(wanted) => store.find(Some(wanted))?,
        None => {
            let id = batch::identity(args)?;
            if store.has(&id) {
                eprintln!("batch {id} exists; going on with it (--name makes another)");
            } else {
                batch::create(args, &store, &id)?;
            }
            id
        }
    };
    let mut open = store.open(&id)?;
    settle_by_hand(args, &mut open)?;
    if args.retry_failed {
        for index in 0..open.jobs.len() {
            if open.jobs[index].again() {
                open.save(index)?;
            }
        }
    }
    let sent = send(args, &store, &mut open);
    let all = states_text(&open.jobs);
    sent.with_context(|| format!("batch {id}: {all}; go on with `qdllm-hw submit --resume {id}`"))?;
    let batch = &open.batch;
    let value = json!({
        "batch": id, "store": store.0, "platform": batch.platform, "chip": batch.chip,
        "shots": batch.shots, "jobs": batch.jobs, "states": states(&open.jobs),
    });
    let next = format!("fetch the results with `qdllm-hw fetch {id}`");
    line(args.json, &value, format_args!("batch {id}: {all}\n{next}"));
    Ok(())
}

fn send(args: &SubmitArgs, store: &Store, open: &mut Open) -> Result<()> {
    let total = open.count(State::unsent);
    if total == 0 {
        return Ok(());
    }
    let platform = args.access.connect_for(&open.batch)?;
    platform.ready(&open.batch.chip)?;
    let daily = match args.daily {
        Some(n) => Some(n).filter(|&n| n > 0),
        None => platform.limits(&open.batch.chip)?.daily_tasks,
    };
    let used = store.used_today(&open.batch)?;
    let sender = args.access.sender(platform.as_ref(), args.settle);
    with_progress("submitting", total, |at| {
        sender.send(open, used, daily, |open| at(total - open.count(State::unsent)))
    })
}

/// What the user found out about doubtful jobs in the platform's console.
fn settle_by_hand(args: &SubmitArgs, open: &mut Open) -> Result<()> {
    let received = args.received.iter().map(|pair| {
        let (name, task) = pair.split_once('=').context("--received takes NAME=TASK")?;
        Ok((name, Some(task)))
    });
    let lost = args.lost.iter().map(|name| Ok((name.as_str(), None)));
    for (name, task) in received.chain(lost).collect::<Result<Vec<_>>>()? {
        let index = open.jobs.iter().position(|j| j.name == name);
        let index = index.with_context(|| format!("`{name}` is no job of {}", open.batch.id))?;
        let State::Sending { since_s } = open.jobs[index].state else {
            bail!("{name} is {}, not sending: there is no doubt", open.jobs[index].state.name());
        };
        let state = match task {
            Some(task) => State::Submitted { task: task.into(), at_s: since_s },
            None => State::Ready,
        };
        open.set(index, state)?;
    }
    Ok(())
}
