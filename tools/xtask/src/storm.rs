//! `storm`: random bytes and damaged frames at an emulated board's port, among them good requests that
//! must be answered as if nothing had happened.

use crate::boards;
use crate::powercut::default_models;
use crate::qemu::Remote;
use crate::repo::Repo;
use crate::shell::say;
use crate::wire::{Wire, encoded, id};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use qdllm_link::frame::CHUNK_BYTES;
use qdllm_link::message::{ModelId, Request, Response};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const TOPIC: &str = "storm";

/// What a good request asks between the bad ones.
const SENTENCE: &str = "turn on the porch light";

/// Frames between two good requests, at most.
const BETWEEN: u32 = 1000;

/// Options of `cargo xtask storm`.
#[derive(Args)]
pub struct Options {
    /// Random frames
    #[arg(long, default_value_t = 1_000_000)]
    frames: u32,
    /// The emulated board
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    /// The model file that the board has [default: the frozen one of the tests]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Seed of the frames
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// When a good request is not answered, or answered otherwise than before.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let board = boards::named(&options.board)?;
    let image = board.build(repo)?;
    let model = match &options.model {
        Some(model) => model.clone(),
        None => {
            let [small, _] = default_models(repo);
            small
        }
    };
    let file = std::fs::read(&model).with_context(|| format!("cannot read {}", model.display()))?;
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    board.format(&flash, Some(&model))?;
    let mut remote = Remote::boot(board, &image, &flash)?;
    let stream = remote.connect()?;
    let mut wire = Wire::new(stream);
    let active = id(&file)?;
    let expected = probe(&mut wire, active)?;

    let started = Instant::now();
    let mut chance = ChaCha8Rng::seed_from_u64(options.seed);
    let (mut sent, mut bytes, mut asked, mut slowest) = (0, 0_u64, 0, Duration::ZERO);
    let mut told = started;
    while sent < options.frames {
        let burst = chance.random_range(1..=BETWEEN).min(options.frames - sent);
        // One write for all of them: nothing waits for an answer.
        let mut frames = Vec::new();
        for _ in 0..burst {
            frames.extend(random_frame(&mut chance, &file, active)?);
        }
        wire.stream.write_all(&frames)?;
        (sent, bytes) = (sent + burst, bytes + frames.len() as u64);
        let since = Instant::now();
        let found = probe(&mut wire, active).with_context(|| format!("after {sent} frames"))?;
        slowest = slowest.max(since.elapsed());
        ensure!(found == expected, "{found:?} after {sent} frames, {expected:?} before");
        asked += 1;
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            say(TOPIC, format!("{sent} frames, {bytes} bytes"));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{}: {sent} random frames ({bytes} bytes) in {seconds:.0} s, {:.0} frames and {:.0} bytes a \
         second; each of {asked} good requests among them was the next to be answered, the slowest \
         after {:.0} ms",
        board.name,
        f64::from(sent) / seconds,
        bytes as f64 / seconds,
        slowest.as_secs_f64() * 1e3
    );
    Ok(())
}

/// The active model, its slot and its answer; one good frame each.
fn probe(wire: &mut Wire<std::net::TcpStream>, active: ModelId) -> Result<(String, u32)> {
    let found = wire.model()?;
    ensure!(found == Some(active), "the board uses {found:?} instead of {active:?}");
    let slot = wire.slot(0)?;
    ensure!((slot.id, slot.sequence, slot.fault) == (active, 0, 0), "slot 0 became {slot:?}");
    match wire.ask(&Request::Classify(SENTENCE))? {
        Response::Class(class) => Ok((class.label.to_owned(), class.probability.to_bits())),
        other => bail!("the board answered {other:?}"),
    }
}

/// Bytes of one of many kinds: noise, frames of noise, good frames that were damaged, cut or doubled,
/// and whole requests out of their order.
fn random_frame(chance: &mut ChaCha8Rng, file: &[u8], active: ModelId) -> Result<Vec<u8>> {
    let short = chance.random_range(0..64);
    let mut frame = match chance.random_range(0..8) {
        0 => noise(chance, short),
        1 => [&[0][..], &noise(chance, short), &[0]].concat(),
        2 => {
            // Most are short; one as long as a frame may be, and longer, now and then.
            let length = if chance.random_range(0..50) == 0 { 1400 } else { 100 };
            let length = chance.random_range(0..length);
            noise(chance, length)
        }
        _ => request(chance, file, active)?,
    };
    match chance.random_range(0..6) {
        0 if !frame.is_empty() => {
            let at = chance.random_range(0..frame.len());
            frame[at] ^= 1 << chance.random_range(0..8);
        }
        1 => frame.truncate(chance.random_range(0..=frame.len())),
        2 => frame.extend_from_within(..),
        _ => {}
    }
    Ok(frame)
}

/// A request with a random number and random content, none that would lawfully change the model in use.
fn request(chance: &mut ChaCha8Rng, file: &[u8], active: ModelId) -> Result<Vec<u8>> {
    let other = ModelId { length: chance.random_range(0..40_000), checksum: chance.next_u32() };
    let length = 32 * chance.random_range(0..4);
    let offset = chance.random_range(0..file.len() as u32 / 32) * 32;
    let start = (offset as usize).min(file.len() - length.min(CHUNK_BYTES));
    let chunk = &file[start..start + length];
    let request = match chance.random_range(0..8) {
        0 => Request::Slot(chance.random()),
        1 => Request::Begin(if chance.random() { active } else { other }),
        2 => Request::Chunk { offset, data: chunk },
        3 => Request::Chunk { offset: chance.next_u32(), data: chunk },
        4 => Request::Finish(if chance.random() { active } else { other }),
        5 => Request::Activate(other),
        6 => Request::Rollback(other),
        _ => Request::Info,
    };
    // Good requests are numbered in the lower half.
    encoded(chance.random::<u16>() | 0x8000, &request)
}

fn noise(chance: &mut ChaCha8Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    chance.fill_bytes(&mut bytes);
    bytes
}
