//! `powercut`: ends the emulator at random moments of model updates and starts it again on the flash
//! that is left: the board must answer, with the old model or the new one.

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
use std::time::{Duration, Instant};

const TOPIC: &str = "powercut";

/// What is classified after each cut.
const SENTENCE: &str = "turn on the porch light";

/// One cut in so many is followed by a second one while the board recovers.
const SECOND_CUT: u32 = 4;

/// The longest wait before a second cut: about a start of the board.
const RECOVERY: Duration = Duration::from_millis(400);

/// Options of `cargo xtask powercut`.
#[derive(Args)]
pub struct Options {
    /// Cuts
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// The emulated board; its flash must be kept in a file
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    /// Two model files that replace each other [default: a frozen one and the demo's]
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

/// Which model a board used after a cut.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Starts that used the model from before the update.
    pub old: u32,
    /// Starts that used the new one.
    pub new: u32,
    /// Cuts that came before the update was over.
    pub during: u32,
}

/// Runs the command.
///
/// # Errors
/// When a start after a cut does not answer.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let board = boards::named(&options.board)?;
    let image = board.build(repo)?;
    let models = match &options.models[..] {
        [a, b] => [a.clone(), b.clone()],
        _ => default_models(repo)?,
    };
    let tally = cuts(board, &image, &models, options.rounds, options.seed)?;
    let Tally { old, new, during } = tally;
    println!(
        "{}: {} of {} starts after a power cut answered, {old} with the model before, {new} with the \
         new one; {during} cuts came before the update was over",
        board.name,
        old + new,
        options.rounds
    );
    Ok(())
}

/// Two models of different length: a frozen one, and the demo's, which is distilled where it is missing.
///
/// # Errors
/// When the demo's cannot be distilled.
pub fn default_models(repo: &Repo) -> Result<[PathBuf; 2]> {
    let folder = repo.target_dir()?.join("device-tests/demo");
    let distilled = folder.join("model.qdm");
    if !distilled.is_file() {
        repo.host("cargo").args(["build", "--release", "--package", "qdllm-trainer"]).go()?;
        let qdllm = repo.target_dir()?.join("release/qdllm").display().to_string();
        repo.host(&qdllm).args(["demo", "--out"]).arg(&folder).go()?;
    }
    Ok([repo.root.join("tests/vectors/words_v1.qdm"), distilled])
}

/// Cuts the power `rounds` times at random moments.
///
/// # Errors
/// When a start after a cut does not answer as one of the two models does.
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

    // The whole of one update gives the time within which the cuts come.
    let started = Instant::now();
    update(board, image, &flash, &known[1], None)?;
    let longest = started.elapsed();
    say(TOPIC, format!("{}: one update takes {:.0} ms", board.name, longest.as_secs_f64() * 1e3));

    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut tally = Tally::default();
    let mut current = usize::from(answers(board, image, &flash, &known)?);
    for round in 0..rounds {
        let [old, new] = [current, 1 - current];
        let moment = longest.mul_f64(chance.random_range(0.0..1.0));
        let over = update(board, image, &flash, &known[new], Some(moment))?;
        tally.during += u32::from(!over);
        if chance.random_range(0..SECOND_CUT) == 0 {
            let mut remote = Remote::boot(board, image, &flash)?;
            std::thread::sleep(RECOVERY.mul_f64(chance.random_range(0.0..1.0)));
            remote.cut()?;
        }
        let found = answers(board, image, &flash, &known).with_context(|| {
            let kept = std::env::temp_dir().join("qdllm-powercut-flash");
            let copied = std::fs::copy(&flash, &kept).is_ok();
            let place = if copied { kept.display().to_string() } else { "nowhere".into() };
            format!("cut {round}, after {moment:?}; the flash is kept in {place}")
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

/// Boots and puts `model`; with `moment`, the power goes that long after the start. Says whether the
/// update was over by then.
fn update(
    board: &Board,
    image: &Path,
    flash: &Path,
    model: &Known,
    moment: Option<Duration>,
) -> Result<bool> {
    let mut remote = Remote::boot(board, image, flash)?;
    let started = Instant::now();
    let Some(moment) = moment else {
        whole(&mut remote, model)?;
        remote.cut()?;
        return Ok(true);
    };
    let stream = remote.connect()?;
    let file = model.file.clone();
    let id = model.id;
    let sender = std::thread::spawn(move || transfer(&mut Wire::new(stream), &file, id).is_ok());
    std::thread::sleep(moment.saturating_sub(started.elapsed()));
    remote.cut()?;
    sender.join().map_err(|_| anyhow::anyhow!("the sender stopped"))
}

fn whole(remote: &mut Remote, model: &Known) -> Result<()> {
    transfer(&mut Wire::new(remote.connect()?), &model.file, model.id)
}

/// Puts the model and waits until the board uses it.
fn transfer(wire: &mut Wire<TcpStream>, file: &[u8], id: ModelId) -> Result<()> {
    wire.put(file)?;
    // The board resets now; a request that meets the reset gets no answer.
    wire.stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    for _ in 0..100 {
        match wire.model() {
            Ok(Some(model)) if model == id => return Ok(()),
            Ok(Some(_)) => bail!("the board went back to the model before"),
            Ok(None) => bail!("the board has no model"),
            Err(_) => {}
        }
    }
    bail!("the board does not come back after the reset")
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
