//! HTTP to one platform: which addresses a token may go to, the pace of requests, and their repetition.

use super::{CloudError, Delivery, Progress, SubmitError};
use anyhow::{Result, anyhow};
use clap::{ArgAction, Args};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qdllm_host::errors::wrong_use;
use qdllm_host::http::{Backoff, Client, Failure, Options, Retry, Url, is_local};
use qdllm_host::secret::Secret;
use qdllm_host::terminal::note;
use qdllm_host::values::{above_zero, within};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use qdllm_host::http::Request;

const MOST_BYTES: u64 = 64 << 20;

/// Characters of a foreign text that are repeated.
const SHOWN: usize = 300;

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// How a platform is reached.
#[derive(Args, Debug, Clone)]
pub struct Access {
    /// File that holds the token and that only you can read
    ///
    /// Without it the token comes from `QPU_API_TOKEN` (platform sqc) or `QUAFU_API_KEY` (platform
    /// portal), or from the keyring (`qdllm-hw token`). There is no option for the token itself.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Milliseconds from one request to the next
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = within(0..=3_600_000_u64))]
    pub pause: u64,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = within(above_zero(3600.0)))]
    pub timeout: f64,
    /// Tries of a request on timeouts, lost connections, HTTP 429 and 5xx
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = within(1_u32..))]
    pub tries: u32,
    /// Milliseconds before the second try; doubled for each further one
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = within(0..=3_600_000_u64))]
    pub backoff: u64,
    /// Say each request on standard error; twice: answers, too
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Access {
    pub fn retry(&self) -> Retry {
        let usual = Retry::default();
        let backoff = Backoff { first: Duration::from_millis(self.backoff), ..usual.backoff };
        Retry { tries: self.tries, backoff, ..usual }
    }
}

pub const fn get(path: &str) -> Request<'_> {
    Request { post: false, path, body: None, declared: false, authorised: true }
}

/// A task's id, as a text or a whole number. A float has lost digits, and 0 is no task.
pub fn id_of(value: &Value) -> Option<String> {
    let number = || value.as_u64().map(|n| n.to_string());
    let id = value.as_str().map_or_else(number, |text| Some(text.trim().into()))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (id != "0" && (1..=128).contains(&id.len()) && id.chars().all(plain)).then_some(id)
}

pub fn counts_of(value: &Value) -> Result<BTreeMap<String, u64>, CloudError> {
    let object =
        value.as_object().ok_or_else(|| CloudError::Protocol("counts are no object".into()))?;
    let count = |(bits, n): (&String, &Value)| match n.as_u64() {
        Some(n) => Ok((bits.clone(), n)),
        None => Err(CloudError::Protocol(format!("the count of `{bits}` is no whole number"))),
    };
    object.iter().map(count).collect()
}

pub struct Http {
    client: Client,
    pub retry: Retry,
    pause: Duration,
    verbose: u8,
    last: Mutex<Option<Instant>>,
}

impl Http {
    /// A connection to `url`, which must be https or this machine. The token goes into the header `name`, behind
    /// `prefix`.
    pub fn new(
        access: &Access,
        url: &str,
        token: Secret,
        name: &'static str,
        prefix: &str,
    ) -> Result<Self> {
        let (url, local) = checked(url)?;
        let options = Options {
            url,
            local,
            https_only: !local,
            user_agent: concat!("qdllm-hw/", env!("CARGO_PKG_VERSION")),
            timeout: Duration::from_secs_f64(access.timeout.max(0.05)),
            most_bytes: MOST_BYTES,
        };
        let client = Client::new(options, Some(Arc::new(token)), name, prefix);
        let client = client.map_err(|why| anyhow!("HTTPS cannot be set up: {why}"))?;
        let (retry, pause) = (access.retry(), Duration::from_millis(access.pause));
        Ok(Self { client, retry, pause, verbose: access.verbose, last: Mutex::new(None) })
    }

    /// A call that only reads, or whose repetition does no harm: tried as often as the options say.
    pub fn call(&self, call: &Request<'_>) -> Result<Value, CloudError> {
        let (what, retry) = (name(call), self.retry);
        let mut tries = 0;
        loop {
            tries += 1;
            let (why, wait) = match self.once(call) {
                Ok(text) => return self.json(&text),
                Err(Failure::NotSent(why) | Failure::NoAnswer { why, .. }) => (why, None),
                Err(Failure::Status(429 | 500.., text, after)) => (text, after),
                Err(Failure::Status(status, text, _)) => {
                    return Err(CloudError::Refused { what, status, text });
                }
            };
            if let Some(after) = wait.filter(|&w| w > retry.patience) {
                return Err(CloudError::Later { what, after });
            }
            if tries >= retry.tries {
                return Err(CloudError::NoAnswer { what, tries, why });
            }
            let wait = wait.unwrap_or_else(|| retry.backoff.wait(tries));
            self.say(1, || format!("{what}: {why}; again in {} ms", wait.as_millis()));
            std::thread::sleep(wait);
        }
    }

    /// A call that must not be repeated blindly: one try.
    pub fn submit(&self, call: &Request<'_>) -> Result<Value, SubmitError> {
        let what = name(call);
        let unanswered = |what, why| CloudError::NoAnswer { what, tries: 1, why };
        let (delivery, why, wait) = match self.once(call) {
            Ok(text) => match self.json(&text) {
                Ok(answer) => return Ok(answer),
                Err(why) => (Delivery::Answered, why, None),
            },
            Err(Failure::NotSent(why)) => (Delivery::NotReceived, unanswered(what, why), None),
            Err(Failure::NoAnswer { why, begun, .. }) => {
                let delivery = if begun { Delivery::Answered } else { Delivery::Unknown };
                (delivery, unanswered(what, why), None)
            }
            Err(Failure::Status(429, _, Some(after))) if after > self.retry.patience => {
                (Delivery::Refused, CloudError::Later { what, after }, None)
            }
            Err(Failure::Status(status, text, after)) => {
                let (delivery, wait) = match status {
                    429 => (Delivery::NotReceived, after),
                    // A server or a proxy may fail after the task was made.
                    408 | 500.. => (Delivery::Unknown, None),
                    _ => (Delivery::Refused, None),
                };
                (delivery, CloudError::Refused { what, status, text }, wait)
            }
        };
        Err(SubmitError { delivery, why, wait })
    }

    fn once(&self, call: &Request<'_>) -> Result<String, Failure> {
        self.keep_pace();
        let start = Instant::now();
        let mut result = self.client.send(call);
        if let Err(Failure::Status(_, text, _)) = &mut result {
            *text = self.short(text);
        }
        self.say(1, || {
            let said = match &result {
                Ok(text) => format!("200, {} bytes", text.len()),
                Err(Failure::Status(status, ..)) => status.to_string(),
                Err(Failure::NotSent(why) | Failure::NoAnswer { why, .. }) => why.clone(),
            };
            format!("{}: {said} ({} ms)", name(call), start.elapsed().as_millis())
        });
        if let Ok(text) = &result {
            self.say(2, || format!("  {}", self.short(text)));
        }
        result
    }

    fn json(&self, text: &str) -> Result<Value, CloudError> {
        serde_json::from_str(text).map_err(|_| CloudError::Protocol(self.short(text)))
    }

    pub fn not_understood(&self, answer: &Value) -> CloudError {
        CloudError::Protocol(self.short(&answer.to_string()))
    }

    /// Of a submission that was answered with a success, but with no task.
    pub fn no_task(&self, answer: &Value) -> SubmitError {
        SubmitError { delivery: Delivery::Answered, why: self.not_understood(answer), wait: None }
    }

    /// How far a task is by a platform's word for it, which `answer` holds.
    pub fn progress(&self, answer: &Value, word: Option<&str>) -> Result<Progress, CloudError> {
        match word {
            None => Err(self.not_understood(answer)),
            Some("Finished") => Ok(Progress::Finished),
            Some("Failed") => Ok(Progress::Failed),
            Some("Canceled" | "Cancelled") => Ok(Progress::Cancelled),
            Some(word) => Ok(Progress::Waiting(self.short(word))),
        }
    }

    /// One line of at most 300 characters, without the token.
    pub fn short(&self, text: &str) -> String {
        let line = self.client.short(text, SHOWN);
        if line.is_empty() { "(no text)".into() } else { line }
    }

    fn keep_pace(&self) {
        let Ok(mut last) = self.last.lock() else { return };
        if let Some(wait) = last.and_then(|t| self.pause.checked_sub(t.elapsed())) {
            std::thread::sleep(wait);
        }
        *last = Some(Instant::now());
    }

    fn say(&self, level: u8, text: impl FnOnce() -> String) {
        if self.verbose >= level {
            note(self.client.clean(&text()));
        }
    }
}

/// The address without a trailing slash, and whether it is this machine. `http` is for this machine only.
fn checked(text: &str) -> Result<(String, bool)> {
    let url = Url::parse(text).ok().and_then(|url| {
        let local = is_local(&url) && url.scheme() == "http";
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.path().trim_matches('/').is_empty();
        let host = url.host_str().is_some_and(|host| !host.is_empty());
        let good = host && bare && (local || url.scheme() == "https");
        good.then(|| (url.as_str().trim_end_matches('/').to_string(), local))
    });
    url.ok_or_else(|| {
        // What follows a user name may be a token; the address is not repeated then.
        let shown = if text.contains('@') { "(address)" } else { text };
        wrong_use(format_args!(
            "`{shown}` is no address to send a token to; give https://HOST, or http:// for this machine itself"
        ))
    })
}

/// What a call is called in messages: the method and the path, without the query.
fn name(call: &Request<'_>) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    format!("{} {path}", if call.post { "POST" } else { "GET" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_to_https_or_to_this_machine_only() {
        for (text, local) in [
            ("https://quafu.com.cn", false),
            ("https://quafu.com.cn/", false),
            ("http://127.0.0.1:7700", true),
            ("http://[::1]:7700", true),
            ("http://localhost:7700/", true),
        ] {
            assert_eq!(checked(text).unwrap().1, local, "{text}");
        }
        for text in [
            "http://quafu.com.cn",
            "http://127.0.0.1.example.org",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://quafu.com.cn/api",
            "https://host?x=1",
            "quafu.com.cn",
            "",
        ] {
            assert!(checked(text).is_err(), "{text}");
        }
        let error = checked("https://s3cret@host").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
