//! `powercut`: ends the emulator at random moments of model updates and starts it again on the flash
//! that is left: the board must answer, with the old model or the new one.

mod update;

use crate::boards::{self, Board};
use crate::qemu::Remote;
use crate::repo::Repo;
use crate::shell::say;
use crate::wire::{Wire, id};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use qdllm_link::message::{ModelId, Request, Response};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Instant;
use update::{Lengths, Moment, cut, whole};

const TOPIC: &str = "powercut";

/// What is classified after each cut.
const SENTENCE: &str = "turn on the porch light";

/// One cut in so many is followed by a second one while the board recovers.
const SECOND_CUT: u32 = 4;

/// Options of `cargo xtask powercut`.
#[derive(Args)]
pub struct Options {
    /// Cuts
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// The emulated board; its flash must be kept in a file
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    /// Two model files that replace each other [default: the two of the tests]
    #[arg(long, num_args = 2)]
    models: Vec<PathBuf>,
    /// Seed of the moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A model file and what it says to [`SENTENCE`].
struct Known {
    file: Vec<u8>,
    id: ModelId,
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

/// Runs the command.
///
/// # Errors
/// When an update without a cut fails, or a start after a cut does not answer.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let board = boards::named(&options.board)?;
    let image = board.build(repo)?;
    let models = match &options.models[..] {
        [a, b] => [a.clone(), b.clone()],
        _ => default_models(repo),
    };
    let tally = cuts(board, &image, &models, options.rounds, options.seed)?;
    let Tally { old, new, phases: [put, activate, confirm, over], again } = tally;
    println!(
        "{}: {} of {} starts after a power cut answered, {old} with the model before, {new} with the \
         new one; {put} cuts came in put, {activate} in activate, {confirm} in reset and trial, {over} \
         after the update; {again} were followed by a second cut in the next start",
        board.name,
        old + new,
        options.rounds
    );
    Ok(())
}

/// The two models of the tests, of different length: a frozen one and one with every back end.
pub fn default_models(repo: &Repo) -> [PathBuf; 2] {
    ["tests/vectors/words_v1.qdm", "tests/models/commands.qdm"].map(|file| repo.root.join(file))
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
    board.format(&flash, Some(&models[0]))?;

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
    say(
        TOPIC,
        format!(
            "{}: a start takes {} ms; {} bytes {}; {} bytes {}",
            board.name,
            start.as_millis(),
            known[0].file.len(),
            lengths[0],
            known[1].file.len(),
            lengths[1]
        ),
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
            let mut remote = Remote::boot(board, image, &flash)?;
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
            say(TOPIC, format!("{} of {rounds} cuts survived", round + 1));
        }
    }
    Ok(tally)
}

/// A model file with the answer that a fresh board gives with it.
fn known(board: &Board, image: &Path, path: &Path) -> Result<Known> {
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    board.format(&flash, Some(path))?;
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut remote = Remote::boot(board, image, &flash)?;
    let (label, probability) = classify(&mut Wire::new(remote.connect()?))?;
    Ok(Known { id: id(&file)?, file, label, probability })
}

/// Boots and classifies; says whether it is the second model that answers.
fn answers(board: &Board, image: &Path, flash: &Path, known: &[Known; 2]) -> Result<bool> {
    let mut remote = Remote::boot(board, image, flash)?;
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
