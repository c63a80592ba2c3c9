//! What came of a change of models, for people and as JSON.

use super::args::BoardArgs;
use crate::board::client::About;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;

#[derive(Debug, Serialize)]
pub struct Done {
    pub bytes: Option<u32>,
    pub seconds: Option<f64>,
    pub bytes_per_second: Option<f64>,
    pub active_slot: Option<u8>,
    pub checksum: Option<String>,
}

pub fn json(value: &impl Serialize, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

impl Done {
    pub fn of(about: &About) -> Self {
        Self {
            bytes: about.model.map(|model| model.length),
            seconds: None,
            bytes_per_second: None,
            active_slot: about.active_slot,
            checksum: about.model.map(|model| format!("{:08x}", model.checksum)),
        }
    }
}

pub fn finish(args: &BoardArgs, done: &Done, what: &str, out: &mut impl Write) -> Result<()> {
    if args.json {
        return json(done, out);
    }
    let slot = done.active_slot.map_or("none".to_owned(), |slot| slot.to_string());
    let speed = done.seconds.map_or(String::new(), |seconds| format!(" in {seconds:.1} s"));
    writeln!(out, "{what}{speed}; slot in use: {slot}")?;
    Ok(())
}
