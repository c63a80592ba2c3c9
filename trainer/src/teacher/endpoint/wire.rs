//! One HTTP request to one endpoint, and what can come of it.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::{EndpointError, Secret};

const MOST_BYTES: u64 = 16 << 20;
/// Characters of an answer that an error repeats.
const SHOWN: usize = 200;

/// What came of a request that gave no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    NotSent(String),
    /// A rate limit, with the wait it asks for.
    Limited(Option<Duration>, String),
    /// A time-out, a cut answer, a server error: may pass.
    Passing(String),
    /// A status that repetition does not mend.
    Refused(u16, String),
}

pub struct Server {
    url: String,
    client: Client,
    authorisation: Option<HeaderValue>,
    key: Option<Arc<Secret>>,
}

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
        let (url, loopback) = checked(address, key.is_some())?;
        // Fails only when a provider was chosen before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("qdllm/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            // A redirection would carry the key elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        if loopback {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| EndpointError::Client(chain(&e)))?;
        let authorisation = match &key {
            None => None,
            Some(key) => {
                let text = zeroize::Zeroizing::new(format!("Bearer {}", key.expose()));
                let mut value = HeaderValue::from_str(&text)
                    .map_err(|_| EndpointError::Client("the key fits no header".into()))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { url, client, authorisation, key })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends `body` to `path` and reads a JSON object.
    ///
    /// # Errors
    /// [`Trouble`] says whether to try again.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        let mut request = self
            .client
            .post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        if let Some(value) = &self.authorisation {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let response = request.send().map_err(|e| {
            let sent = !e.is_connect() && !e.is_builder();
            let why = if e.is_timeout() && sent {
                "no answer within the time limit".to_owned()
            } else {
                self.short(&chain(&e.without_url()))
            };
            if sent { Trouble::Passing(why) } else { Trouble::NotSent(why) }
        })?;
        let status = response.status().as_u16();
        let after = retry_after(response.headers());
        let mut bytes = Vec::new();
        let read = response.take(MOST_BYTES).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        match status {
            200..=299 => {}
            429 => return Err(Trouble::Limited(after, format!("HTTP 429: {}", self.say(&text)))),
            503 if after.is_some() => {
                return Err(Trouble::Limited(after, format!("HTTP 503: {}", self.say(&text))));
            }
            408 | 409 | 425 | 500.. => {
                return Err(Trouble::Passing(format!("HTTP {status}: {}", self.say(&text))));
            }
            _ => return Err(Trouble::Refused(status, self.say(&text))),
        }
        if read.is_err() {
            return Err(Trouble::Passing("the answer broke off".into()));
        }
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

    fn short(&self, text: &str) -> String {
        let text = self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text));
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut short: String = line.chars().take(SHOWN).collect();
        if short.len() < line.len() {
            short.push_str("..");
        }
        short
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
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let loopback = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
    let near = loopback || ip.is_some_and(|ip| matches!(ip, IpAddr::V4(v4) if v4.is_private()));
    if with_key && url.scheme() == "http" && !near {
        return Err(refuse(
            "the key would cross the network in clear; use https, or the private IP address of a cluster",
        ));
    }
    let plain = url.as_str().trim_end_matches('/');
    let path = if url.path().trim_matches('/').is_empty() { "/v1" } else { "" };
    Ok((format!("{plain}{path}"), loopback))
}

/// The wait that an answer asks for: seconds, milliseconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|t| t.parse::<u64>().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// An error with its causes: the outermost of an HTTP library says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
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

    #[test]
    fn waits_are_read_in_every_form() {
        let one = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            retry_after(&headers)
        };
        assert_eq!(one("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(one("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(one("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(one("retry-after", "soon"), None);
    }
}
