//! HTTP to one platform: addresses, the header that carries the token, time limits, repetition.

use super::error::{CloudError, SubmitError};
use super::retry::{Retry, retry_after};
use super::secret::Secret;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use serde_json::Value;
use std::io::Read as _;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// Longest answer that is read.
const MOST_BYTES: u64 = 64 << 20;

/// How to reach a platform.
#[derive(Clone, Debug)]
pub struct Line {
    /// The address, without a path.
    pub url: String,
    /// Waits and repetitions.
    pub retry: Retry,
    /// Least time from one call to the next.
    pub pause: Duration,
    /// Longest time for a call's whole answer.
    pub timeout: Duration,
    /// 1: a line a call on standard error; 2: answers, too.
    pub verbose: u8,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `GET` or `POST`.
    pub post: bool,
    /// Path and query, escaped.
    pub path: &'a str,
    /// JSON to send.
    pub body: Option<&'a str>,
    /// Whether the body is declared as JSON (the official client of Quafu-SQC declares nothing).
    pub declared: bool,
    /// Whether the token is sent.
    pub authorised: bool,
}

impl<'a> Call<'a> {
    /// A `GET` with the token.
    pub const fn get(path: &'a str) -> Self {
        Self { post: false, path, body: None, declared: false, authorised: true }
    }
}

/// What came of one try.
enum Trouble {
    /// No connection: nothing was sent.
    NotSent(String),
    /// Sent, perhaps received; no whole answer.
    NoAnswer(String),
    /// An HTTP status that is no success.
    Status(u16, String, Option<Duration>),
}

/// A connection to one platform. `scheme` turns the token into its header: name and value.
pub struct Wire {
    client: Client,
    line: Line,
    token: Option<Secret>,
    header: Option<(&'static str, HeaderValue)>,
    last: Mutex<Option<Instant>>,
}

impl Wire {
    /// A connection to `line.url`, which must be https or this machine.
    ///
    /// # Errors
    /// [`CloudError::Url`], [`CloudError::Setup`].
    pub fn new(line: Line, token: Option<Secret>) -> Result<Self, CloudError> {
        let (url, local) = checked(&line.url)?;
        // Fails only if another part of the program chose one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("qdllm-hw/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10).min(line.timeout))
            .timeout(line.timeout)
            // A redirection would carry the header of the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(!local);
        if local {
            // A proxy from the environment would see the token in clear.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| CloudError::Setup(chain(&e)))?;
        let line = Line { url, ..line };
        Ok(Self { client, line, token, header: None, last: Mutex::new(None) })
    }

    /// The header that carries the token: `name: prefix token`.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, prefix: &str) -> Self {
        self.header = self.token.as_ref().and_then(|token| {
            let text = zeroize::Zeroizing::new(format!("{prefix}{}", token.expose()));
            let mut value = HeaderValue::from_str(&text).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        self
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.line.url
    }

    /// Waits and repetitions.
    pub fn retry(&self) -> Retry {
        self.line.retry
    }

    /// A call that only reads, or whose repetition does no harm.
    ///
    /// # Errors
    /// [`CloudError`], after as many tries as the connection allows.
    pub fn call(&self, call: &Call<'_>) -> Result<Value, CloudError> {
        let mut done = 0;
        loop {
            done += 1;
            let trouble = match self.once(call) {
                Ok(text) => return self.json(&text),
                Err(trouble) => trouble,
            };
            let (wait, why) = match trouble {
                Trouble::Status(429, text, after) => (after, text),
                Trouble::Status(status, text, after) if status >= 500 => (after, text),
                Trouble::Status(status, text, _) => {
                    return Err(CloudError::Refused { what: name(call), status, text });
                }
                Trouble::NotSent(why) | Trouble::NoAnswer(why) => (None, why),
            };
            if let Some(after) = wait.filter(|&w| w > self.line.retry.patience) {
                return Err(CloudError::Later { what: name(call), after });
            }
            if done >= self.line.retry.tries {
                return Err(CloudError::NoAnswer { what: name(call), tries: done, why });
            }
            let wait = wait.unwrap_or_else(|| self.line.retry.wait(done));
            self.say(1, || format!("{}: {why}; again in {} ms", name(call), wait.as_millis()));
            std::thread::sleep(wait);
        }
    }

    /// A call that must not be repeated blindly: one try.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&self, call: &Call<'_>) -> Result<Value, SubmitError> {
        let what = name(call);
        match self.once(call) {
            Ok(text) => self.json(&text).map_err(SubmitError::Unknown),
            Err(Trouble::NotSent(why)) => {
                Err(SubmitError::NotSent(CloudError::NoAnswer { what, tries: 1, why }))
            }
            Err(Trouble::NoAnswer(why)) => {
                Err(SubmitError::Unknown(CloudError::NoAnswer { what, tries: 1, why }))
            }
            Err(Trouble::Status(429, text, after)) => {
                let patience = self.line.retry.patience;
                match after.filter(|&a| a > patience) {
                    Some(after) => Err(SubmitError::Refused(CloudError::Later { what, after })),
                    None => {
                        let error = CloudError::Refused { what, status: 429, text };
                        Err(SubmitError::Busy(error, after))
                    }
                }
            }
            // A server or a proxy may fail after the task was made.
            Err(Trouble::Status(status, text, _)) if status >= 500 => {
                Err(SubmitError::Unknown(CloudError::Refused { what, status, text }))
            }
            Err(Trouble::Status(status, text, _)) => {
                Err(SubmitError::Refused(CloudError::Refused { what, status, text }))
            }
        }
    }

    fn once(&self, call: &Call<'_>) -> Result<String, Trouble> {
        self.keep_pace();
        let start = Instant::now();
        let result = self.send(call);
        self.say(1, || {
            let said = match &result {
                Ok(text) => format!("200, {} bytes", text.len()),
                Err(Trouble::Status(status, ..)) => status.to_string(),
                Err(Trouble::NotSent(why) | Trouble::NoAnswer(why)) => why.clone(),
            };
            format!("{}: {said} ({} ms)", name(call), start.elapsed().as_millis())
        });
        if let Ok(text) = &result {
            self.say(2, || format!("  {}", self.short(text)));
        }
        result
    }

    fn send(&self, call: &Call<'_>) -> Result<String, Trouble> {
        let method = if call.post { Method::POST } else { Method::GET };
        let mut request: RequestBuilder =
            self.client.request(method, format!("{}{}", self.line.url, call.path));
        if let (true, Some((name, value))) = (call.authorised, &self.header) {
            request = request.header(*name, value.clone());
        }
        if call.declared {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json");
        }
        if let Some(body) = call.body {
            request = request.body(body.to_string());
        }
        let response = request.send().map_err(|e| {
            let connected = !e.is_connect() && !e.is_builder();
            let why = self.clean(&chain(&e.without_url()));
            if connected { Trouble::NoAnswer(why) } else { Trouble::NotSent(why) }
        })?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|h| h.to_str().ok());
        let after = after.and_then(|h| retry_after(h, SystemTime::now()));
        let mut bytes = Vec::new();
        let read = response.take(MOST_BYTES).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if !status.is_success() {
            return Err(Trouble::Status(status.as_u16(), self.short(&text), after));
        }
        match read {
            Ok(_) => Ok(text),
            Err(_) => Err(Trouble::NoAnswer("the answer broke off".into())),
        }
    }

    fn json(&self, text: &str) -> Result<Value, CloudError> {
        // Before anything of it can get into a file.
        let text = self.clean(text);
        serde_json::from_str(&text).map_err(|_| CloudError::Protocol(self.short(&text)))
    }

    /// One line of at most 300 characters, without the token.
    pub fn short(&self, text: &str) -> String {
        let line = self.clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() { "(no text)".into() } else { line.chars().take(300).collect() }
    }

    /// A text from outside without the token, should it have been sent back.
    pub fn clean(&self, text: &str) -> String {
        self.token.as_ref().map_or_else(|| text.to_string(), |token| token.redact(text))
    }

    fn keep_pace(&self) {
        let Ok(mut last) = self.last.lock() else { return };
        if let Some(wait) = last.and_then(|t| self.line.pause.checked_sub(t.elapsed())) {
            std::thread::sleep(wait);
        }
        *last = Some(Instant::now());
    }

    fn say(&self, level: u8, text: impl FnOnce() -> String) {
        if self.line.verbose >= level {
            eprintln!("{}", self.clean(&text()));
        }
    }
}

/// The address without a trailing slash, and whether it is this machine. `http` is for this machine only.
fn checked(text: &str) -> Result<(String, bool), CloudError> {
    // What follows a user name may be a token; the address is not repeated then.
    let bad = || CloudError::Url(if text.contains('@') { "(address)".into() } else { text.into() });
    let url = Url::parse(text).map_err(|_| bad())?;
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path().trim_matches('/').is_empty();
    let safe = url.scheme() == "https" || (url.scheme() == "http" && local);
    if host.is_empty() || !bare || !safe {
        return Err(bad());
    }
    Ok((url.as_str().trim_end_matches('/').to_string(), local && url.scheme() == "http"))
}

/// What a call is called in messages: the method and the path, without the query.
fn name(call: &Call<'_>) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    format!("{} {path}", if call.post { "POST" } else { "GET" })
}

/// An error with its causes; an HTTP library's outermost error says little.
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
