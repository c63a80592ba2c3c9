//! `qdllm-hw flash`: writes a model, a firmware, or both to a board, by its boot loader's drive or a
//! debug probe.

use crate::commands::image::Content;
use crate::commands::print;
use crate::image::{copy, find, probe};
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Write a model and a firmware to a board
///
/// A board whose boot loader shows a drive is written through it when it is there; else probe-rs writes
/// it through a debug probe.
///
/// Examples:
///   qdllm-hw flash --board pico --firmware qdllm-pico --model model.qdm
///   qdllm-hw flash --board nrf52840-dk --model model.qdm
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct FlashArgs {
    #[command(flatten)]
    pub content: Content,
    /// Where the boot loader's drive is mounted [default: it is looked for]
    #[arg(long, value_name = "FOLDER", conflicts_with = "probe")]
    pub drive: Option<PathBuf>,
    /// Use a debug probe even if the drive is there
    #[arg(long)]
    pub probe: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize)]
struct Flashed {
    board: &'static str,
    via: &'static str,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

pub fn run(args: &FlashArgs) -> Result<()> {
    let (board, memory) = args.content.read()?;
    let Some(chip) = &board.probe else {
        bail!(
            "{} is an emulator, which is started with its model: QDLLM_MODEL=model.qdm cargo run \
             --release in firmware/boards/{}",
            board.name,
            board.name
        );
    };
    let drive = match &board.drive {
        None if args.drive.is_some() => bail!("{} has no drive; leave --drive out", board.name),
        Some(drive) if !args.probe => find(drive, args.drive.as_deref())?.map(|at| (at, drive)),
        _ => None,
    };
    let bytes = memory.pieces().map(|(_, piece)| piece.len()).sum();
    let (via, file) = if let Some((folder, drive)) = drive {
        ("drive", Some(copy(&folder, &memory, drive)?))
    } else {
        probe(board, chip, &memory)?;
        ("probe", None)
    };
    let flashed = Flashed { board: &board.name, via, bytes, file };
    print(args.json, &flashed, format_args!("wrote {bytes} bytes to {} by its {via}", board.name))
}
