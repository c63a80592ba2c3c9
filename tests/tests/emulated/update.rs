//! One update of an emulated board, whole or cut in one of its phases.

use super::power_cut::Known;
use super::wire::Wire;
use anyhow::{Context, Result, anyhow, bail};
use qdllm_link::message::ModelId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use xtask::boards::Board;
use xtask::emulator::{PATIENCE, Pace, Remote};

/// How often a board in its reset is asked anew.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How far an update has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
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
pub struct Lengths([Duration; 3]);

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [put, activate, confirm] = self.0.map(|length| length.as_millis());
        write!(f, "put in {put} ms, activated in {activate}, in use after {confirm} more")
    }
}

/// When the power goes: so long after a phase began.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    phase: Phase,
    then: Duration,
}

impl Moment {
    /// Half of all moments lie anywhere in the transfer; the rest in what follows it, which is short
    /// and where every step counts.
    pub fn random(chance: &mut ChaCha8Rng, lengths: &Lengths) -> Self {
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
pub fn whole(board: &Board, image: &Path, flash: &Path, model: &Known) -> Result<Lengths> {
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
pub fn cut(
    board: &Board,
    image: &Path,
    flash: &Path,
    model: &Known,
    moment: Moment,
) -> Result<Phase> {
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
    use rand::SeedableRng;

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
