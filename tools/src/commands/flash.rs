//! `qdllm-hw flash`: writes a model, a firmware, or both to a board, by its boot loader's drive or a
//! debug probe.

use crate::commands::image::Content;
use crate::image::{Memory, drive, hex, uf2};
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_host::boards::{Board, Drive};
use serde::Serialize;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROBE_RS: &str = "probe-rs";

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
    /// What is written
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
    file: Option<String>,
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
    let place = match (&args.drive, &board.drive, args.probe) {
        (Some(folder), Some(drive), _) => Some((named(folder, drive)?, drive)),
        (Some(_), None, _) => bail!("{} has no drive; leave --drive out", board.name),
        (None, Some(drive), false) => drive::find(&drive.board_id).map(|found| (found, drive)),
        (None, _, _) => None,
    };
    let bytes = memory.pieces().map(|(_, piece)| piece.len()).sum();
    let flashed = match place {
        Some((folder, drive)) => {
            let file = copy(&folder, &memory, drive)?;
            let file = Some(file.display().to_string());
            Flashed { board: &board.name, via: "drive", bytes, file }
        }
        None => {
            probe(board, chip, &memory)?;
            Flashed { board: &board.name, via: "probe", bytes, file: None }
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&flashed)?);
    } else {
        println!("wrote {bytes} bytes to {} by its {}", board.name, flashed.via);
    }
    Ok(())
}

fn named(folder: &Path, drive: &Drive) -> Result<PathBuf> {
    if drive::is_drive(folder, &drive.board_id) {
        return Ok(folder.to_path_buf());
    }
    bail!(
        "{}: no drive of this board (its INFO_UF2.TXT would name {}); {} and look where your system \
         mounts it",
        folder.display(),
        drive.board_id,
        drive.how
    );
}

/// Writes the UF2 file; the boot loader starts the board when it has all of it.
fn copy(folder: &Path, memory: &Memory, drive: &Drive) -> Result<PathBuf> {
    let path = folder.join("qdllm.uf2");
    let name = || format!("{}: cannot be written", path.display());
    let mut file = fs::File::create(&path).with_context(name)?;
    file.write_all(&uf2::write(memory, drive.family)).with_context(name)?;
    // The drive goes away as soon as it has everything, which some systems report here.
    let _ = file.sync_all();
    Ok(path)
}

fn probe(board: &Board, chip: &str, memory: &Memory) -> Result<()> {
    let mut file = tempfile::Builder::new().prefix("qdllm-").suffix(".hex").tempfile()?;
    file.write_all(hex::write(memory).as_bytes())?;
    let path = file.path().display().to_string();
    let steps: [&[&str]; 2] = [
        &["download", "--chip", chip, "--binary-format", "hex", &path],
        &["reset", "--chip", chip],
    ];
    for arguments in steps {
        let shown = format!("{PROBE_RS} {}", arguments.join(" "));
        // Its progress and its complaints are for the person; standard output stays ours.
        let status = Command::new(PROBE_RS).args(arguments).stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => bail!(
                "`{shown}` failed: {status}; check that the probe is plugged in and wired to the board \
                 (`{PROBE_RS} list` shows it), and that nothing else uses it{}",
                or_drive(board)
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{PROBE_RS} is not on PATH; install it with `cargo install probe-rs-tools --locked` and \
                 connect a debug probe{}",
                or_drive(board)
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot start `{shown}`")),
        }
    }
    Ok(())
}

fn or_drive(board: &Board) -> String {
    board.drive.as_ref().map_or_else(String::new, |drive| {
        format!(", or {} so that the drive {} shows, and run this again", drive.how, drive.board_id)
    })
}
