//! Every emulated board: it answers as the host does, and a power cut in an update leaves it a model.

use super::count::Counts;
use super::{Outcome, TOPIC};
use crate::boards::{BOARDS, Board, Engine};
use crate::demo::SENTENCES;
use crate::parity::{SHOWN, TOLERANCE, TOLERANCE_I16, on_device, on_host, on_host_i16};
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
/// When the models of the tests are missing.
pub fn tests(repo: &Repo) -> Result<Outcome> {
    let models = default_models(repo);
    let qdllm = repo.target_dir()?.join("release/qdllm");
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
        count(&format!("{} equals the host", board.name), equal(board, &image, &qdllm, &models[1]));
        count(&format!("{} survives power cuts", board.name), survives(board, &image, &models));
    }
    counts.skipped += skipped;
    Ok(Outcome::Done(counts))
}

/// The demo's sentences, against the exact circuit and against the board's own arithmetic.
fn equal(board: &Board, image: &Path, qdllm: &Path, model: &Path) -> Result<()> {
    let texts = SENTENCES.map(str::to_owned);
    let mut device = Device::boot_on(board, image, Some(model))?;
    device.greeting(board)?;
    let answers = on_device(&mut device, &texts)?;
    device.finish(board)?;
    let exact = on_host(qdllm, model, &texts)?;
    let (twin, tolerance, digits) = match board.engine {
        Engine::F32 => (on_host(qdllm, model, &texts)?, TOLERANCE, TOLERANCE),
        Engine::I16 => (on_host_i16(model, &texts)?, TOLERANCE_I16, SHOWN),
    };
    for (((text, answer), exact), twin) in texts.iter().zip(&answers).zip(&exact).zip(&twin) {
        let gap = answer.largest_gap(exact);
        ensure!(answer.class == exact.class, "{text:?}: {} against {}", answer.label, exact.label);
        ensure!(gap <= tolerance, "{text:?}: a probability differs by {gap:e}");
        let difference = answer.difference_within(twin, digits);
        ensure!(difference.is_none(), "{text:?}: {}", difference.unwrap_or_default());
    }
    Ok(())
}

fn survives(board: &Board, image: &Path, models: &[PathBuf; 2]) -> Result<()> {
    let rounds = if board.is_qemu() { CUTS } else { CUTS_SLOW };
    cuts(board, image, models, rounds, 1).map(drop)
}
