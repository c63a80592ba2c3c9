//! Ends the emulator at random moments of model updates and starts it again on the flash
//! that is left: the board must answer, with the old model or the new one.

use super::update::{Lengths, Moment, cut, whole};
use super::wire::{Wire, id};
use super::{for_each_board, image, number};
use anyhow::{Context, Result, bail, ensure};
use qdllm_link::message::{ModelId, Request, Response};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Instant;
use xtask::boards::Board;
use xtask::emulator::{Pace, Remote, format};
use xtask::repo::Repo;

/// What is classified after each cut.
const SENTENCE: &str = "turn on the porch light";

/// One cut in so many is followed by a second one while the board recovers.
const SECOND_CUT: u32 = 4;

/// A model file and what it says to [`SENTENCE`].
pub struct Known {
    pub file: Vec<u8>,
    pub id: ModelId,
    label: String,
    probability: f32,
}

/// What was met in so many cuts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Starts that used the model from before the update.
    pub old: u32,
    /// Starts that used the new one.
    pub new: u32,
    /// Cuts in each phase of the update, in the order of `Phase`.
    pub phases: [u32; 4],
    /// Cuts that were followed by a second one in the start that came next.
    pub again: u32,
}

/// Cuts a board without a wish for more; the Pico's emulator is slow: an update takes it most of a minute.
const CUTS: u32 = 6;
const CUTS_SLOW: u32 = 2;

for_each_board!(survives_power_cuts);

fn survives_power_cuts(board: &Board) -> Result<()> {
    let Some(image) = image(board)? else { return Ok(()) };
    let rounds = number("QDLLM_CUTS")?.unwrap_or(if board.is_qemu() { CUTS } else { CUTS_SLOW });
    let seed = number("QDLLM_SEED")?.unwrap_or(1);
    let models = Repo::find()?.models();
    let tally = cuts(board, &image, &models, rounds, seed.into())?;
    let Tally { old, new, phases: [put, activate, confirm, over], again } = tally;
    println!(
        "{}: {} of {rounds} starts after a power cut answered, {old} with the model before, {new} with \
         the new one; {put} cuts came in put, {activate} in activate, {confirm} in reset and trial, \
         {over} after the update; {again} were followed by a second cut in the next start",
        board.name,
        old + new
    );
    assert_eq!(old + new, rounds);
    Ok(())
}

/// Cuts the power `rounds` times at random moments.
///
/// # Errors
/// When an update without a cut fails, or when a start after a cut does not answer as one of the two
/// models does.
pub fn cuts(
    board: &Board,
    image: &Path,
    models: &[PathBuf; 2],
    rounds: u32,
    seed: u64,
) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    let known = [known(board, image, &models[0])?, known(board, image, &models[1])?];
    format(board, &flash, Some(&models[0]))?;

    let started = Instant::now();
    ensure!(!answers(board, image, &flash, &known)?, "the board has the second model already");
    let start = started.elapsed();
    // One update each way without a cut: there must be something to cut, and its length says when.
    let update = |new: usize| -> Result<Lengths> {
        let lengths = whole(board, image, &flash, &known[new])
            .with_context(|| format!("without a cut, {} fails", models[new].display()))?;
        ensure!(answers(board, image, &flash, &known)? == (new == 1), "the update did not last");
        Ok(lengths)
    };
    let forth = update(1)?;
    let lengths = [update(0)?, forth];
    println!(
        "{}: a start takes {} ms; {} bytes {}; {} bytes {}",
        board.name,
        start.as_millis(),
        known[0].file.len(),
        lengths[0],
        known[1].file.len(),
        lengths[1]
    );

    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut tally = Tally::default();
    let mut current = 0;
    for round in 0..rounds {
        let [old, new] = [current, 1 - current];
        let moment = Moment::random(&mut chance, &lengths[new]);
        let phase = cut(board, image, &flash, &known[new], moment)
            .with_context(|| format!("cut {round}, {moment:?}"))?;
        tally.phases[phase as usize] += 1;
        if chance.random_range(0..SECOND_CUT) == 0 {
            let mut remote = Remote::boot(board, image, &flash, Pace::Free)?;
            std::thread::sleep(start.mul_f64(chance.random_range(0.0..1.2)));
            remote.cut()?;
            tally.again += 1;
        }
        let found = answers(board, image, &flash, &known).with_context(|| {
            let kept = std::env::temp_dir().join("qdllm-powercut-flash");
            let copied = std::fs::copy(&flash, &kept).is_ok();
            let place = if copied { kept.display().to_string() } else { "nowhere".into() };
            format!("cut {round} in {phase:?}, {moment:?}; the flash is kept in {place}")
        })?;
        current = usize::from(found);
        if current == old {
            tally.old += 1;
        } else {
            tally.new += 1;
        }
        if (round + 1) % 20 == 0 {
            println!("{} of {rounds} cuts survived", round + 1);
        }
    }
    Ok(tally)
}

/// A model file with the answer that a fresh board gives with it.
fn known(board: &Board, image: &Path, path: &Path) -> Result<Known> {
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    format(board, &flash, Some(path))?;
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut remote = Remote::boot(board, image, &flash, Pace::Free)?;
    let (label, probability) = classify(&mut Wire::new(remote.connect()?))?;
    Ok(Known { id: id(&file)?, file, label, probability })
}

/// Boots and classifies; says whether it is the second model that answers.
fn answers(board: &Board, image: &Path, flash: &Path, known: &[Known; 2]) -> Result<bool> {
    let mut remote = Remote::boot(board, image, flash, Pace::Free)?;
    let mut wire = Wire::new(remote.connect()?);
    let model = wire.model()?.context("the board has no model")?;
    let which = known.iter().position(|known| known.id == model);
    let which = which.with_context(|| format!("the board uses {model:?}, which is neither"))?;
    let (label, probability) = classify(&mut wire)?;
    let expected = &known[which];
    ensure!(
        (&label, probability.to_bits()) == (&expected.label, expected.probability.to_bits()),
        "{label} {probability} instead of {} {}",
        expected.label,
        expected.probability
    );
    Ok(which == 1)
}

fn classify(wire: &mut Wire<TcpStream>) -> Result<(String, f32)> {
    match wire.ask(&Request::Classify(SENTENCE))? {
        Response::Class(class) => Ok((class.label.to_owned(), class.probability)),
        other => bail!("the board answered {other:?}"),
    }
}
