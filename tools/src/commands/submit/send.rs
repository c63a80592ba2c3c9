//! Sends a batch, after what a person found out about doubtful jobs.

use super::args::SubmitArgs;
use crate::quafu::jobs::job::State;
use crate::quafu::jobs::quota;
use crate::quafu::jobs::send::{Sender, Today, set};
use crate::quafu::jobs::store::{Open, Store};
use anyhow::{Context, Result, bail};
use qdllm_host::terminal::Progress;
use std::time::Duration;

pub fn send(args: &SubmitArgs, store: &Store, open: &mut Open) -> Result<()> {
    let unsent = |open: &Open| {
        let jobs = open.jobs.iter();
        jobs.filter(|j| matches!(j.state, State::Ready | State::Sending { .. })).count()
    };
    let total = unsent(open);
    if total == 0 {
        return Ok(());
    }
    let platform = args.access.connect(open.batch.platform, &open.batch.url)?;
    platform.ready(&open.batch.chip)?;
    let daily = match args.daily {
        Some(0) => None,
        Some(n) => Some(n),
        None => platform.limits(&open.batch.chip)?.daily_tasks,
    };
    let today = Today { used: quota::used_today(store, &open.batch)?, daily };
    let sender = Sender {
        platform: platform.as_ref(),
        retry: args.access.retry(),
        settle: Duration::from_secs(args.settle),
    };
    let mut progress = Progress::new(total < 10);
    progress.stage("submitting", total as u64);
    let sent = sender.send(open, today, |open| progress.at((total - unsent(open)) as u64));
    progress.done();
    Ok(sent?)
}

/// What the user found out in the platform's console.
pub fn settle_by_hand(received: &[String], lost: &[String], open: &mut Open) -> Result<()> {
    let received = received.iter().map(|pair| {
        let (name, task) = pair.split_once('=').context("--received takes NAME=TASK")?;
        Ok((name, Some(task)))
    });
    let lost = lost.iter().map(|name| Ok((name.as_str(), None)));
    for entry in received.chain(lost).collect::<Result<Vec<_>>>()? {
        let (name, task) = entry;
        let index = open.jobs.iter().position(|j| j.name == name);
        let index = index.with_context(|| format!("`{name}` is no job of {}", open.batch.id))?;
        let State::Sending { since_s } = open.jobs[index].state else {
            bail!("{name} is {}, not sending: there is no doubt", open.jobs[index].state.name());
        };
        let state = match task {
            Some(task) => State::Submitted { task: task.into(), at_s: since_s },
            None => State::Ready,
        };
        set(open, index, state)?;
    }
    Ok(())
}
