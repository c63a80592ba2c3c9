//! What can go wrong between here and a quantum cloud.

use super::credential::TokenError;
use super::kind::Limits;
use std::time::Duration;

/// Why a call failed. Texts from the platform are shortened, and the token is blotted out of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    #[error(
        "`{0}` is no address to send a token to; give https://HOST, or http:// for this machine itself"
    )]
    Url(String),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("{what}: no answer after {tries} tries: {why}")]
    NoAnswer { what: String, tries: u32, why: String },
    #[error("{what}: refused with HTTP {status}: {text}{}", remedy(*.status))]
    Refused { what: String, status: u16, text: String },
    #[error("{what}: the platform asks to come back in {} s; run the same command again then", .after.as_secs())]
    Later { what: String, after: Duration },
    #[error("the answer is not understood: {0}")]
    Protocol(String),
    #[error("`{chip}` is no chip of the platform; it has {known}")]
    UnknownChip { chip: String, known: String },
    #[error("{chip} takes no tasks now: {status}; nothing was submitted (see `qdllm-hw backends`)")]
    Offline { chip: String, status: String },
    #[error(
        "{shots} shots; {chip} takes {} to {} in steps of {}",
        .limits.min_shots, .limits.max_shots, .limits.step
    )]
    Shots { chip: String, shots: u32, limits: Limits },
    #[error("HTTPS cannot be set up: {0}")]
    Setup(String),
}

/// What a status means that says little by itself.
fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => "; is the token right, and not expired?",
        422 => "; a missing or malformed token is answered so, too",
        300..=399 => "; redirections are not followed, so that no token goes elsewhere",
        _ => "",
    }
}

#[derive(Debug)]
pub enum SubmitError {
    /// It never left, or was turned away for now: it may be sent again.
    NotSent(CloudError),
    /// Turned away for now, with the wait that was asked for.
    Busy(CloudError, Option<Duration>),
    Refused(CloudError),
    Unknown(CloudError),
}

impl SubmitError {
    pub fn into_error(self) -> CloudError {
        match self {
            Self::NotSent(e) | Self::Busy(e, _) | Self::Refused(e) | Self::Unknown(e) => e,
        }
    }
}
