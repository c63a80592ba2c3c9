//! `qdllm-hw cancel`: gives up what has not ended.

use crate::commands::{Access, line, refusals, states, states_text};
use crate::quafu::jobs::Store;
use crate::quafu::jobs::run::Cancelled;
use anyhow::{Result, ensure};
use clap::Args;
use qdllm_host::terminal::note;
use qdllm_host::values::within;
use serde_json::json;

/// Cancel the jobs of a batch that have not ended
///
/// Jobs that were not sent are given up here; those that the platform has are cancelled there, as far as
/// it still can. What ran already is not lost: `fetch` brings it.
///
/// Example:
///   qdllm-hw cancel model-3f2a
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct CancelArgs {
    /// The batch; the beginning of its name will do
    pub batch: String,
    /// Seconds after a lost answer until the platform's list of tasks is taken to be complete
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = within(0..=1_000_000_u64))]
    pub settle: u64,
    #[command(flatten)]
    pub store: Store,
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &CancelArgs) -> Result<()> {
    let store = &args.store;
    let id = store.find(Some(&args.batch))?;
    let mut open = store.open(&id)?;
    let mut done = Cancelled::default();
    if open.count(|s| s.unsent() || s.submitted()) > 0 {
        let platform = args.access.connect(open.batch.platform, &open.batch.url)?;
        let sender = args.access.sender(platform.as_ref(), args.settle);
        done = sender.cancel(&mut open);
    }
    let Cancelled { cancelled, kept, refused } = done;
    let all = states(&open.jobs);
    let value = json!({
        "batch": id, "cancelled": cancelled, "kept": kept, "states": all, "refused": refusals(&refused),
    });
    let now = states_text(&open.jobs);
    let late = match kept {
        0 => String::new(),
        _ => {
            format!("\n{kept} had gone too far to be cancelled; `qdllm-hw fetch {id}` brings them")
        }
    };
    line(args.json, &value, format_args!("batch {id}: {cancelled} cancelled; now {now}{late}"))?;
    for (number, why) in &refused {
        note(format_args!("job {number}: {why}; it was left as it was"));
    }
    ensure!(refused.is_empty(), "batch {id}: {} jobs could not be cancelled", refused.len());
    Ok(())
}
