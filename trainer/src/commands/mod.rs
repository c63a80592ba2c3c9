//! One command a file, each with its arguments and a `run`. Here: how they print.

use anyhow::Result;
use qdllm_host::terminal::say;
use serde::Serialize;
use std::fmt::Display;

pub mod agreement;
pub mod bench;
pub mod classify;
pub mod compile;
pub mod controls;
pub mod demo;
pub mod distill;
pub mod eval;
pub mod export;
pub mod inspect;
pub mod teach;
#[cfg(feature = "teacher")]
pub mod tune;

/// Prints a result, as indented JSON or as its lines.
fn print(result: &(impl Serialize + Display), json: bool) -> Result<()> {
    if json { say(serde_json::to_string_pretty(result)?) } else { say(result) }
}

/// Prints a result, as JSON in one line or as its lines.
fn print_in_line(result: &(impl Serialize + Display), json: bool) -> Result<()> {
    if json { say(serde_json::to_string(result)?) } else { say(result) }
}
