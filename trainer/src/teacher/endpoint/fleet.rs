//! The list of endpoints: who is asked next, who rests and for how long.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use qdllm_host::http::Backoff;

use super::server::{Server, Trouble};

/// Failures in a row after which an endpoint that still accepts connections is left out for a while.
const PATIENCE: u32 = 3;
/// How often a waiting thread looks whether the run has ended.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    busy: usize,
    failures: u32,
    rests_until: Option<Instant>,
}

pub struct Fleet {
    servers: Vec<Server>,
    standings: Mutex<Vec<Standing>>,
    freed: Condvar,
    backoff: Backoff,
}

impl Fleet {
    pub fn new(servers: Vec<Server>, backoff: Backoff) -> Self {
        let standings = Mutex::new(vec![Standing::default(); servers.len()]);
        Self { servers, standings, freed: Condvar::new(), backoff }
    }

    pub fn server(&self, place: usize) -> &Server {
        &self.servers[place]
    }

    /// Waits for an endpoint that does not rest and takes the least busy one; of equals one that is not `last`,
    /// which failed just now. `None` when `ended` says that nothing is wanted any more.
    pub fn take(&self, last: Option<usize>, ended: &dyn Fn() -> bool) -> Option<usize> {
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if ended() {
                return None;
            }
            let now = Instant::now();
            let awake = |s: &Standing| s.rests_until.is_none_or(|until| until <= now);
            let next = (0..standings.len())
                .filter(|&i| awake(&standings[i]))
                .min_by_key(|&i| (Some(i) == last, standings[i].busy, i));
            if let Some(i) = next {
                standings[i].busy += 1;
                return Some(i);
            }
            standings =
                self.freed.wait_timeout(standings, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives an endpoint back with what came of the request.
    pub fn give_back(&self, place: usize, outcome: Option<&Trouble>) {
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = &mut standings[place];
        standing.busy -= 1;
        let now = Instant::now();
        // Requests that were under way when it began to rest fail together and count once.
        let rests = standing.rests_until.is_some_and(|until| until > now);
        match outcome {
            None => *standing = Standing { busy: standing.busy, ..Standing::default() },
            Some(Trouble::Refused(..)) => {}
            Some(Trouble::Limited(after, _)) => {
                standing.failures += u32::from(!rests);
                let wait = after.unwrap_or_else(|| self.backoff.wait(standing.failures));
                standing.rests_until = standing.rests_until.max(Some(now + wait));
            }
            Some(Trouble::NotSent(_)) if !rests => {
                standing.failures += 1;
                standing.rests_until = Some(now + self.backoff.wait(standing.failures));
            }
            Some(Trouble::Passing(_)) if !rests => {
                standing.failures += 1;
                if let Some(beyond) = standing.failures.checked_sub(PATIENCE).filter(|&b| b > 0) {
                    standing.rests_until = Some(now + self.backoff.wait(beyond));
                }
            }
            Some(Trouble::NotSent(_) | Trouble::Passing(_)) => {}
        }
        drop(standings);
        self.freed.notify_all();
    }

    /// Waits before a text is tried again; `failures` counts from 1.
    pub fn pause(&self, failures: u32, ended: &dyn Fn() -> bool) {
        let until = Instant::now() + self.backoff.wait(failures);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if ended() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(n: usize) -> Fleet {
        let server = |i| Server::new(&format!("http://127.0.0.1:{}", 9 + i), None, LOOK).unwrap();
        let slow = Backoff { first: Duration::from_secs(3600), longest: Duration::from_secs(7200) };
        Fleet::new((0..n).map(server).collect(), slow)
    }

    #[test]
    fn waits_grow_to_a_bound_and_vary() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(20) };
        for (failures, most) in [(1, 1), (2, 2), (4, 8), (9, 20), (90, 20)] {
            let waits: Vec<Duration> = (0..40).map(|_| backoff.wait(failures)).collect();
            let (least, most) = (Duration::from_millis(most * 500), Duration::from_secs(most));
            assert!(waits.iter().all(|w| (least..=most).contains(w)), "{failures}: {waits:?}");
            assert!(waits.iter().any(|w| *w != waits[0]));
        }
    }

    #[test]
    fn load_is_spread_and_a_dead_endpoint_is_left_out() {
        let fleet = fleet(3);
        let take = |last| fleet.take(last, &|| false).unwrap();
        assert_eq!([take(None), take(None), take(None), take(Some(0))], [0, 1, 2, 1]);
        fleet.give_back(1, Some(&Trouble::NotSent("refused".into())));
        fleet.give_back(1, Some(&Trouble::NotSent("refused".into())));
        for _ in 0..6 {
            assert_ne!(take(None), 1, "it rests");
        }
        for _ in 0..=PATIENCE {
            fleet.give_back(0, Some(&Trouble::Passing("500".into())));
        }
        for _ in 0..3 {
            assert_eq!(take(None), 2, "only the third is awake");
        }
        fleet.give_back(2, Some(&Trouble::Limited(Some(Duration::from_secs(60)), String::new())));
        assert_eq!(fleet.take(None, &|| true), None, "an ended run does not wait");
    }
}
