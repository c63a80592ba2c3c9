//! `boards`: builds every board's firmware, runs those that an emulator runs, and prints the table of
//! firmware/README.md.

use crate::boards::{BOARDS, Board};
use crate::demo::cost;
use crate::elf::flash_bytes;
use crate::emulator::Device;
use crate::firmware::{self, Info};
use crate::repo::Repo;
use crate::setup;
use crate::shell::say;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

const TOPIC: &str = "boards";

/// Boards whose firmware nothing here can run: name, core, target and back end.
const BUILT_ONLY: [(&str, &str, &str, &str); 5] = [
    ("esp32-c3", "RISC-V RV32IMC", "riscv32imc-unknown-none-elf", "statevector i16"),
    ("microbit-v2", "Cortex-M4F", "thumbv7em-none-eabihf", "statevector f32"),
    ("nrf52840-dk", "Cortex-M4F", "thumbv7em-none-eabihf", "statevector f32"),
    ("nucleo-f446", "Cortex-M4F", "thumbv7em-none-eabihf", "statevector f32"),
    ("pico2", "Cortex-M33", "thumbv8m.main-none-eabihf", "statevector f32"),
];

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
    let model = match &options.model {
        Some(model) => model.clone(),
        None => {
            let [_, commands] = repo.models();
            commands
        }
    };
    println!(
        "| board | status | back end | program in flash | RAM: statics, deepest stack | one classification |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut failed = Vec::new();
    let mut row = |name: &'static str, row: Result<String>| match row {
        Ok(row) => println!("{row}"),
        Err(error) => {
            say(TOPIC, format!("FAILED: {name}: {error:#}"));
            failed.push(name);
        }
    };
    for board in &BOARDS {
        say(TOPIC, board.name);
        row(board.name, run_on(repo, board, &model));
    }
    for (name, core, target, engine) in BUILT_ONLY.into_iter().filter(|_| !options.emulated) {
        say(TOPIC, name);
        row(name, built(repo, name, core, target, engine));
    }
    ensure!(failed.is_empty(), "without a row: {}", failed.join(", "));
    Ok(())
}

/// The row of a board that an emulator runs.
fn run_on(repo: &Repo, board: &Board, model: &Path) -> Result<String> {
    setup::ensure(repo, &[board.target])?;
    let image = firmware::build(repo, board.name, board.target)?;
    let mut device = Device::boot(board, &image, Some(model))?;
    device.greeting(board)?;
    let bench = device.ask(":bench")?;
    let said = device.ask(":info")?;
    let info = Info::parse("info", &said)?;
    device.finish(board)?;
    let engine = said.split('\t').find_map(|field| field.strip_prefix("engine="));
    Ok(format!(
        "| `{}` ({}) | run under an emulator: {} | {} | {} bytes | {}, {} bytes | {} |",
        board.name,
        board.core,
        if board.is_qemu() { "QEMU" } else { "rp2040js" },
        engine.context("no back end in `:info`")?,
        flash_bytes(&image)?,
        info.static_ram_bytes,
        info.stack_bytes,
        cost(&bench)
    ))
}

/// The row of a board that is only built.
fn built(repo: &Repo, name: &str, core: &str, target: &str, engine: &str) -> Result<String> {
    setup::ensure(repo, &[target])?;
    let image = firmware::build(repo, name, target)?;
    let bytes = flash_bytes(&image)?;
    Ok(format!(
        "| `{name}` ({core}) | builds only | {engine} | {bytes} bytes | not run | not run |"
    ))
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
        let emulated = BOARDS.iter().map(|board| board.name);
        let mut rows: Vec<&str> = emulated.chain(BUILT_ONLY.iter().map(|row| row.0)).collect();
        rows.sort_unstable();
        assert_eq!(folders, rows);
        let readme = std::fs::read_to_string(repo.firmware.join("README.md")).expect("the table");
        for name in rows {
            assert!(readme.contains(&format!("| `{name}` (")), "{name} is not in README.md");
        }
    }
}
