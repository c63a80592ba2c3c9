//! `qdllm-hw submit`: circuits or texts to a quantum cloud, each exactly once.

mod batch;

use crate::commands::{line, states, states_text};
use crate::quafu::jobs::{Open, State};
use anyhow::{Context, Result, bail};
use qdllm_host::terminal::{Progress, note};
use serde_json::json;

pub use batch::SubmitArgs;

pub fn run(args: &SubmitArgs) -> Result<()> {
    let store = &args.store;
    let id = match &args.resume {
        Some(wanted) => store.find(Some(wanted))?,
        None => {
            let id = batch::identity(args)?;
            if store.has(&id) {
                note(format_args!("batch {id} exists; going on with it (--name makes another)"));
            } else {
                batch::create(args, &id)?;
            }
            id
        }
    };
    let mut open = store.open(&id)?;
    let (used, others) = store.sent(&open.batch)?;
    open.others = others;
    settle_by_hand(args, &mut open)?;
    if args.retry_failed {
        for index in 0..open.jobs.len() {
            if open.jobs[index].again() {
                open.save(index)?;
            }
        }
    }
    let sent = send(args, &mut open, used);
    let all = states_text(&open.jobs);
    sent.with_context(|| format!("batch {id}: {all}; go on with `qdllm-hw submit --resume {id}`"))?;
    let batch = &open.batch;
    let value = json!({
        "batch": id, "store": store.folder, "platform": batch.platform, "chip": batch.chip,
        "shots": batch.shots, "jobs": batch.jobs, "states": states(&open.jobs),
    });
    let next = format!("fetch the results with `qdllm-hw fetch {id}`");
    line(args.json, &value, format_args!("batch {id}: {all}\n{next}"))
}

fn send(args: &SubmitArgs, open: &mut Open, used: u32) -> Result<()> {
    let total = open.count(State::unsent);
    if total == 0 {
        return Ok(());
    }
    let platform = args.access.connect(open.batch.platform, &open.batch.url)?;
    platform.ready(&open.batch.chip)?;
    let daily = match args.daily {
        Some(n) => Some(n).filter(|&n| n > 0),
        None => platform.daily_tasks(),
    };
    let sender = args.access.sender(platform.as_ref(), args.settle);
    Progress::new(total < 10).during("submitting", total, |at| {
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
        let State::Sending { since_s, .. } = open.jobs[index].state else {
            bail!("{name} is {}, not sending: there is no doubt", open.jobs[index].state.name());
        };
        if let Some(other) = task.and_then(|task| open.holder(task)) {
            bail!("{name} cannot have the task of {other}");
        }
        let state = match task {
            Some(task) => State::Submitted { task: task.into(), at_s: since_s },
            None => State::Ready,
        };
        open.set(index, state)?;
    }
    Ok(())
}
