//! Fetches results until all jobs have ended, and cancels.

use super::JobError;
use super::job::State;
use super::send::{Sender, set};
use super::store::Open;
use super::verify::{Mismatch, verify};
use crate::quafu::platform::{Fetched, Platform, Progress};
use std::time::{Duration, Instant};

/// Jobs in a row that are still waiting after which a round ends: the rest stands behind them.
const IN_A_ROW: usize = 4;

#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Give up after this; zero: ask once.
    pub most: Duration,
    /// The first wait between rounds; later ones are up to thirty times as long.
    pub poll: Duration,
}

#[derive(Debug)]
pub struct Refusal {
    pub number: usize,
    pub why: Mismatch,
}

/// Fetches the results of all submitted jobs. A result is on disk before the next is asked for.
/// `step` is called after each round that brought one.
///
/// # Errors
/// [`JobError`]. Refused results are returned; their jobs stay as they were.
pub fn collect(
    platform: &dyn Platform,
    open: &mut Open,
    patience: Patience,
    mut step: impl FnMut(&Open),
) -> Result<Vec<Refusal>, JobError> {
    let start = Instant::now();
    let mut refused: Vec<Refusal> = Vec::new();
    let mut from = 0;
    loop {
        let waiting: Vec<usize> = (0..open.jobs.len())
            .filter(|&i| matches!(open.jobs[i].state, State::Submitted { .. }))
            .filter(|&i| refused.iter().all(|r| r.number != open.jobs[i].number))
            .collect();
        if waiting.is_empty() {
            return Ok(refused);
        }
        // Each round begins where the last ended, so that no stuck job hides those behind it.
        let turn = waiting.iter().position(|&i| i >= from).unwrap_or(0);
        let mut in_a_row = 0;
        let mut brought = false;
        for &index in waiting[turn..].iter().chain(&waiting[..turn]) {
            from = index + 1;
            match one(platform, open, index)? {
                One::Ended => {
                    brought = true;
                    in_a_row = 0;
                    step(open);
                }
                One::Waiting => in_a_row += 1,
                One::Refused(why) => {
                    refused.push(Refusal { number: open.jobs[index].number, why });
                }
            }
            if in_a_row >= IN_A_ROW && !patience.most.is_zero() {
                break;
            }
        }
        let elapsed = start.elapsed();
        if elapsed >= patience.most {
            return Ok(refused);
        }
        if !brought {
            let factor = match elapsed.as_secs() {
                0..60 => 1,
                60..600 => 5,
                _ => 30,
            };
            std::thread::sleep((patience.poll * factor).min(patience.most - elapsed));
        }
    }
}

enum One {
    Ended,
    Waiting,
    Refused(Mismatch),
}

fn one(platform: &dyn Platform, open: &mut Open, index: usize) -> Result<One, JobError> {
    let State::Submitted { task, at_s } = open.jobs[index].state.clone() else {
        return Ok(One::Waiting);
    };
    let state = match platform.result(&task)? {
        Fetched::Waiting(_) => return Ok(One::Waiting),
        Fetched::Failed(error) => State::Failed { task, at_s, error },
        Fetched::Cancelled => State::Cancelled { task: Some(task) },
        Fetched::Done(outcome) => {
            if let Err(why) = verify(&open.batch, &open.jobs[index], &task, &outcome) {
                return Ok(One::Refused(why));
            }
            let (counts, details) = (outcome.counts, outcome.details);
            State::Finished { task, at_s, counts, details }
        }
    };
    set(open, index, state)?;
    Ok(One::Ended)
}

/// Cancels every job that has not ended; how many were cancelled and how many could not be.
pub fn cancel(sender: &Sender<'_>, open: &mut Open) -> Result<(usize, usize), JobError> {
    let (mut cancelled, mut kept) = (0, 0);
    for index in 0..open.jobs.len() {
        if matches!(open.jobs[index].state, State::Sending { .. }) {
            sender.resolve(open, index)?;
        }
        match open.jobs[index].state.clone() {
            State::Ready => {
                set(open, index, State::Cancelled { task: None })?;
                cancelled += 1;
            }
            State::Submitted { task, .. } => {
                sender.platform.cancel(&task)?;
                // Too late for some; those are fetched.
                if sender.platform.status(&task)? == Progress::Cancelled {
                    set(open, index, State::Cancelled { task: Some(task) })?;
                    cancelled += 1;
                } else {
                    kept += 1;
                }
            }
            _ => {}
        }
    }
    Ok((cancelled, kept))
}
