//! Ends the emulator at random moments of model updates and starts it again on the flash
//! that is left: the board must answer, with the old model or the new one.

use super::wire::{Wire, id};
use super::{for_each_board, image, number};
use anyhow::{Context, Result, anyhow, bail, ensure};
use qdllm_link::message::{ModelId, Request, Response};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use xtask::boards::Board;
use xtask::emulator::{PATIENCE, Pace, Remote, format};
use xtask::repo::Repo;

/// What is classified after each cut.
const SENTENCE: &str = "turn on the porch light";

/// One cut in so many is followed by a second one while the board recovers.
const SECOND_CUT: u32 = 4;

/// A model file and what it says to [`SENTENCE`].
struct Known {
    file: Vec<u8>,
    id: ModelId,
    label: String,
    probability: f32,
}

/// What was met in so many cuts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Starts that used the model from before the update.
    old: u32,
    /// Starts that used the new one.
    new: u32,
    /// Cuts in each phase of the update, in the order of `Phase`.
    phases: [u32; 4],
    /// Cuts that were followed by a second one in the start that came next.
    again: u32,
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
fn cuts(
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

/// How often a board in its reset is asked anew.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How far an update has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Begin, the chunks, finish.
    Put,
    /// The model is checked again and marked.
    Activate,
    /// The reset, the trial of the new model and its confirmation.
    Confirm,
    /// The board has answered that it uses the new model.
    Over,
}

/// How long each phase of an update takes that nothing disturbs.
#[derive(Clone, Copy, Debug)]
struct Lengths([Duration; 3]);

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [put, activate, confirm] = self.0.map(|length| length.as_millis());
        write!(f, "put in {put} ms, activated in {activate}, in use after {confirm} more")
    }
}

/// When the power goes: so long after a phase began.
#[derive(Clone, Copy, Debug)]
struct Moment {
    phase: Phase,
    then: Duration,
}

impl Moment {
    /// Half of all moments lie anywhere in the transfer; the rest in what follows it, which is short
    /// and where every step counts.
    fn random(chance: &mut ChaCha8Rng, lengths: &Lengths) -> Self {
        let [put, activate, confirm] = lengths.0;
        let (phase, length) = match chance.random_range(0..6) {
            0..3 => (Phase::Put, put),
            3 => (Phase::Activate, activate),
            // A little longer, so that some come when all is over.
            _ => (Phase::Confirm, confirm.mul_f64(1.1)),
        };
        Self { phase, then: length.mul_f64(chance.random_range(0.0..1.0)) }
    }
}

/// An update that runs beside whoever watches it.
struct Update {
    entered: Receiver<(Phase, Instant)>,
    sender: JoinHandle<Result<()>>,
}

impl Update {
    fn start(stream: TcpStream, model: &Known) -> Self {
        let (told, entered) = channel();
        let (file, id) = (model.file.clone(), model.id);
        let sender = std::thread::spawn(move || transfer(&mut Wire::new(stream), &file, id, &told));
        Self { entered, sender }
    }

    fn end(self) -> Result<()> {
        self.sender.join().map_err(|_| anyhow!("the sender stopped"))?
    }
}

/// Puts the model, activates it and waits until the board uses it.
fn transfer(
    wire: &mut Wire<TcpStream>,
    file: &[u8],
    id: ModelId,
    told: &Sender<(Phase, Instant)>,
) -> Result<()> {
    // Nobody listens any more once the power is gone.
    let enter = |phase| {
        let _ = told.send((phase, Instant::now()));
    };
    enter(Phase::Put);
    wire.put(file)?;
    enter(Phase::Activate);
    wire.activate(id)?;
    enter(Phase::Confirm);
    // A request that meets the reset gets no answer.
    wire.stream.set_read_timeout(Some(ASK_AGAIN))?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match wire.model() {
            Ok(Some(model)) if model == id => {
                enter(Phase::Over);
                return Ok(());
            }
            Ok(Some(model)) => {
                let slots = [wire.slot(0)?, wire.slot(1)?];
                bail!("the board went back to {model:?}; {slots:?}");
            }
            Ok(None) => bail!("the board has no model"),
            Err(error) if is_silence(&error) => {}
            Err(error) => return Err(error.context("while the board resets")),
        }
    }
    bail!("the board does not come back after the reset")
}

/// Whether a request merely got no answer in time.
fn is_silence(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// Boots and replaces the model without any cut; says how long it took.
///
/// # Errors
/// When a step fails.
fn whole(board: &Board, image: &Path, flash: &Path, model: &Known) -> Result<Lengths> {
    let mut remote = Remote::boot(board, image, flash, Pace::Free)?;
    let update = Update::start(remote.connect()?, model);
    let entered: Vec<Instant> = update.entered.iter().map(|(_, at)| at).collect();
    update.end()?;
    let [put, activate, confirm, over] = entered[..] else { bail!("{} phases", entered.len()) };
    Ok(Lengths([activate - put, confirm - activate, over - confirm]))
}

/// Boots and replaces the model until the power goes; says in which phase that was.
///
/// # Errors
/// When the update fails before.
fn cut(board: &Board, image: &Path, flash: &Path, model: &Known, moment: Moment) -> Result<Phase> {
    let mut remote = Remote::boot(board, image, flash, Pace::Free)?;
    let update = Update::start(remote.connect()?, model);
    let mut phase = Phase::Put;
    let reached = loop {
        match update.entered.recv_timeout(PATIENCE) {
            Ok((entered, _)) => phase = entered,
            Err(_) => break false,
        }
        if phase == moment.phase {
            break true;
        }
    };
    if !reached {
        remote.cut()?;
        update.end().with_context(|| format!("the update ended in {phase:?} by itself"))?;
        bail!("the update stood still in {phase:?}");
    }
    std::thread::sleep(moment.then);
    while let Ok((entered, _)) = update.entered.try_recv() {
        phase = entered;
    }
    let failed = phase != Phase::Over && update.sender.is_finished();
    remote.cut()?;
    let ended = update.end();
    if failed {
        ended.with_context(|| format!("the update failed in {phase:?}, before the cut"))?;
    }
    Ok(phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lie_in_every_phase_and_all_over_it() {
        let lengths = Lengths([2000, 10, 500].map(Duration::from_millis));
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        let moments: Vec<Moment> =
            (0..600).map(|_| Moment::random(&mut chance, &lengths)).collect();
        for (phase, length, least) in
            [(Phase::Put, 2000, 250), (Phase::Activate, 10, 70), (Phase::Confirm, 550, 150)]
        {
            let mut tenths = [0; 10];
            for moment in moments.iter().filter(|moment| moment.phase == phase) {
                tenths[(moment.then.as_micros() * 10 / (length * 1000)) as usize] += 1;
            }
            assert!(tenths.iter().sum::<u32>() >= least, "{phase:?}: {tenths:?}");
            assert!(tenths.iter().all(|&count| count > 0), "{phase:?}: {tenths:?}");
        }
    }
}
