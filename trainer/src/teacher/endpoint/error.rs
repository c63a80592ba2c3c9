//! What can go wrong between this program and an endpoint: the endpoint, what it said, what to do.

use std::path::PathBuf;
use std::time::Duration;

pub type Result<T, E = EndpointError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    #[error("endpoint `{url}`: {what}")]
    Url {
        /// The address, without user name and password.
        url: String,
        /// What is wrong and what to do.
        what: String,
    },
    #[error("API key from {place}: {what}")]
    Key {
        place: String,
        /// What is wrong and what to do; the key itself is never repeated.
        what: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// A status that repetition does not mend.
    #[error("{url}: answered HTTP {status}: {text}; {remedy}")]
    Refused { url: String, status: u16, text: String, remedy: &'static str },
    #[error(
        "{url}: no usable answer after {tries} tries, the last: {why}; what was answered is kept, run the same command again when the endpoint is well"
    )]
    NoAnswer { url: String, tries: u32, why: String },
    /// A rate limit that asks for a longer wait than is waited for.
    #[error(
        "{url}: asks to wait {} s; what was answered is kept, run the same command again after that time",
        after.as_secs()
    )]
    Later { url: String, after: Duration },
    /// An answer that is understood and cannot serve.
    #[error("{url}: {what}")]
    Answer {
        url: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The budget does not allow another request.
    #[error(
        "the budget is used up: {requests} requests and {tokens} tokens so far, {left} texts are without an answer; the answers are kept, run again with a larger --budget-requests or --budget-tokens"
    )]
    Budget {
        requests: u64,
        /// Tokens used or reserved, over all runs.
        tokens: u64,
        left: usize,
    },
    /// The file that keeps count cannot be used.
    #[error("{}: {what}", path.display())]
    Ledger {
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    #[error("{0}")]
    Classes(String),
}
