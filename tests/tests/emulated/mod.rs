//! Firmware on emulated boards. These need images, which they build, an emulator, and the programs of
//! the workspace: `cargo nextest run --workspace --profile emulated`, or `cargo xtask test`.
//!
//! What cannot run here says so in a line that begins with `SKIPPED`, which the gate counts.
//! `QDLLM_CUTS`, `QDLLM_FRAMES` and `QDLLM_SEED` make more power cuts, more frames, and others.

mod device;
mod parity;
mod power_cut;
mod storm;
mod wire;

use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use xtask::answer::Answer;
use xtask::boards::Board;
use xtask::emulator::Device;
use xtask::repo::Repo;
use xtask::{setup, shell};

/// The image of `board`, built when it is not, or `None` where it cannot be built or run.
fn image(board: &Board) -> Result<Option<PathBuf>> {
    let repo = Repo::find()?;
    let mut missing = None;
    if setup::installed(&repo, &[&board.target])?.is_empty() {
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
    repo.build(&board.name, &board.target).map(Some)
}

/// A program of the workspace, from the folder that this one was built in.
pub fn program(name: &str) -> Result<PathBuf> {
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

/// Reads the board's answer line, as its console gives it.
///
/// # Errors
/// When the line is a refusal or has another form.
fn answer(line: &str) -> Result<Answer> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [label, probability, instructions, class, all, found, rest @ ..] = &fields[..] else {
        bail!("the board answered {line:?}");
    };
    let parse = || -> Result<Answer> {
        let probabilities = all.split(',').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Answer {
            label: (*label).to_owned(),
            class: class.parse()?,
            probability: probability.parse()?,
            probabilities,
            found: found.strip_prefix("found=").context("n-grams found")?.parse()?,
            rejected: *rest == ["rejected"],
            instructions: instructions.parse()?,
        })
    };
    parse().with_context(|| format!("the board answered {line:?}"))
}

/// Classifies `texts` on a running board.
///
/// # Errors
/// When the board refuses one or is gone.
fn answers(device: &mut Device, texts: &[String]) -> Result<Vec<Answer>> {
    texts.iter().map(|text| answer(&device.ask(text)?)).collect()
}

#[test]
fn the_boards_line_is_read_and_refusals_are_not_answers() {
    let line = "timer\t0.512300\t1600120\t1\t0.400000,0.512300,0.087700\tfound=2\trejected";
    let read = answer(line).expect("a line of the protocol");
    assert_eq!((read.label.as_str(), read.class, read.instructions), ("timer", 1, 1_600_120));
    assert_eq!(read.probabilities, [0.4, 0.5123, 0.0877]);
    assert_eq!((read.found, read.rejected), (2, true));
    for line in ["!100\tline longer than 1024 bytes", "", "timer\t0.5\tmany\t1\t0.5,0.5"] {
        assert!(answer(line).is_err(), "{line:?}");
    }
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
            assert_eq!(xtask::boards::emulated().count(), [$($index),*].len());
        }
    };
}
use for_each_board;
