//! Random bytes and damaged frames at an emulated board's port, among them good requests that
//! must be answered as if nothing had happened.

use super::wire::{Wire, encoded, id};
use super::{for_each_board, image, number};
use anyhow::{Context, Result, bail, ensure};
use qdllm_link::frame::CHUNK_BYTES;
use qdllm_link::message::{ModelId, Request, Response};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::time::{Duration, Instant};
use xtask::boards::Board;
use xtask::emulator::{Pace, Remote, format};
use xtask::repo::Repo;

/// What a good request asks between the bad ones.
const SENTENCE: &str = "turn on the porch light";

/// Frames between two good requests, at most.
const BETWEEN: u32 = 1000;

/// Frames without a wish for more; the Pico's emulator is slow.
const FRAMES: u32 = 2000;
const FRAMES_SLOW: u32 = 100;

for_each_board!(answers_in_a_storm);

fn answers_in_a_storm(board: &Board) -> Result<()> {
    let Some(image) = image(board)? else { return Ok(()) };
    let frames =
        number("QDLLM_FRAMES")?.unwrap_or(if board.is_qemu() { FRAMES } else { FRAMES_SLOW });
    let seed = number("QDLLM_SEED")?.unwrap_or(1);
    let [model, _] = Repo::find()?.models();
    let file = std::fs::read(&model).with_context(|| format!("cannot read {}", model.display()))?;
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    format(board, &flash, Some(&model))?;
    let mut remote = Remote::boot(board, &image, &flash, Pace::Free)?;
    let stream = remote.connect()?;
    let mut wire = Wire::new(stream);
    let active = id(&file)?;
    let expected = probe(&mut wire, active)?;

    let started = Instant::now();
    let mut chance = ChaCha8Rng::seed_from_u64(seed.into());
    let (mut sent, mut bytes, mut asked, mut slowest) = (0, 0_u64, 0, Duration::ZERO);
    let mut told = started;
    while sent < frames {
        let burst = chance.random_range(1..=BETWEEN).min(frames - sent);
        // One write for all of them: nothing waits for an answer.
        let mut bytes_sent = Vec::new();
        for _ in 0..burst {
            bytes_sent.extend(random_frame(&mut chance, &file, active)?);
        }
        wire.stream.write_all(&bytes_sent)?;
        (sent, bytes) = (sent + burst, bytes + bytes_sent.len() as u64);
        let since = Instant::now();
        let found = probe(&mut wire, active).with_context(|| format!("after {sent} frames"))?;
        slowest = slowest.max(since.elapsed());
        ensure!(found == expected, "{found:?} after {sent} frames, {expected:?} before");
        asked += 1;
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            println!("{sent} frames, {bytes} bytes");
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
