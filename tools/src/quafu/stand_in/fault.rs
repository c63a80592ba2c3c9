//! Faults on demand: which request, what goes wrong, how often.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    Verify,
    Backends,
    Run,
    Status,
    Result,
    Cancel,
    List,
    Chip,
}

impl Route {
    pub const ALL: [(&'static str, Self); 8] = [
        ("verify", Self::Verify),
        ("backends", Self::Backends),
        ("run", Self::Run),
        ("status", Self::Status),
        ("result", Self::Result),
        ("cancel", Self::Cancel),
        ("list", Self::List),
        ("chip", Self::Chip),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|r| r.1 == self).map_or("", |r| r.0)
    }

    /// Whether a request of this kind must carry a token on the portal.
    pub fn private(self) -> bool {
        !matches!(self, Self::Backends | Self::Chip)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// An HTTP status instead of the work, with a `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// The work is done, then an HTTP status is answered.
    StatusAfter(u16),
    CutBefore,
    /// The work is done, then the connection is cut without an answer.
    Cut,
    /// The work is done, then the connection is cut in the middle of the answer.
    Truncate,
    /// The work is done at once and answered this many milliseconds later.
    Slow(u64),
    Fail,
    Other,
    /// The result's bit strings have one character too many.
    Long,
    Stale,
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub on: Option<Route>,
    pub wrong: Wrong,
    pub left: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no fault; give WHERE=WHAT or WHERE=WHAT*TIMES, WHERE of any, verify, backends, run, status, \
     result, cancel, list, chip, WHAT of a status such as 500 or 429:SECONDS, after:500, cut, cut-before, \
     truncate, slow:MILLISECONDS, fail, other, long, stale, echo"
)]
pub struct NotAFault(String);

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let bad = || NotAFault(text.into());
        let (on, rest) = text.split_once('=').ok_or_else(bad)?;
        let (what, left) = match rest.split_once('*') {
            Some((what, "always")) => (what, None),
            Some((what, times)) => (what, Some(times.parse().map_err(|_| bad())?)),
            None => (rest, Some(1)),
        };
        let on = match on {
            "any" => None,
            name => Some(Route::ALL.iter().find(|r| r.0 == name).ok_or_else(bad)?.1),
        };
        let status = |t: &str| t.parse::<u16>().ok().filter(|s| (300..600).contains(s));
        let wrong = match what.split_once(':') {
            None => match what {
                "cut" => Wrong::Cut,
                "cut-before" => Wrong::CutBefore,
                "truncate" => Wrong::Truncate,
                "fail" => Wrong::Fail,
                "other" => Wrong::Other,
                "long" => Wrong::Long,
                "stale" => Wrong::Stale,
                "echo" => Wrong::Echo,
                code => Wrong::Status(status(code).ok_or_else(bad)?, None),
            },
            Some(("slow", ms)) => Wrong::Slow(ms.parse().map_err(|_| bad())?),
            Some(("after", code)) => Wrong::StatusAfter(status(code).ok_or_else(bad)?),
            Some((code, seconds)) => {
                let after = seconds.parse().map_err(|_| bad())?;
                Wrong::Status(status(code).ok_or_else(bad)?, Some(after))
            }
        };
        Ok(Self { on, wrong, left })
    }
}

pub fn take(faults: &mut Vec<Fault>, route: Route) -> Option<Wrong> {
    let index = faults.iter().position(|f| f.on.is_none_or(|on| on == route))?;
    let fault = faults.get_mut(index)?;
    let wrong = fault.wrong;
    if let Some(left) = &mut fault.left {
        *left = left.saturating_sub(1);
        if *left == 0 {
            faults.remove(index);
        }
    }
    Some(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_used_up() {
        let mut faults: Vec<Fault> =
            ["run=cut*2", "any=429:3", "result=slow:20*always"].map(|t| t.parse().unwrap()).into();
        assert_eq!(take(&mut faults, Route::Run), Some(Wrong::Cut));
        assert_eq!(take(&mut faults, Route::Status), Some(Wrong::Status(429, Some(3))));
        assert_eq!(take(&mut faults, Route::Status), None);
        assert_eq!(take(&mut faults, Route::Run), Some(Wrong::Cut));
        assert_eq!(take(&mut faults, Route::Run), None);
        for _ in 0..3 {
            assert_eq!(take(&mut faults, Route::Result), Some(Wrong::Slow(20)));
        }
        for bad in ["run", "run=", "run=99", "walk=cut", "run=cut*x", "run=slow:x", "run=after:1"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
