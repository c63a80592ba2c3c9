//! A request as both protocols read it, what it is for, the answers that they give, and faults on demand: which
//! request, what goes wrong, how often.

use anyhow::{Error, Result, anyhow};
use clap::ValueEnum;
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;

pub struct Request {
    pub post: bool,
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    /// The token, from whichever header the platform uses; empty without one.
    pub token: String,
    pub body: Bytes,
}

impl Request {
    pub fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub fn get(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }

    pub fn number(&self, key: &str, otherwise: usize) -> usize {
        self.get(key).parse().unwrap_or(otherwise)
    }
}

/// Status and body of an answer.
pub type Reply = (u16, Value);

pub fn ok(body: impl Into<Value>) -> Reply {
    (200, body.into())
}

/// Another status, with a text in the field where the portal has it.
pub fn refused(status: u16, code: &str, text: &str) -> Reply {
    (status, json!({"error": text, "code": code, "error_category": null, "vars": {}}))
}

/// What a request is for, on either platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
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
    /// The portal's paths begin with `api/v1`, those of Quafu-SQC with `task`.
    pub fn of(post: bool, path: &[&str]) -> Option<Self> {
        Some(match (post, path) {
            (false, ["task", "verify"] | ["api", "v1", "auth" | "stats", "me"]) => Self::Verify,
            (false, ["task", "status", "0"] | ["api", "v1", "healthz" | "devices"]) => {
                Self::Backends
            }
            (true, ["task", "run"] | ["api", "v1", "jobs"]) => Self::Run,
            (false, ["task", "status", _] | ["api", "v1", "jobs", _, "status"]) => Self::Status,
            (false, ["task", "result", _] | ["api", "v1", "jobs", _, "tasks", _])
            | (false, ["api", "v1", "jobs", _, "results"]) => Self::Result,
            (false, ["task", "cancel" | "delete", _])
            | (true, ["api", "v1", "jobs", _, "cancel"]) => Self::Cancel,
            (false, ["task", "query"]) => Self::List,
            (false, ["task", "backendtest" | "backend", _])
            | (false, ["api", "v1", "devices" | "calibrations", _])
            | (false, ["api", "v1", "devices", _, "calibration"])
            | (false, ["api", "v1", "backends", _, "metadata"]) => Self::Chip,
            _ => return None,
        })
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
    /// The work is done, and answered with a success of another form.
    Answer(Odd),
}

/// Another form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Odd {
    /// A text that holds it.
    Text,
    /// Its number, or what has none as 17, with a fraction.
    Float,
    /// Its number with ten more digits, or what has none as such.
    Huge,
    Negative,
    Null,
    /// Under `data`.
    Nested,
    Empty,
    Html,
    /// The first half of it, without a word.
    Half,
    /// The first task of all.
    Same,
    /// An error code that nobody knows.
    Code,
}

impl Odd {
    /// `body` in this form; `same` is the answer about the first task of all.
    pub fn of(self, body: &Value, same: &Value) -> String {
        let text = body.to_string();
        let number = body.as_u64().unwrap_or(17);
        match self {
            Self::Text => Value::String(body.as_str().map_or(text, String::from)).to_string(),
            Self::Float => format!("{number}.0"),
            Self::Huge => format!("{number}0000000000"),
            Self::Negative => format!("-{number}"),
            Self::Null => "null".into(),
            Self::Nested => json!({"data": body}).to_string(),
            Self::Empty => String::new(),
            Self::Html => "<html><body>Please log in.</body></html>".into(),
            Self::Half => text.chars().take(text.chars().count() / 2).collect(),
            Self::Same => same.to_string(),
            Self::Code => json!({"code": 7001, "message": "see the console"}).to_string(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub on: Option<Route>,
    pub wrong: Wrong,
    pub left: Option<u32>,
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            anyhow!(
                "`{text}` is no fault; give WHERE=WHAT or WHERE=WHAT*TIMES, WHERE of any, verify, backends, \
                 run, status, result, cancel, list, chip, WHAT of a status such as 500 or 429:SECONDS, after:500, \
                 cut, cut-before, truncate, slow:MILLISECONDS, fail, other, long, stale, echo, or \
                 answer:FORM, FORM of {}",
                Odd::value_variants()
                    .iter()
                    .filter_map(|o| Some(o.to_possible_value()?.get_name().to_owned()))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let (on, rest) = text.split_once('=').ok_or_else(bad)?;
        let (what, left) = match rest.split_once('*') {
            Some((what, "always")) => (what, None),
            Some((what, times)) => (what, Some(times.parse().map_err(|_| bad())?)),
            None => (rest, Some(1)),
        };
        let on = match on {
            "any" => None,
            name => Some(<Route as ValueEnum>::from_str(name, false).map_err(|_| bad())?),
        };
        let code = |t: &str, least: u16| t.parse().ok().filter(|s| (least..600).contains(s));
        let status = |t: &str| code(t, 300);
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
            Some(("after", text)) => Wrong::StatusAfter(code(text, 201).ok_or_else(bad)?),
            Some(("answer", form)) => {
                Wrong::Answer(<Odd as ValueEnum>::from_str(form, false).map_err(|_| bad())?)
            }
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
