//! Sends a batch's jobs, each exactly once, whatever happens on the way.

use super::JobError;
use super::job::State;
use super::store::Open;
use crate::quafu::error::{CloudError, SubmitError};
use crate::quafu::platform::{Platform, Recovery};
use qdllm_host::dates;
use qdllm_host::http::Retry;
use std::time::Duration;

#[derive(Clone, Copy)]
pub struct Sender<'a> {
    pub platform: &'a dyn Platform,
    pub retry: Retry,
    /// How long after a submission without an answer the platform's list is taken to be complete.
    pub settle: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Today {
    pub used: u32,
    pub daily: Option<u32>,
}

impl Sender<'_> {
    /// Sends every job that was not sent, after finding out about those that may have been. `step` is
    /// called after each job.
    ///
    /// # Errors
    /// [`JobError`]. Everything up to then is on disk; sending again goes on from there.
    pub fn send(
        &self,
        open: &mut Open,
        mut today: Today,
        mut step: impl FnMut(&Open),
    ) -> Result<(), JobError> {
        for index in 0..open.jobs.len() {
            match open.jobs[index].state {
                State::Sending { .. } => self.resolve(open, index)?,
                State::Ready => {}
                _ => continue,
            }
            if open.jobs[index].state == State::Ready {
                if let Some(daily) = today.daily.filter(|&d| today.used >= d) {
                    let left = open.jobs.iter().filter(|j| j.state == State::Ready).count();
                    let batch = open.batch.id.clone();
                    return Err(JobError::Quota { used: today.used, daily, left, batch });
                }
                self.post(open, index)?;
            }
            today.used += 1;
            step(open);
        }
        Ok(())
    }

    fn post(&self, open: &mut Open, index: usize) -> Result<(), JobError> {
        let mut done = 0;
        loop {
            done += 1;
            // On disk before anything leaves: whoever finds it knows that it may have left.
            set(open, index, State::Sending { since_s: dates::now_s() })?;
            let (error, wait) = match self.platform.submit(&open.jobs[index].order(&open.batch)) {
                Ok(task) => {
                    return set(open, index, State::Submitted { task, at_s: dates::now_s() });
                }
                Err(SubmitError::Refused(error)) => {
                    set(open, index, State::Ready)?;
                    return Err(error.into());
                }
                Err(SubmitError::NotSent(error)) => {
                    set(open, index, State::Ready)?;
                    (error, None)
                }
                Err(SubmitError::Busy(error, wait)) => {
                    set(open, index, State::Ready)?;
                    (error, wait)
                }
                Err(SubmitError::Unknown(error)) => {
                    self.resolve(open, index)?;
                    if open.jobs[index].state != State::Ready {
                        return Ok(());
                    }
                    (error, None)
                }
            };
            if done >= self.retry.tries {
                return Err(error.into());
            }
            std::thread::sleep(wait.unwrap_or_else(|| self.retry.backoff.wait(done)));
        }
    }

    /// Finds out about a job that may have been received: afterwards it is submitted, or ready.
    ///
    /// # Errors
    /// [`JobError::Doubtful`] when the platform's answer is not understood; any error leaves the job
    /// as it was, so that it is not sent again.
    pub fn resolve(&self, open: &mut Open, index: usize) -> Result<(), JobError> {
        let State::Sending { since_s } = open.jobs[index].state else { return Ok(()) };
        let due_s = since_s + self.settle.as_secs();
        loop {
            let asked_s = dates::now_s();
            match self.platform.recover(&open.jobs[index].order(&open.batch), since_s) {
                Ok(Recovery::Found(task)) => {
                    return set(open, index, State::Submitted { task, at_s: since_s });
                }
                Ok(Recovery::Absent) if asked_s > due_s || self.settle.is_zero() => {
                    return set(open, index, State::Ready);
                }
                Ok(Recovery::Absent) => {
                    std::thread::sleep(Duration::from_secs(1));
                }
                Err(why @ CloudError::Protocol(_)) => {
                    let name = open.jobs[index].name.clone();
                    return Err(JobError::Doubtful { name, batch: open.batch.id.clone(), why });
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
}

/// A job's new state, on disk when this returns.
pub fn set(open: &mut Open, index: usize, state: State) -> Result<(), JobError> {
    open.jobs[index].state = state;
    open.save(index)
}
