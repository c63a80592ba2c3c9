//! What a board is, has and answers, and what came of a change of models, for people and as JSON.

use crate::board::client::{About, Answer};
use crate::board::{BoardError, Client, Port};
use anyhow::Result;
use qdllm_link::Fault;
use qdllm_link::message::Cost;
use serde::Serialize;
use std::io::Write;

pub fn json(value: &impl Serialize, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

#[derive(Debug, Serialize)]
struct SlotShown {
    slot: u8,
    state: String,
    fault: u8,
    sequence: u32,
    bytes: u32,
    checksum: String,
}

pub fn info(
    as_json: bool,
    client: &mut Client<Port>,
    about: &About,
    out: &mut impl Write,
) -> Result<()> {
    #[derive(Serialize)]
    struct All<'a> {
        #[serde(flatten)]
        about: &'a About,
        slots: Vec<SlotShown>,
    }
    let mut slots = Vec::new();
    for number in 0..2 {
        let slot = match client.slot(number) {
            Ok(slot) => slot,
            // A board with one slot.
            Err(BoardError::Refused(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let state = match Fault::from_number(slot.fault) {
            Some(fault) => fault.to_string(),
            None if about.active_slot == Some(number) => "in use".to_owned(),
            None => "usable".to_owned(),
        };
        slots.push(SlotShown {
            slot: number,
            state,
            fault: slot.fault,
            sequence: slot.sequence,
            bytes: slot.id.length,
            checksum: format!("{:08x}", slot.id.checksum),
        });
    }
    if as_json {
        return json(&All { about, slots }, out);
    }
    writeln!(out, "board      {} (firmware {}, {})", about.board, about.firmware, about.engine)?;
    match about.model {
        Some(model) => writeln!(
            out,
            "model      {} bytes, {} classes, checksum {:08x}, version {}",
            model.length, about.classes, model.checksum, about.version
        )?,
        None => writeln!(out, "model      none: put one (qdllm-hw board put MODEL --activate)")?,
    }
    writeln!(
        out,
        "memory     {} bytes of RAM for the back end, {} of statics, {} of stack",
        about.engine_ram_bytes, about.static_ram_bytes, about.stack_bytes
    )?;
    match (about.capacity_bytes, &about.key) {
        (0, _) => writeln!(out, "takes      no model over this port")?,
        (bytes, None) => writeln!(out, "takes      models up to {bytes} bytes")?,
        (bytes, Some(key)) => writeln!(
            out,
            "takes      models up to {bytes} bytes, signed for {key}, version {} or later",
            about.lowest_version
        )?,
    }
    for slot in &slots {
        writeln!(out, "slot {}     {} ({} bytes)", slot.slot, slot.state, slot.bytes)?;
    }
    Ok(())
}

pub fn classify(
    as_json: bool,
    client: &mut Client<Port>,
    texts: &[String],
    out: &mut impl Write,
) -> Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        text: &'a str,
        #[serde(flatten)]
        answer: &'a Answer,
    }
    for text in texts {
        let answer = client.classify(text)?;
        if as_json {
            writeln!(out, "{}", serde_json::to_string(&Line { text, answer: &answer })?)?;
            continue;
        }
        let rejected = if answer.rejected { "  (below the threshold)" } else { "" };
        let cost = shown(&answer.cost);
        writeln!(out, "{:.4}  {}{rejected}  [{cost}]", answer.probability, answer.label)?;
    }
    Ok(())
}

pub fn shown(cost: &Cost) -> String {
    let parts =
        [(cost.instructions, "instructions"), (cost.cycles, "cycles"), (cost.microseconds, "us")];
    let parts = parts.iter().filter(|(value, _)| *value > 0);
    let parts: Vec<String> = parts.map(|(value, unit)| format!("{value} {unit}")).collect();
    if parts.is_empty() { "the board counts nothing".to_owned() } else { parts.join(", ") }
}

#[derive(Debug, Serialize)]
pub struct Done {
    pub bytes: Option<u32>,
    pub seconds: Option<f64>,
    pub bytes_per_second: Option<f64>,
    pub active_slot: Option<u8>,
    pub checksum: Option<String>,
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

    pub fn print(&self, as_json: bool, what: &str, out: &mut impl Write) -> Result<()> {
        if as_json {
            return json(self, out);
        }
        let slot = self.active_slot.map_or("none".to_owned(), |slot| slot.to_string());
        let speed = self.seconds.map_or(String::new(), |seconds| format!(" in {seconds:.1} s"));
        writeln!(out, "{what}{speed}; slot in use: {slot}")?;
        Ok(())
    }
}
