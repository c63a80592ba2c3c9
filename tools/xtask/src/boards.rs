//! `boards`: lints and builds every board's firmware, runs those that an emulator runs, and prints the table of
//! firmware/README.md.

use crate::emulator::{Device, Info, field};
use crate::repo::{Repo, flash_bytes};
use crate::setup;
use crate::shell::{Run, say};
use anyhow::{Result, ensure};
use clap::Args;
use qdllm_host::boards::{BOARDS, Board};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TOPIC: &str = "boards";

/// Cycles that an instruction is taken to last at most, on average: with flash wait states and divisions.
const MOST_CYCLES: f64 = 4.0;

#[derive(Args)]
pub struct Options {
    /// The model whose classification is measured [default: the tests' with every back end]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Leaves out the boards that no emulator runs, whose HAL crates take minutes to build
    #[arg(long)]
    emulated: bool,
}

/// Runs the command. A board that fails does not stop the others.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let [_, commands] = repo.models();
    let model = options.model.as_ref().unwrap_or(&commands);
    println!(
        "| board | status | back end | program in flash | RAM: statics, deepest stack | one classification |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut failed = Vec::new();
    let mut counted = BTreeMap::new();
    for board in in_order().into_iter().filter(|b| b.emulator.is_some() || !options.emulated) {
        say(TOPIC, &board.name);
        match row(repo, board, model, &mut counted) {
            Ok(row) => println!("{row}"),
            Err(error) => {
                say(TOPIC, format!("FAILED: {}: {error:#}", board.name));
                failed.push(board.name.as_str());
            }
        }
    }
    ensure!(failed.is_empty(), "without a row: {}", failed.join(", "));
    Ok(())
}

/// Emulated boards as the tests take them, then the others by name.
fn in_order() -> Vec<&'static Board> {
    let mut boards: Vec<&Board> = BOARDS.iter().collect();
    boards.sort_by_key(|board| match board.emulator {
        Some(_) => "",
        None => board.name.as_str(),
    });
    boards
}

/// Lints a board's crate for its own target.
pub fn lint(repo: &Repo, board: &Board) -> Result<()> {
    let mut clippy = repo.bare("cargo");
    clippy.args(["clippy", "--quiet", "--release", "--target", &board.target, "--package"]);
    clippy.arg(format!("qdllm-{}", board.name)).args(["--", "-D", "warnings"]).go()
}

/// A board's row. Of a board that is not run the time is bounded by the instructions that the last emulated one with
/// its back end `counted`.
fn row(
    repo: &Repo,
    board: &Board,
    model: &Path,
    counted: &mut BTreeMap<&'static str, f64>,
) -> Result<String> {
    setup::ensure(repo, &[&board.target])?;
    lint(repo, board)?;
    let image = repo.build(&board.name, &board.target)?;
    let flash = flash_bytes(&image)?;
    let head = format!("| `{}` ({})", board.name, board.core);
    if board.emulator.is_none() {
        let engine = board.engine.name();
        let bound = counted.get(engine).map_or(String::new(), |&count| bound(board, count));
        return Ok(format!(
            "{head} | builds only | {engine} | {flash} bytes | not run | not run{bound} |"
        ));
    }
    let mut device = Device::boot(board, &image, Some(model))?;
    device.greeting(board)?;
    let bench = device.ask(":bench")?;
    let said = device.ask(":info")?;
    let info = Info::parse("info", &said)?;
    device.finish(board)?;
    let instructions = field(&bench, "instructions").ok().and_then(|count| count.parse().ok());
    let ms = match instructions {
        Some(count) => {
            counted.insert(board.engine.name(), count);
            bound(board, count)
        }
        None => String::new(),
    };
    Ok(format!(
        "{head} | run under an emulator: {} | {} | {flash} bytes | {}, {} bytes | {}{ms} |",
        if board.is_qemu() { "QEMU" } else { "rp2040js" },
        field(&said, "engine")?,
        info.static_ram_bytes,
        info.stack_bytes,
        cost(&bench)
    ))
}

/// The longest that so many instructions take at a board's clock.
fn bound(board: &Board, instructions: f64) -> String {
    let ms = instructions * MOST_CYCLES / f64::from(board.mhz) / 1000.0;
    format!(", at most {ms:.0} ms at {} MHz", board.mhz)
}

/// What the board counted of a classification.
fn cost(bench: &str) -> String {
    let counts = bench.split('\t').filter_map(|field| field.split_once('='));
    let counts = counts.filter(|(name, _)| *name != "runs");
    counts.map(|(name, value)| format!("{value} {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_of_a_board_has_a_row() {
        let repo = Repo::find().expect("a checkout");
        let folder = repo.firmware.join("boards");
        let entries = std::fs::read_dir(folder).expect("the boards").flatten();
        let mut folders: Vec<String> = entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        folders.sort();
        let readme = std::fs::read_to_string(repo.firmware.join("README.md")).expect("the table");
        let mut rest = readme.as_str();
        for board in in_order() {
            let found = rest.split_once(&format!("| `{}` (", board.name));
            (_, rest) = found.unwrap_or_else(|| panic!("{} has no row in its place", board.name));
        }
        let mut rows: Vec<&str> = BOARDS.iter().map(|board| board.name.as_str()).collect();
        rows.sort_unstable();
        assert_eq!(folders, rows);
    }
}
