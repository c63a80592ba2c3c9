//! `qdllm-hw fetch`: counts of a batch, and what they decide.

use crate::commands::{Access, refusals, states, states_text};
use crate::histogram::histogram;
use crate::quafu::jobs::results::{Answers, Summary, answers};
use crate::quafu::jobs::run::{Refusal, collect};
use crate::quafu::jobs::{Job, Open, State, Store, Work};
use anyhow::{Result, bail};
use clap::Args;
use qdllm_host::terminal::{self, Progress, note, say};
use qdllm_host::values::within;
use serde_json::{Value, json};
use std::time::Duration;

/// Fetch the results of a batch
///
/// Waits until all jobs that were submitted have ended, keeps each result in its job file as soon as it
/// is there, and prints what the counts decide: for texts the class, its probability, and the margin
/// between the first two logits, each with one standard error that the finite number of shots leaves;
/// for a circuit the expectation of each output, and the counts as a histogram. Shares come with their
/// 95% interval (Wilson).
/// Interrupted, it goes on where it was. A batch that is complete is printed again without asking the
/// platform.
///
/// A result is refused, and its job left as it was, when its bit strings have the wrong length, or when
/// it is of another task, chip or circuit. That job is named with the reason, the others go on, and the
/// exit code is 1.
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
    #[arg(long, value_name = "S", default_value_t = 86_400.0, conflicts_with = "no_wait", value_parser = within(0.0..=1e8))]
    pub wait: f64,
    /// Milliseconds between rounds in the first minute; later 5 and 30 times as long
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = within(1..=3_600_000_u64))]
    pub poll: u64,
    /// Undo read-out errors that the chip published when the batch was made
    #[arg(long)]
    pub mitigate: bool,
    /// Show the counts of each job as a histogram, of texts, too
    #[arg(long)]
    pub counts: bool,
    #[command(flatten)]
    pub store: Store,
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON, raw counts included
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &FetchArgs) -> Result<()> {
    let store = &args.store;
    let id = store.find(args.batch.as_deref())?;
    let mut open = store.open(&id)?;
    let refused = fetch(args, &mut open)?;
    let found = answers(&open.batch, &open.jobs, args.mitigate)?;
    let (batch, jobs) = (&open.batch, &open.jobs);
    let all = states_text(jobs);
    if args.json {
        let mut result = json!({
            "batch": id, "chip": batch.chip, "shots": batch.shots, "states": states(jobs),
            "refused": refusals(&refused),
            "jobs": jobs.iter().map(described).collect::<Value>(),
        });
        match &found {
            Answers::Decisions(all) => {
                result["decisions"] = json!(all);
                result["summary"] = json!(Summary::of(all));
            }
            Answers::Outputs(outputs) => result["outputs"] = json!(outputs),
        }
        say(format_args!("{result:#}"))?;
    } else {
        let bars = match args.counts || matches!(batch.work, Work::Circuit { .. }) {
            true => jobs.iter().map(bars).collect(),
            false => String::new(),
        };
        let (shots, chip) = (batch.shots, &batch.chip);
        say(format_args!("batch {id}: {all}; {shots} shots on {chip}\n{found}{bars}"))?;
    }
    for (number, why) in &refused {
        note(format_args!("job {number}: {why}; its file was left as it was"));
    }
    let any = |of: fn(&State) -> bool| open.count(of) > 0;
    let remedy = if any(State::unsent) {
        format!("; send the rest with `qdllm-hw submit --resume {id}`")
    } else if any(|s| matches!(s, State::Failed { .. })) {
        format!("; send those once more with `qdllm-hw submit --resume {id} --retry-failed`")
    } else if !refused.is_empty() || any(|s| matches!(s, State::Cancelled { .. })) {
        String::new()
    } else if any(State::submitted) && !args.no_wait {
        "; fetch again later".into()
    } else {
        return Ok(());
    };
    bail!("batch {id}: {all}{remedy}")
}

fn fetch(args: &FetchArgs, open: &mut Open) -> Result<Vec<Refusal>> {
    let total = open.count(State::submitted);
    if total == 0 {
        return Ok(Vec::new());
    }
    let platform = args.access.connect(open.batch.platform, &open.batch.url)?;
    let most = Duration::from_secs_f64(if args.no_wait { 0.0 } else { args.wait });
    let poll = Duration::from_millis(args.poll);
    Progress::new(total < 10).during("fetching", total, |at| {
        let step = |open: &Open| at(total - open.count(State::submitted));
        collect(platform.as_ref(), open, most, poll, step)
    })
}

/// The counts of a job, the most frequent outcomes first.
fn bars(job: &Job) -> String {
    let State::Finished { counts, .. } = &job.state else { return String::new() };
    let bars = histogram(counts, terminal::width());
    let first = if job.bits > 1 { format!("c[{}] ... ", job.bits - 1) } else { String::new() };
    format!("job {}, weight {:.4}, {first}c[0]:\n{bars}", job.number, job.weight)
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
