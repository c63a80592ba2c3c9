//! Quantum clouds: one trait, the two platforms of Quafu behind it, jobs on them, and their stand-in.
//!
//! A submission whose answer is lost is the one thing that must not simply be tried again: it may have
//! been received. `Platform::submit` therefore tries once and says which of three things happened
//! ([`error::SubmitError`]), and `Platform::recover` finds out about the third.

pub mod credential;
pub mod error;
pub mod http;
pub mod jobs;
pub mod kind;
pub mod platform;
mod portal;
mod sqc;
pub mod stand_in;

pub fn connect(
    kind: kind::Kind,
    options: http::Options,
    token: qdllm_host::secret::Secret,
) -> Result<Box<dyn platform::Platform>, error::CloudError> {
    Ok(match kind {
        kind::Kind::Sqc => Box::new(sqc::Sqc::new(http::Http::new(options, token, "token", "")?)),
        kind::Kind::Portal => {
            let http = http::Http::new(options, token, "authorization", "Bearer ")?;
            Box::new(portal::Portal::new(http))
        }
    })
}
