//! `qdllm-hw fetch`: counts of a batch, and what they decide.

use crate::commands::access::{Access, StoreArgs, states, states_text};
use crate::commands::decisions;
use crate::quafu::jobs::collect::{Patience, Refusal, collect};
use crate::quafu::jobs::job::{Job, State};
use crate::quafu::jobs::results::{Answers, Summary, answers};
use crate::quafu::jobs::store::Open;
use anyhow::{Result, bail};
use clap::Args;
use qdllm_host::terminal::Progress;
use serde_json::{Value, json};
use std::time::Duration;

/// Fetch the results of a batch
///
/// Waits until all jobs that were submitted have ended, keeps each result in its job file as soon as it
/// is there, and prints what the counts decide: for texts the class, its probability, and the margin
/// between the first two logits, each with one standard error that the finite number of shots leaves;
/// for a circuit the expectation of each output. Shares come with their 95% interval (Wilson).
/// Interrupted, it goes on where it was. A batch that is complete is printed again without asking the
/// platform.
///
/// A result is refused, and its job left as it was, when its bit strings have the wrong length, or when
/// it is of another task, chip or circuit.
///
/// Examples:
///   qdllm-hw fetch                       (the newest batch)
///   qdllm-hw fetch model-3f2a --json
///   qdllm-hw fetch model-3f2a --no-wait
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct FetchArgs {
    /// The batch, or the beginning of its name; without it the newest
    pub batch: Option<String>,
    /// Take what is there and do not wait for the rest
    #[arg(long)]
    pub no_wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "S", default_value_t = 86_400.0, conflicts_with = "no_wait")]
    pub wait: f64,
    /// Milliseconds between rounds in the first minute; later 5 and 30 times as long
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub poll: u64,
    /// Undo read-out errors that the chip published when the batch was made
    #[arg(long)]
    pub mitigate: bool,
    /// Where jobs are kept
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the platform is reached
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON, raw counts included
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &FetchArgs) -> Result<()> {
    let store = args.store.open();
    let id = store.find(args.batch.as_deref())?;
    let mut open = store.open(&id)?;
    let refused = fetch(args, &mut open)?;
    let found = answers(&open.batch, &open.jobs, args.mitigate)?;
    if args.json {
        let jobs: Vec<Value> = open.jobs.iter().map(described).collect();
        let refused: Vec<Value> =
            refused.iter().map(|r| json!({"job": r.number, "why": r.why.to_string()})).collect();
        let mut result = json!({
            "batch": id, "chip": open.batch.chip, "shots": open.batch.shots,
            "states": states(&open.jobs), "refused": refused, "jobs": jobs,
        });
        match &found {
            Answers::Decisions(all) => {
                result["decisions"] = json!(all);
                result["summary"] = json!(Summary::of(all));
            }
            Answers::Outputs(outputs) => result["outputs"] = json!(outputs),
        }
        println!("{result:#}");
    } else {
        decisions::print(&open, &found);
    }
    for refusal in &refused {
        eprintln!("job {}: {}; its file was left as it was", refusal.number, refusal.why);
    }
    let all = states_text(&open.jobs);
    let unsent = |j: &Job| matches!(j.state, State::Ready | State::Sending { .. });
    if open.jobs.iter().any(unsent) {
        bail!("batch {id}: {all}; send the rest with `qdllm-hw submit --resume {id}`");
    }
    if open.jobs.iter().any(|j| matches!(j.state, State::Failed { .. })) {
        bail!(
            "batch {id}: {all}; send those once more with `qdllm-hw submit --resume {id} --retry-failed`"
        );
    }
    if !refused.is_empty() || open.jobs.iter().any(|j| matches!(j.state, State::Cancelled { .. })) {
        bail!("batch {id}: {all}");
    }
    let waiting = open.jobs.iter().any(|j| matches!(j.state, State::Submitted { .. }));
    if waiting && !args.no_wait {
        bail!("batch {id}: {all}; fetch again later");
    }
    Ok(())
}

fn fetch(args: &FetchArgs, open: &mut Open) -> Result<Vec<Refusal>> {
    let waiting = |open: &Open| {
        open.jobs.iter().filter(|j| matches!(j.state, State::Submitted { .. })).count()
    };
    let total = waiting(open);
    if total == 0 {
        return Ok(Vec::new());
    }
    let platform = args.access.connect(open.batch.platform, &open.batch.url)?;
    let most = if args.no_wait { 0.0 } else { args.wait.clamp(0.0, 1e8) };
    let patience = Patience {
        most: Duration::from_secs_f64(most),
        poll: Duration::from_millis(args.poll.max(1)),
    };
    let mut progress = Progress::new(total < 10);
    progress.stage("fetching", total as u64);
    let result = collect(platform.as_ref(), open, patience, |open| {
        progress.at((total - waiting(open)) as u64);
    });
    progress.done();
    Ok(result?)
}

fn described(job: &Job) -> Value {
    let mut row = json!({
        "number": job.number, "name": job.name, "item": job.item, "weight": job.weight,
        "state": job.state.name(), "task": job.state.task(),
    });
    match &job.state {
        State::Finished { counts, .. } => row["counts"] = json!(counts),
        State::Failed { error, .. } => row["error"] = json!(error),
        _ => {}
    }
    row
}
