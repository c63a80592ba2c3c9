//! Firmware on emulated boards. These need images, which they build, an emulator, and the programs of
//! the workspace: `cargo nextest run --workspace --profile emulated`, or `cargo xtask test`.
//!
//! What cannot run here says so in a line that begins with `SKIPPED`, which the gate counts.
//! `QDLLM_CUTS`, `QDLLM_FRAMES` and `QDLLM_SEED` make more power cuts, more frames, and others.

mod boards;
mod device;
mod line;
mod power_cut;
mod run;
mod same;
mod storm;
mod update;
mod wire;

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use xtask::boards::Board;
use xtask::repo::Repo;
use xtask::{firmware, setup, shell};

/// The image of `board`, built when it is not, or `None` where it cannot be built or run.
fn image(board: &Board) -> Result<Option<PathBuf>> {
    let repo = Repo::find()?;
    let mut missing = None;
    if setup::installed(&repo, &[board.target])?.is_empty() {
        missing = Some(format!("the target {}", board.target));
    }
    for program in if board.is_qemu() { &[setup::QEMU][..] } else { &["node", "npm"] } {
        if shell::which(program).is_none() {
            missing = Some((*program).to_owned());
        }
    }
    if let Some(missing) = missing {
        println!("\nSKIPPED {}: {missing} is missing; run: cargo xtask setup", board.name);
        return Ok(None);
    }
    firmware::build(&repo, board.name, board.target).map(Some)
}

/// A program of the workspace, from the folder that this one was built in.
fn program(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(|deps| deps.parent()).context("no folder")?;
    let file = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    ensure!(file.is_file(), "{} is not built; run with --workspace", file.display());
    Ok(file)
}

/// The number in an environment variable.
fn number(name: &str) -> Result<Option<u32>> {
    std::env::var(name).ok().map(|text| text.parse().with_context(|| name.to_owned())).transpose()
}

/// Runs `$test(board)` for each emulated board, as tests of the board's name.
macro_rules! for_each_board {
    ($test:ident) => {
        for_each_board!($test: mps2_an386 0, mps2_an505 1, lm3s6965evb 2, pico 3);
    };
    ($test:ident: $($name:ident $index:literal),*) => {
        mod $test {
            $(#[test]
            fn $name() -> anyhow::Result<()> {
                let board = &xtask::boards::BOARDS[$index];
                assert_eq!(board.name.replace('-', "_"), stringify!($name));
                super::$test(board)
            })*
        }
        #[test]
        fn every_board_is_tested() {
            assert_eq!(xtask::boards::BOARDS.len(), [$($index),*].len());
        }
    };
}
use for_each_board;
