//! One HTTP client: addresses, the header that carries a secret, time limits, waits between tries.
//!
//! [`Client::send`] tries once. Whoever calls it decides what may be repeated: a submission whose answer is
//! lost is never sent a second time by itself.

use crate::errors::chain;
use crate::secret::Secret;
use crate::terminal;
use flate2::read::MultiGzDecoder;
use reqwest::Method;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use reqwest::Url;

#[derive(Clone, Debug)]
pub struct Options {
    /// The address that the paths of requests are added to.
    pub url: String,
    /// The address is this machine: a proxy from the environment would see the secret in clear.
    pub local: bool,
    pub https_only: bool,
    pub user_agent: &'static str,
    /// Longest time for a request's whole answer.
    pub timeout: Duration,
    pub most_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub post: bool,
    pub path: &'a str,
    pub body: Option<&'a str>,
    /// Whether the body is declared as JSON.
    pub declared: bool,
    pub authorised: bool,
}

/// What came of a request that brought no whole, successful answer.
#[derive(Debug)]
pub enum Failure {
    NotSent(String),
    NoAnswer {
        why: String,
        timed_out: bool,
        /// The answer had begun, with a status of success.
        begun: bool,
    },
    /// A status that is no success, its text, and the wait that it asks for.
    Status(u16, String, Option<Duration>),
}

pub struct Client {
    client: reqwest::blocking::Client,
    options: Options,
    secret: Option<Arc<Secret>>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Client {
    /// A client that sends `secret` in the header `name`, behind `prefix`.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the secret fits no header.
    pub fn new(
        options: Options,
        secret: Option<Arc<Secret>>,
        name: &'static str,
        prefix: &str,
    ) -> Result<Self, String> {
        // Fails only if another part of the program chose one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::blocking::Client::builder()
            .user_agent(options.user_agent)
            .connect_timeout(options.timeout.min(Duration::from_secs(10)))
            .timeout(options.timeout)
            // A redirection would carry the secret elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(options.https_only);
        // A proxy would see a secret in clear.
        if options.local || secret.is_some() && options.url.starts_with("http:") {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| chain(&e))?;
        let header = match &secret {
            None => None,
            Some(secret) => {
                let text = zeroize::Zeroizing::new(format!("{prefix}{}", secret.expose()));
                let mut value =
                    HeaderValue::from_str(&text).map_err(|_| "the key fits no header")?;
                value.set_sensitive(true);
                Some((HeaderName::from_static(name), value))
            }
        };
        Ok(Self { client, options, secret, header })
    }

    pub fn url(&self) -> &str {
        &self.options.url
    }

    /// Sends a request, once, and reads the answer's text.
    ///
    /// # Errors
    /// [`Failure`], which says whether the request may have been received.
    pub fn send(&self, request: &Request<'_>) -> Result<String, Failure> {
        let method = if request.post { Method::POST } else { Method::GET };
        let url = format!("{}{}", self.options.url, request.path);
        let mut builder = self.client.request(method, url);
        if let (true, Some((name, value))) = (request.authorised, &self.header) {
            builder = builder.header(name, value.clone());
        }
        if request.declared {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        if let Some(body) = request.body {
            builder = builder.body(body.to_owned());
        }
        let response = builder.send().map_err(|e| {
            let (sent, timed_out) = (!e.is_connect() && !e.is_builder(), e.is_timeout());
            let why = self.clean(&chain(&e.without_url()));
            if sent {
                Failure::NoAnswer { why, timed_out, begun: false }
            } else {
                Failure::NotSent(why)
            }
        })?;
        let status = response.status();
        let after = retry_after(response.headers(), SystemTime::now());
        let packing =
            response.headers().get(CONTENT_ENCODING).map(|v| v.as_bytes().to_ascii_lowercase());
        let mut bytes = Vec::new();
        let read = response.take(self.options.most_bytes).read_to_end(&mut bytes);
        let bytes = unpacked(bytes, packing, self.options.most_bytes)
            .map_err(|why| Failure::NoAnswer { why, timed_out: false, begun: true })?;
        // Before anything of it can get into a message or a file.
        let text = self.clean(&String::from_utf8_lossy(&bytes));
        if !status.is_success() {
            return Err(Failure::Status(status.as_u16(), text, after));
        }
        match read {
            Ok(_) => Ok(text),
            Err(_) => Err(Failure::NoAnswer {
                why: "the answer broke off".into(),
                timed_out: false,
                begun: true,
            }),
        }
    }

    /// A text from outside without the secret, should it have been sent back.
    pub fn clean(&self, text: &str) -> String {
        self.secret.as_ref().map_or_else(|| text.to_owned(), |secret| secret.redact(text))
    }

    /// One line of at most `most` characters, without the secret.
    pub fn short(&self, text: &str, most: usize) -> String {
        terminal::one_line(&self.clean(text), most)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub tries: u32,
    pub backoff: Backoff,
    /// A `Retry-After` beyond this is not waited for.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        let backoff =
            Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(16) };
        Self { tries: 6, backoff, patience: Duration::from_secs(120) }
    }
}

impl Retry {
    /// Waits after failure number `failures`, as long as the answer asked for; whether there is a further try.
    pub fn pause(&self, failures: u32, asked: Option<Duration>) -> bool {
        let more = failures < self.tries;
        if more {
            std::thread::sleep(asked.unwrap_or_else(|| self.backoff.wait(failures)));
        }
        more
    }
}

/// Waits between tries: exponential up to a bound, between half and all of it by chance, so that clients that
/// failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The wait after failure number `failures`, counted from 1.
    pub fn wait(&self, failures: u32) -> Duration {
        let doubled = 1u32 << failures.saturating_sub(1).min(20);
        let full = self.first.saturating_mul(doubled).min(self.longest);
        // A fresh `RandomState` is seeded by the system.
        let chance = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
        full.mul_f64(chance.mul_add(0.5, 0.5))
    }
}

/// The wait that an answer asks for: milliseconds, seconds or a date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|t| t.parse().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// A body as it was before it was packed: some servers do so unasked, by gzip.
fn unpacked(bytes: Vec<u8>, packing: Option<Vec<u8>>, most: u64) -> Result<Vec<u8>, String> {
    match packing.as_deref() {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip" | b"x-gzip") => {
            let mut plain = Vec::new();
            let read = MultiGzDecoder::new(&bytes[..]).take(most).read_to_end(&mut plain);
            read.map(|_| plain).map_err(|e| format!("the answer is packed by gzip, badly: {e}"))
        }
        Some(other) => Err(format!(
            "the answer is packed by {}, which was not asked for; a proxy may do so",
            terminal::one_line(&String::from_utf8_lossy(other), 20)
        )),
    }
}

/// The IP address of a URL's host, if it is written as one.
pub fn ip(url: &Url) -> Option<IpAddr> {
    url.host_str().unwrap_or_default().trim_matches(['[', ']']).parse().ok()
}

/// Whether a URL's host is this machine.
pub fn is_local(url: &Url) -> bool {
    url.host_str() == Some("localhost") || ip(url).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_vary() {
        let retry = Retry::default();
        for (done, most) in [(1, 500), (2, 1000), (3, 2000), (6, 16_000), (40, 16_000)] {
            let waits: Vec<u128> = (0..50).map(|_| retry.backoff.wait(done).as_millis()).collect();
            assert!(waits.iter().all(|&w| w >= most / 2 && w <= most), "{done}: {waits:?}");
            assert!(waits.iter().any(|&w| w != waits[0]));
        }
    }

    #[test]
    fn answers_packed_unasked_are_unpacked_or_named() {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{}").unwrap();
        let gzip = gzip.finish().unwrap();
        let of = |bytes: &[u8], packing: &str| unpacked(bytes.into(), Some(packing.into()), 99);
        assert_eq!(of(&gzip, "gzip").unwrap(), b"{}");
        assert!(of(&gzip[..9], "gzip").unwrap_err().contains("gzip"));
        assert!(of(b"x", "br").unwrap_err().contains("packed by br"));
        assert_eq!(of(b"x", "identity").unwrap(), b"x");
    }

    #[test]
    fn waits_are_read_in_every_form() {
        // Sun, 22 Nov 2026 10:00:00 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_341_600);
        let one = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            retry_after(&headers, now)
        };
        assert_eq!(one("retry-after", " 7 "), Some(Duration::from_secs(7)));
        assert_eq!(one("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        let date = one("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT");
        assert_eq!(date, Some(Duration::from_secs(30)));
        assert_eq!(one("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(one("retry-after", "soon"), None);
    }
}
