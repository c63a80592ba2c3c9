//! One HTTP request to one endpoint, and what can come of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use qdllm_host::http::{self, Client, Failure, Options, Request, Url};
use qdllm_host::secret::Secret;
use serde_json::Value;

use super::error::EndpointError;

/// Longest answer that is read.
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
    /// A time-out, a cut answer, a server error: may pass.
    Passing(String),
    /// A status that repetition does not mend.
    Refused(u16, String),
}

pub struct Server(Client);

impl Server {
    /// An endpoint at `address`: `http(s)://host[:port]`, with `/v1` or the path of its API.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub fn new(
        address: &str,
        key: Option<Arc<Secret>>,
        timeout: Duration,
    ) -> Result<Self, EndpointError> {
        let (url, local) = checked(address, key.is_some())?;
        let options = Options {
            url,
            local,
            https_only: false,
            user_agent: concat!("qdllm/", env!("CARGO_PKG_VERSION")),
            timeout,
            most_bytes: MOST_BYTES,
        };
        let client = Client::new(options, key, "authorization", "Bearer ");
        client.map(Self).map_err(EndpointError::Client)
    }

    /// The address as it is used.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Sends `body` to `path` and reads a JSON object.
    ///
    /// # Errors
    /// [`Trouble`] says whether to try again.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let body = body.to_string();
        let request =
            Request { post: true, path, body: Some(&body), declared: true, authorised: true };
        let text = self.0.send(&request).map_err(|failure| match failure {
            Failure::NotSent(why) => Trouble::NotSent(self.short(&why)),
            Failure::NoAnswer { timed_out: true, .. } => {
                Trouble::Passing("no answer within the time limit".into())
            }
            Failure::NoAnswer { why, .. } => Trouble::Passing(self.short(&why)),
            Failure::Status(status, text, after) => {
                let said = self.say(&text);
                match status {
                    429 => Trouble::Limited(after, format!("HTTP 429: {said}")),
                    503 if after.is_some() => Trouble::Limited(after, format!("HTTP 503: {said}")),
                    408 | 409 | 425 | 500.. => Trouble::Passing(format!("HTTP {status}: {said}")),
                    _ => Trouble::Refused(status, said),
                }
            }
        })?;
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.is_object() => Ok(value),
            _ => Err(Trouble::Passing(format!("not a JSON object but {}", self.say(&text)))),
        }
    }

    /// What an answer that is no JSON object says, named as HTML where it is.
    fn say(&self, text: &str) -> String {
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
    fn short(&self, text: &str) -> String {
        let line = self.0.short(text, usize::MAX);
        let short: String = line.chars().take(SHOWN).collect();
        if short.len() < line.len() { short + ".." } else { short }
    }
}

/// The address with its API path, and whether it is this machine.
fn checked(address: &str, with_key: bool) -> Result<(String, bool), EndpointError> {
    let refuse = |what: &str| EndpointError::Url {
        // What stands before an @ may be a password.
        url: if address.contains('@') { "(address)".into() } else { address.into() },
        what: what.into(),
    };
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
    let near = local || matches!(http::ip(&url), Some(IpAddr::V4(v4)) if v4.is_private());
    if with_key && url.scheme() == "http" && !near {
        return Err(refuse(
            "the key would cross the network in clear; use https, or the private IP address of a cluster",
        ));
    }
    let plain = url.as_str().trim_end_matches('/');
    let path = if url.path().trim_matches('/').is_empty() { "/v1" } else { "" };
    Ok((format!("{plain}{path}"), local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_and_keys_kept_off_clear_lines() {
        for (address, key, url) in [
            ("http://127.0.0.1:8000", true, "http://127.0.0.1:8000/v1"),
            ("http://[::1]:8000/", false, "http://[::1]:8000/v1"),
            ("http://node7:8000/v1/", false, "http://node7:8000/v1"),
            ("http://10.1.2.3:8000", true, "http://10.1.2.3:8000/v1"),
            ("https://host.example/api/v3", true, "https://host.example/api/v3"),
        ] {
            assert_eq!(checked(address, key).unwrap().0, url);
        }
        for (address, key, says) in [
            ("http://node7:8000", true, "in clear"),
            ("node7:8000", false, "http(s)"),
            ("ftp://node7", false, "http(s)"),
            ("", false, "http(s)"),
            ("https://me:pw@host", false, "password"),
            ("https://host/v1?key=1", false, "query"),
        ] {
            let message = checked(address, key).unwrap_err().to_string();
            assert!(message.contains(says) && !message.contains("pw@"), "{message}");
        }
    }
}
