//! What can go wrong between this program and an endpoint: the endpoint, what it said, what to do.

use std::path::PathBuf;
use std::time::Duration;

pub type Result<T, E = EndpointError> = std::result::Result<T, E>;

/// Every message says what to do; the address has no user name and password, and the key is never repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    #[error("endpoint `{url}`: {what}")]
    Url { url: String, what: String },
    #[error("API key from {place}: {what}")]
    Key { place: String, what: String },
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    #[error("{url}: answered HTTP {status}: {text}; {remedy}")]
    Refused { url: String, status: u16, text: String, remedy: &'static str },
    #[error(
        "{url}: no usable answer after {tries} tries, the last: {why}; what was answered is kept, run the same command again when the endpoint is well"
    )]
    NoAnswer { url: String, tries: u32, why: String },
    #[error(
        "{url}: asks to wait {} s; what was answered is kept, run the same command again after that time",
        after.as_secs()
    )]
    Later { url: String, after: Duration },
    #[error("{url}: {what}")]
    Answer { url: String, what: String },
    #[error(
        "the budget is used up: {requests} requests and {tokens} tokens so far, {left} texts are without an answer; the answers are kept, run again with a larger --budget-requests or --budget-tokens"
    )]
    Budget { requests: u64, tokens: u64, left: usize },
    #[error("{}: {what}", path.display())]
    Ledger { path: PathBuf, what: String },
    #[error("{0}")]
    Classes(String),
}
