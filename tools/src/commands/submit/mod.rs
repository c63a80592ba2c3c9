//! `qdllm-hw submit`: circuits or texts to a quantum cloud, each exactly once.

mod args;
mod batch;
mod send;

use crate::commands::access::{states, states_text};
use crate::quafu::jobs::job::State;
use anyhow::{Context, Result};
use serde_json::json;

pub use args::SubmitArgs;
use batch::{create, identity};
use send::{send, settle_by_hand};

pub fn run(args: &SubmitArgs) -> Result<()> {
    let store = args.store.open();
    let id = match &args.resume {
        Some(wanted) => store.find(Some(wanted))?,
        None => {
            let id = identity(args)?;
            if store.has(&id) {
                eprintln!("batch {id} exists; going on with it (--name makes another)");
            } else {
                create(args, &store, &id)?;
            }
            id
        }
    };
    let mut open = store.open(&id)?;
    settle_by_hand(&args.received, &args.lost, &mut open)?;
    if args.retry_failed {
        for index in 0..open.jobs.len() {
            if matches!(open.jobs[index].state, State::Failed { .. }) {
                open.jobs[index].again();
                open.save(index)?;
            }
        }
    }
    let sent = send(args, &store, &mut open);
    let all = states_text(&open.jobs);
    sent.with_context(|| format!("batch {id}: {all}; go on with `qdllm-hw submit --resume {id}`"))?;
    if args.json {
        let batch = &open.batch;
        println!(
            "{}",
            json!({"batch": id, "store": store.root(), "platform": batch.platform,
                   "chip": batch.chip, "shots": batch.shots, "jobs": batch.jobs,
                   "states": states(&open.jobs)})
        );
    } else {
        println!("batch {id}: {all}");
        println!("fetch the results with `qdllm-hw fetch {id}`");
    }
    Ok(())
}
