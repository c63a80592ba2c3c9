//! Every emulated board: it answers as the host does, and a power cut in an update leaves it a model.

use super::count::Counts;
use super::{Outcome, TOPIC};
use crate::boards::{BOARDS, Board};
use crate::demo::SENTENCES;
use crate::hw::{self, Both, Link};
use crate::parity::on_device;
use crate::powercut::{cuts, default_models};
use crate::qemu::Device;
use crate::repo::Repo;
use crate::shell::{say, which};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// Power cuts a board; `cargo xtask powercut` makes more.
const CUTS: u32 = 6;
/// The Pico's emulator is slow: an update takes it most of a minute.
const CUTS_SLOW: u32 = 2;

/// Builds and tests each board.
///
/// # Errors
/// When `qdllm-hw` does not build.
pub fn tests(repo: &Repo) -> Result<Outcome> {
    let models = default_models(repo);
    let qdllm = repo.target_dir()?.join("release/qdllm");
    let hw = hw::build(repo)?;
    let mut counts = Counts::default();
    let mut count = |name: &str, done: Result<()>| match done {
        Ok(()) => {
            say(TOPIC, format!("ok: {name}"));
            counts.passed += 1;
        }
        Err(error) => {
            say(TOPIC, format!("FAILED: {name}: {error:#}"));
            counts.failed += 1;
        }
    };
    let mut skipped = 0;
    for board in &BOARDS {
        if !board.is_qemu() && which("npm").is_none() {
            say(TOPIC, format!("SKIPPED {}: npm is not on PATH", board.name));
            skipped += 1;
            continue;
        }
        let image = board.build(repo);
        let image = match image {
            Ok(image) => image,
            Err(error) => {
                count(board.name, Err(error));
                continue;
            }
        };
        let same = equal(board, &image, [&hw, &qdllm], &models);
        count(&format!("{} equals the host", board.name), same);
        count(&format!("{} has a console", board.name), console(board, &image, &models[1]));
        count(&format!("{} survives power cuts", board.name), survives(board, &image, &models));
    }
    counts.skipped += skipped;
    Ok(Outcome::Done(counts))
}

/// `qdllm-hw board` at the board's port puts the model on it, in two steps and in one, and the demo's
/// sentences are answered as here.
fn equal(board: &Board, image: &Path, programs: [&Path; 2], models: &[PathBuf; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    board.format(&flash, None)?;
    let [hw, qdllm] = programs;
    let link = Link::boot(hw, board, image, &flash)?;
    link.replace(&models[0], false)?;
    link.replace(&models[1], true)?;
    let texts = SENTENCES.map(str::to_owned);
    let both = Both::ask(&link, board.engine, qdllm, &models[1], &texts)?;
    ensure!(both.differences.is_empty(), "{}", both.differences.join("; "));
    let bench = link.bench()?;
    let counted = ["instructions", "cycles"].iter().any(|unit| bench[unit].as_u64() > Some(0));
    ensure!(counted, "the board counts nothing: {bench}");
    Ok(())
}

/// The console on the same port, as a person types there.
fn console(board: &Board, image: &Path, model: &Path) -> Result<()> {
    let mut device = Device::boot_on(board, image, Some(model))?;
    device.greeting(board)?;
    let text = SENTENCES[0].to_owned();
    let answers = on_device(&mut device, std::slice::from_ref(&text))?;
    ensure!(answers.len() == 1, "{} answers", answers.len());
    device.finish(board)
}

fn survives(board: &Board, image: &Path, models: &[PathBuf; 2]) -> Result<()> {
    let rounds = if board.is_qemu() { CUTS } else { CUTS_SLOW };
    cuts(board, image, models, rounds, 1).map(drop)
}
