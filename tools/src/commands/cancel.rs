//! `qdllm-hw cancel`: gives up what has not ended.

use crate::commands::access::{Access, StoreArgs, states, states_text};
use crate::quafu::jobs::collect::cancel;
use crate::quafu::jobs::job::State;
use crate::quafu::jobs::send::Sender;
use anyhow::Result;
use clap::Args;
use serde_json::json;
use std::time::Duration;

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
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub settle: u64,
    /// Where jobs are kept
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the platform is reached
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &CancelArgs) -> Result<()> {
    let store = args.store.open();
    let id = store.find(Some(&args.batch))?;
    let mut open = store.open(&id)?;
    let live =
        |s: &State| matches!(s, State::Ready | State::Sending { .. } | State::Submitted { .. });
    let (mut cancelled, mut kept) = (0, 0);
    if open.jobs.iter().any(|j| live(&j.state)) {
        let platform = args.access.connect(open.batch.platform, &open.batch.url)?;
        let sender = Sender {
            platform: platform.as_ref(),
            retry: args.access.retry(),
            settle: Duration::from_secs(args.settle),
        };
        (cancelled, kept) = cancel(&sender, &mut open)?;
    }
    if args.json {
        let all = states(&open.jobs);
        println!("{}", json!({"batch": id, "cancelled": cancelled, "kept": kept, "states": all}));
    } else {
        println!("batch {id}: {cancelled} cancelled; now {}", states_text(&open.jobs));
        if kept > 0 {
            println!("{kept} had gone too far to be cancelled; `qdllm-hw fetch {id}` brings them");
        }
    }
    Ok(())
}
