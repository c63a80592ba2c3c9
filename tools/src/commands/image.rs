//! `qdllm-hw image`: a model, a firmware, or both, as a file that a programmer takes.

use crate::commands::print;
use crate::image::{self, Memory};
use anyhow::{Context as _, Result};
use clap::Args;
use qdllm_host::boards::Board;
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::files;
use qdllm_host::values::within;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Write a model and a firmware as .bin, .hex or .uf2
///
/// The model goes into a slot with its header, ready to be used. A .bin holds everything from the
/// lowest address on, gaps as erased flash; the address is printed.
///
/// Examples:
///   qdllm-hw image --board pico --model model.qdm -o model.uf2
///   qdllm-hw image --board nrf52840-dk --firmware qdllm-nrf52840-dk --model model.qdm -o all.hex
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ImageArgs {
    #[command(flatten)]
    pub content: Content,
    /// The file; its ending says the format: .bin, .hex or .uf2
    #[arg(short, long, alias = "output", value_name = "FILE")]
    pub out: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// What goes into a board's flash.
#[derive(Args, Debug)]
pub struct Content {
    /// The board, a folder's name under firmware/boards
    #[arg(long)]
    pub board: String,
    /// The model file
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// The model's slot: 0 or 1
    #[arg(long, default_value_t = 0, value_parser = within(0..=1_u8))]
    pub slot: u8,
    /// The firmware's ELF file
    #[arg(long, value_name = "FILE")]
    pub firmware: Option<PathBuf>,
}

impl Content {
    /// The board, and its memory with all that was asked for; an error names the file that is the reason.
    pub fn read(&self) -> Result<(&'static Board, Memory)> {
        let (board, flash) = image::named(&self.board).map_err(wrong_use)?;
        let model = self.model.as_deref().map(files::read).transpose()?;
        let firmware = self.firmware.as_deref().map(files::read).transpose()?;
        let mut memory = Memory::default();
        if let Some((path, file)) = self.firmware.as_ref().zip(firmware) {
            memory.add_firmware(board, flash, &file).of_file(path)?;
        }
        if let Some((path, file)) = self.model.as_ref().zip(model) {
            memory.add_model(board, flash, self.slot, &file).of_file(path)?;
        }
        if self.model.is_none() && self.firmware.is_none() {
            let what = "there is nothing to write: give --model, --firmware or both";
            return Err(wrong_use(what));
        }
        Ok((board, memory))
    }
}

#[derive(Debug, Serialize)]
struct Written {
    board: &'static str,
    file: String,
    format: String,
    /// The lowest address; what a programmer must be told with a .bin.
    address: u32,
    file_bytes: usize,
    pieces: Vec<Value>,
}

pub fn run(args: &ImageArgs) -> Result<()> {
    let (board, memory) = args.content.read()?;
    let format = args.out.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let (address, flat) = memory.flat();
    let file = match format.as_str() {
        "bin" => flat,
        "hex" => memory.hex().into_bytes(),
        "uf2" => {
            let drive = board.drive.as_ref().with_context(|| {
                format!("{} has no UF2 boot loader; write .hex or .bin", board.name)
            })?;
            memory.uf2(drive.family)
        }
        other => {
            return Err(wrong_use(format!(
                "{}: {other:?} is no known format; the file's name must end in .bin, .hex or .uf2",
                args.out.display()
            )));
        }
    };
    files::write(&args.out, &file)?;
    let piece = |(address, bytes): (u32, &[u8])| json!({"address": address, "bytes": bytes.len()});
    let written = Written {
        board: &board.name,
        file: args.out.display().to_string(),
        format,
        address,
        file_bytes: file.len(),
        pieces: memory.pieces().map(piece).collect(),
    };
    let lines = memory.pieces().map(|(at, bytes)| format!("{at:#010x}  {} bytes\n", bytes.len()));
    let end =
        format!("wrote {} ({} bytes), from {address:#x} on", written.file, written.file_bytes);
    print(args.json, &written, lines.chain([end]).collect::<String>())
}
