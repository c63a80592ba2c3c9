//! Sends a batch's jobs, each exactly once, whatever happens on the way; fetches their results, each checked to be
//! the one of its job; and cancels them.

use super::{Batch, Job, Open, State};
use crate::circuit::{Circuit, angles_rad, read};
use crate::quafu::{CloudError, Delivery, Fetched, Outcome, Platform, Progress, SubmitError};
use crate::readout::Counts;
use anyhow::{Error, Result, bail, ensure};
use qdllm_host::dates;
use qdllm_host::http::Retry;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub struct Sender<'a> {
    pub platform: &'a dyn Platform,
    pub retry: Retry,
    /// How long after a submission without an answer the platform's list is taken to be complete.
    pub settle: Duration,
}

impl Sender<'_> {
    /// Sends every job that was not sent, after finding out about those that may have been; at most
    /// `daily` this day, of which `used` are used. `step` is called after each job. After an error, everything up
    /// to then is on disk; sending again goes on from there.
    pub fn send(
        &self,
        open: &mut Open,
        mut used: u32,
        daily: Option<u32>,
        mut step: impl FnMut(&Open),
    ) -> Result<()> {
        for index in 0..open.jobs.len() {
            if !open.jobs[index].state.unsent() {
                continue;
            }
            self.resolve(open, index)?;
            if open.jobs[index].state == State::Ready {
                if let Some(daily) = daily.filter(|&d| used >= d) {
                    bail!(
                        "{used} of {daily} tasks of this day (Beijing time) are used; {} jobs wait; \
                         run `qdllm-hw submit --resume {}` after midnight in Beijing",
                        open.count(|s| *s == State::Ready),
                        open.batch.id
                    );
                }
                self.post(open, index)?;
            }
            used += 1;
            step(open);
        }
        Ok(())
    }

    fn post(&self, open: &mut Open, index: usize) -> Result<()> {
        let mut done = 0;
        loop {
            done += 1;
            // On disk before anything leaves: whoever finds it knows that it may have left.
            let since_s = dates::now_s();
            open.set(index, State::Sending { since_s, answer: None })?;
            let error = match self.platform.submit(&open.jobs[index].order(&open.batch)) {
                Ok(task) => match open.holder(&task) {
                    None => {
                        return open.set(index, State::Submitted { task, at_s: dates::now_s() });
                    }
                    Some(other) => {
                        let why = CloudError::Protocol(format!("{task} is the task of {other}"));
                        SubmitError { delivery: Delivery::Answered, why, wait: None }
                    }
                },
                Err(error) => error,
            };
            if error.delivery == Delivery::Answered {
                let answer = Some(error.why.to_string());
                open.set(index, State::Sending { since_s, answer })?;
            }
            if matches!(error.delivery, Delivery::Unknown | Delivery::Answered) {
                self.resolve(open, index)?;
                if open.jobs[index].state != State::Ready {
                    return Ok(());
                }
            } else {
                open.set(index, State::Ready)?;
            }
            let refused = error.delivery == Delivery::Refused;
            if refused || !self.retry.pause(done, error.wait) {
                return Err(error.why.into());
            }
        }
    }

    /// Finds out about a job that may have been received: afterwards it is submitted, or ready. Any error leaves
    /// it as it was, so that it is not sent again; so does a list without it, where the submission was answered.
    fn resolve(&self, open: &mut Open, index: usize) -> Result<()> {
        let State::Sending { since_s, answer } = open.jobs[index].state.clone() else {
            return Ok(());
        };
        let due_s = since_s + self.settle.as_secs();
        let what = match &answer {
            None => "its submission got no answer".to_owned(),
            Some(answer) => {
                format!("its submission was answered, but with no task of its own ({answer})")
            }
        };
        loop {
            let settled = dates::now_s() > due_s || self.settle.is_zero();
            match self.platform.recover(&open.jobs[index].order(&open.batch), since_s) {
                Ok(Some(task)) => match open.holder(&task) {
                    None => return open.set(index, State::Submitted { task, at_s: since_s }),
                    Some(other) => {
                        let found = format!("the platform says {task}, the task of {other}");
                        return Err(doubt(open, index, &format!("{what}, and {found}")));
                    }
                },
                Ok(None) if settled && answer.is_none() => return open.set(index, State::Ready),
                Ok(None) if settled => {
                    let what = format!("{what}, and the platform's list does not show it");
                    return Err(doubt(open, index, &what));
                }
                Ok(None) => std::thread::sleep(Duration::from_secs(1)),
                Err(why @ CloudError::Protocol(_)) => {
                    let what = format!("{what}, and the platform cannot be asked about it ({why})");
                    return Err(doubt(open, index, &what));
                }
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Cancels every job that has not ended.
    pub fn cancel(&self, open: &mut Open) -> Cancelled {
        let (mut done, mut silent) = (Cancelled::default(), 0);
        for index in 0..open.jobs.len() {
            match self.cancel_one(open, index) {
                Ok(None) => continue,
                Ok(Some(true)) => done.cancelled += 1,
                Ok(Some(false)) => done.kept += 1,
                Err(why) => {
                    let alone = alone(&why, &mut silent);
                    done.refused.push((open.jobs[index].number, why));
                    if alone {
                        continue;
                    }
                    return done;
                }
            }
            silent = 0;
        }
        done
    }

    /// Whether a job could be cancelled; nothing where it had ended.
    fn cancel_one(&self, open: &mut Open, index: usize) -> Result<Option<bool>> {
        self.resolve(open, index)?;
        let task = match open.jobs[index].state.clone() {
            State::Ready => None,
            State::Submitted { task, .. } => Some(task),
            _ => return Ok(None),
        };
        if let Some(task) = &task {
            self.platform.cancel(task)?;
            // Too late for some; those are fetched.
            if self.platform.status(task)? != Progress::Cancelled {
                return Ok(Some(false));
            }
        }
        open.set(index, State::Cancelled { task })?;
        Ok(Some(true))
    }
}

/// What became of the jobs of a batch: cancelled, gone too far, or not to be cancelled for a reason.
#[derive(Default)]
pub struct Cancelled {
    pub cancelled: usize,
    pub kept: usize,
    pub refused: Vec<Refusal>,
}

fn doubt(open: &Open, index: usize, what: &str) -> Error {
    let (name, batch) = (&open.jobs[index].name, &open.batch.id);
    CloudError::Doubt(format!(
        "{name}: {what}; it was not sent again. Look for this name in the platform's console, then run \
         `qdllm-hw submit --resume {batch}` with --received {name}=TASK, or --lost {name}"
    ))
    .into()
}

/// Jobs in a row that may get no answer before the platform is taken to be gone.
const SILENT: u32 = 3;

/// Whether the failure of one job says nothing of the others. `silent` counts those in a row without an answer.
pub fn alone(why: &Error, silent: &mut u32) -> bool {
    match why.downcast_ref() {
        Some(CloudError::Later { .. } | CloudError::Refused { status: 401 | 403, .. }) => false,
        Some(CloudError::NoAnswer { .. }) => {
            *silent += 1;
            *silent < SILENT
        }
        _ => {
            *silent = 0;
            true
        }
    }
}

/// Jobs in a row that are still waiting after which a round ends: the rest stands behind them.
const IN_A_ROW: usize = 4;

/// Angles that were written and read back may differ by this, in radians.
const ANGLE: f64 = 1e-6;

/// Why the result of the job of this number was refused.
pub type Refusal = (usize, Error);

/// Fetches the results of all submitted jobs. A result is on disk before the next is asked for.
/// `step` is called after each that came. Refused ones, and those that could not be had, are returned; their jobs stay
/// as they were, and the others go on unless the failure is everybody's. Gives up after
/// `most`, zero: asks once; `poll` is the first wait between rounds, later ones are up to thirty times as long.
pub fn collect(
    platform: &dyn Platform,
    open: &mut Open,
    most: Duration,
    poll: Duration,
    mut step: impl FnMut(&Open),
) -> Result<Vec<Refusal>> {
    let start = Instant::now();
    let mut refused: Vec<Refusal> = Vec::new();
    let (mut from, mut silent) = (0, 0);
    loop {
        let waiting: Vec<usize> = (0..open.jobs.len())
            .filter(|&i| open.jobs[i].state.submitted())
            .filter(|&i| refused.iter().all(|r| r.0 != open.jobs[i].number))
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
            match fetch(platform, open, index)? {
                Ok(true) => {
                    (brought, in_a_row, silent) = (true, 0, 0);
                    step(open);
                }
                Ok(false) => (in_a_row, silent) = (in_a_row + 1, 0),
                Err(why) => {
                    let alone = alone(&why, &mut silent);
                    refused.push((open.jobs[index].number, why));
                    if !alone {
                        return Ok(refused);
                    }
                }
            }
            if in_a_row >= IN_A_ROW && !most.is_zero() {
                break;
            }
        }
        let elapsed = start.elapsed();
        if elapsed >= most {
            return Ok(refused);
        }
        if !brought {
            let factor = match elapsed.as_secs() {
                0..60 => 1,
                60..600 => 5,
                _ => 30,
            };
            std::thread::sleep((poll * factor).min(most - elapsed));
        }
    }
}

/// Whether a job has ended, or why its result is refused or cannot be had.
fn fetch(platform: &dyn Platform, open: &mut Open, index: usize) -> Result<Result<bool>> {
    let State::Submitted { task, at_s } = open.jobs[index].state.clone() else {
        return Ok(Ok(false));
    };
    let fetched = match platform.result(&task) {
        Ok(fetched) => fetched,
        Err(why) => return Ok(Err(why.into())),
    };
    let state = match fetched {
        Fetched::Waiting => return Ok(Ok(false)),
        Fetched::Failed(error) => State::Failed { task, at_s, error },
        Fetched::Cancelled => State::Cancelled { task: Some(task) },
        Fetched::Done(outcome) => {
            if let Err(why) = verify(&open.batch, &open.jobs[index], &task, &outcome) {
                return Ok(Err(why));
            }
            let Outcome { counts, details, .. } = outcome;
            State::Finished { task, at_s, counts, details }
        }
    };
    open.set(index, state)?;
    Ok(Ok(true))
}

fn verify(batch: &Batch, job: &Job, task: &str, outcome: &Outcome) -> Result<()> {
    for (what, found, wanted) in
        [("task ", &outcome.task, task), ("", &outcome.chip, batch.chip.as_str())]
    {
        let found = found.as_deref().unwrap_or(wanted);
        ensure!(found == wanted, "the result is of {what}{found}, not of {wanted}");
    }
    ensure!(
        outcome.circuit.as_ref().is_none_or(|text| same(text, &job.qasm)),
        "the result is of another circuit than the one that was sent"
    );
    let found = Counts::from_strings(&outcome.counts, job.bits)?.shots;
    // A platform may leave out shots, but then says so.
    let (wanted, asked) = (outcome.shots, u64::from(batch.shots));
    ensure!(
        found == wanted.unwrap_or(asked) && (1..=asked).contains(&found),
        "the counts add up to {found} shots, not to {asked}"
    );
    Ok(())
}

/// Whether two texts are one circuit, however they are laid out.
fn same(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    if bare(a) == bare(b) {
        return true;
    }
    let (Ok(a), Ok(b)) = (read(a), read(b)) else { return false };
    let measures = |c: &Circuit| c.measures.iter().copied().collect::<BTreeSet<_>>();
    measures(&a) == measures(&b)
        && a.gates.len() == b.gates.len()
        && a.gates.iter().zip(&b.gates).all(|(p, q)| {
            let mut angles = angles_rad(p).into_iter().zip(angles_rad(q));
            p.kind == q.kind && p.on() == q.on() && angles.all(|(x, y)| (x - y).abs() < ANGLE)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuits_are_compared_by_what_they_do() {
        let text = |angle: &str, order: &str| {
            format!(
                "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[2];creg c[2];\nrx({angle}) q[0];\n{order}"
            )
        };
        let (up, down) = (
            "measure q[0] -> c[0];measure q[1] -> c[1];",
            "measure q[1]->c[1]; measure q[0]->c[0];",
        );
        assert!(same(&text("0.25", up), &text("0.2500000001", down)));
        assert!(!same(&text("0.25", up), &text("0.26", up)));
        assert!(!same(&text("0.25", up), "nonsense"));
    }
}
