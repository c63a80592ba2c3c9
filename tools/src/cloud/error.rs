//! What can go wrong between here and a quantum cloud.

use super::Limits;
use super::token::TokenError;
use std::time::Duration;

/// Why a call failed. Texts from the platform are shortened, and the token is blotted out of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// An address that a token must not be sent to.
    #[error(
        "`{0}` is no address to send a token to; give https://HOST, or http:// for this machine itself"
    )]
    Url(String),
    /// No token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No answer in all tries.
    #[error("{what}: no answer after {tries} tries: {why}")]
    NoAnswer {
        /// The call.
        what: String,
        /// Tries.
        tries: u32,
        /// The last failure.
        why: String,
    },
    /// An answer that says no.
    #[error("{what}: refused with HTTP {status}: {text}{}", remedy(*.status))]
    Refused {
        /// The call.
        what: String,
        /// HTTP status.
        status: u16,
        /// What the platform said.
        text: String,
    },
    /// Too many requests, and a longer wait asked for than is waited here.
    #[error("{what}: the platform asks to come back in {} s; run the same command again then", .after.as_secs())]
    Later {
        /// The call.
        what: String,
        /// The wait that was asked for.
        after: Duration,
    },
    /// An answer of an unknown form.
    #[error("the answer is not understood: {0}")]
    Protocol(String),
    /// Not a chip of the platform.
    #[error("`{chip}` is no chip of the platform; it has {known}")]
    UnknownChip {
        /// What was asked for.
        chip: String,
        /// The names that it has.
        known: String,
    },
    /// The chip takes no tasks.
    #[error("{chip} takes no tasks now: {status}; nothing was submitted (see `qdllm-hw backends`)")]
    Offline {
        /// The chip.
        chip: String,
        /// The platform's word.
        status: String,
    },
    /// Shots that the chip does not take.
    #[error(
        "{shots} shots; {chip} takes {} to {} in steps of {}",
        .limits.min_shots, .limits.max_shots, .limits.step
    )]
    Shots {
        /// The chip.
        chip: String,
        /// What was asked for.
        shots: u32,
        /// What is possible.
        limits: Limits,
    },
    /// The HTTP client cannot be set up.
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

/// What became of a submission.
#[derive(Debug)]
pub enum SubmitError {
    /// It never left, or was turned away for now: it may be sent again.
    NotSent(CloudError),
    /// Turned away for now, with the wait that was asked for.
    Busy(CloudError, Option<Duration>),
    /// The platform said no.
    Refused(CloudError),
    /// It may have been received.
    Unknown(CloudError),
}

impl SubmitError {
    /// The failure itself.
    pub fn into_error(self) -> CloudError {
        match self {
            Self::NotSent(e) | Self::Busy(e, _) | Self::Refused(e) | Self::Unknown(e) => e,
        }
    }
}
