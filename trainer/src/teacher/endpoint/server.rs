//! One HTTP request to one endpoint, what can come of it, and the list of endpoints: who is asked next, who rests and
//! for how long.

use anyhow::{Result, anyhow};
use qdllm_host::http::{self, Backoff, Client, Failure, Options, Request, Url};
use qdllm_host::secret::Secret;
use serde_json::Value;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const MOST_BYTES: u64 = 16 << 20;
/// Characters of an answer that an error repeats.
const SHOWN: usize = 200;

/// What came of a request that gave no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No connection: nothing was sent.
    NotSent(String),
    /// A rate limit, with the wait it asks for.
    Limited(Option<Duration>, String),
    /// A time-out, a cut answer, a server error with its status: may pass.
    Passing(Option<u16>, String),
    /// A status that repetition does not mend.
    Refused(u16, String),
}

pub struct Server(pub Client);

impl Server {
    /// An endpoint at `address`: `http(s)://host[:port]`, with `/v1` or the path of its API.
    ///
    /// A key goes to it over https, to this machine, or to one of the hosts that are trusted with it in clear.
    pub fn new(
        address: &str,
        key: Option<Arc<Secret>>,
        (timeout, trusted): (Duration, &[String]),
    ) -> Result<Self> {
        let (url, local) = checked(address, key.is_some(), trusted)?;
        let options = Options {
            url,
            local,
            https_only: false,
            user_agent: concat!("qdllm/", env!("CARGO_PKG_VERSION")),
            timeout,
            most_bytes: MOST_BYTES,
        };
        let client = Client::new(options, key, "authorization", "Bearer ");
        client.map(Self).map_err(|e| anyhow!("the HTTP client cannot be set up: {e}"))
    }

    /// Sends `body` to `path` and reads a JSON object.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let body = body.to_string();
        let request =
            Request { post: true, path, body: Some(&body), declared: true, authorised: true };
        let text = self.0.send(&request).map_err(|failure| match failure {
            Failure::NotSent(why) => Trouble::NotSent(self.short(&why)),
            Failure::NoAnswer { timed_out: true, .. } => {
                Trouble::Passing(None, "no answer within the time limit".into())
            }
            Failure::NoAnswer { why, .. } => Trouble::Passing(None, self.short(&why)),
            Failure::Status(status, text, after) => {
                let said = self.say(&text);
                match status {
                    429 => Trouble::Limited(after, format!("HTTP 429: {said}")),
                    503 if after.is_some() => Trouble::Limited(after, format!("HTTP 503: {said}")),
                    408 | 409 | 425 | 500.. => {
                        Trouble::Passing(Some(status), format!("HTTP {status}: {said}"))
                    }
                    _ => Trouble::Refused(status, said),
                }
            }
        })?;
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.is_object() => Ok(value),
            _ => Err(Trouble::Passing(None, format!("not a JSON object but {}", self.say(&text)))),
        }
    }

    /// What an answer that is no JSON object says, named as HTML where it is.
    pub fn say(&self, text: &str) -> String {
        let start = text.trim_start();
        if start.starts_with('<') {
            let short = self.short(start);
            return format!(
                "HTML (`{short}`): a proxy or a web page answers there, check the address"
            );
        }
        match serde_json::from_str::<Value>(start) {
            Ok(value) => {
                let error = &value["error"];
                let message = error["message"].as_str().or(error.as_str());
                let message = message.or(value["message"].as_str()).or(value["detail"].as_str());
                format!("`{}`", self.short(message.unwrap_or(start)))
            }
            Err(_) if start.contains("NaN") => {
                format!("JSON with NaN (`{}`): the model's numbers overflow", self.short(start))
            }
            Err(_) if start.is_empty() => "an empty answer".into(),
            Err(_) => format!("`{}`", self.short(start)),
        }
    }

    /// One short line without the key.
    pub fn short(&self, text: &str) -> String {
        let line = self.0.short(text, usize::MAX);
        let short: String = line.chars().take(SHOWN).collect();
        if short.len() < line.len() { short + ".." } else { short }
    }
}

/// The address with its API path, and whether it is this machine.
fn checked(address: &str, with_key: bool, trusted: &[String]) -> Result<(String, bool)> {
    // What stands before an @ may be a password.
    let shown = if address.contains('@') { "(address)" } else { address };
    let refuse = |what: &str| anyhow!("endpoint `{shown}`: {what}");
    let url = Url::parse(address)
        .map_err(|e| refuse(&format!("{e}; give http(s)://host:port, with /v1 or another path")))?;
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || !["http", "https"].contains(&url.scheme()) {
        return Err(refuse("give http(s)://host:port, with /v1 or another path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("holds a user name or password; give a key by --key-file instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("has a query or fragment; give host and path alone"));
    }
    let local = http::is_local(&url);
    let near = local || trusted.iter().any(|name| name.eq_ignore_ascii_case(host));
    if with_key && url.scheme() == "http" && !near {
        return Err(refuse(&format!(
            "the key would cross the network in clear; use https, or --trust-http {host} if you own the line"
        )));
    }
    let plain = url.as_str().trim_end_matches('/');
    let path = if url.path().trim_matches('/').is_empty() { "/v1" } else { "" };
    Ok((format!("{plain}{path}"), local))
}

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
    pub servers: Vec<Server>,
    standings: Mutex<Vec<Standing>>,
    freed: Condvar,
    backoff: Backoff,
}

impl Fleet {
    pub fn new(servers: Vec<Server>, backoff: Backoff) -> Self {
        let standings = Mutex::new(vec![Standing::default(); servers.len()]);
        Self { servers, standings, freed: Condvar::new(), backoff }
    }

    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an endpoint that does not rest and takes the least busy one; of equals one that is not `last`,
    /// which failed just now. `None` when `ended` says that nothing is wanted any more.
    pub fn take(&self, last: Option<usize>, ended: &dyn Fn() -> bool) -> Option<usize> {
        let mut standings = self.standings();
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
        let mut standings = self.standings();
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
            Some(Trouble::NotSent(_) | Trouble::Passing(..)) if rests => {}
            Some(trouble) => {
                standing.failures += 1;
                let patience = if matches!(trouble, Trouble::NotSent(_)) { 0 } else { PATIENCE };
                let beyond = standing.failures.saturating_sub(patience);
                if beyond > 0 {
                    standing.rests_until = Some(now + self.backoff.wait(beyond));
                }
            }
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

    #[test]
    fn addresses_are_completed_and_keys_kept_off_clear_lines() {
        let trusted = ["gpu".to_owned()];
        for (address, key, url) in [
            ("http://127.0.0.1:8000", true, "http://127.0.0.1:8000/v1"),
            ("http://[::1]:8000/", false, "http://[::1]:8000/v1"),
            ("http://node7:8000/v1/", false, "http://node7:8000/v1"),
            ("http://gpu:8000", true, "http://gpu:8000/v1"),
            ("https://host.example/api/v3", true, "https://host.example/api/v3"),
        ] {
            assert_eq!(checked(address, key, &trusted).unwrap().0, url);
        }
        for (address, key, says) in [
            ("http://node7:8000", true, "--trust-http node7"),
            ("http://10.1.2.3:8000", true, "in clear"),
            ("node7:8000", false, "http(s)"),
            ("ftp://node7", false, "http(s)"),
            ("", false, "http(s)"),
            ("https://me:pw@host", false, "password"),
            ("https://host/v1?key=1", false, "query"),
        ] {
            let message = checked(address, key, &trusted).unwrap_err().to_string();
            assert!(message.contains(says) && !message.contains("pw@"), "{message}");
        }
    }

    fn fleet(n: usize) -> Fleet {
        let server =
            |i| Server::new(&format!("http://127.0.0.1:{}", 9 + i), None, (LOOK, &[])).unwrap();
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
            fleet.give_back(0, Some(&Trouble::Passing(Some(500), "500".into())));
        }
        for _ in 0..3 {
            assert_eq!(take(None), 2, "only the third is awake");
        }
        fleet.give_back(2, Some(&Trouble::Limited(Some(Duration::from_secs(60)), String::new())));
        assert_eq!(fleet.take(None, &|| true), None, "an ended run does not wait");
    }
}
