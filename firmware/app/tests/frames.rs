//! Random, damaged, cut, doubled and reordered frames: the board answers the next good frame, and its
//! model is only ever one that arrived whole.
//!
//! The number of frames is bounded; `QDLLM_FUZZ_SECONDS=600 cargo test --release frames::` goes on
//! for that long, with other numbers each time.

// A test that fails may stop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::common::{
    Board, OLD, Script, TEXT, framed, frames, id, new_model, provision, renamed, responses, update,
};
use bumpalo::Bump;
use qdllm_app::mock::MockFlash;
use qdllm_app::{Counters, Memory, run};
use qdllm_link::frame;
use qdllm_link::message::{ModelId, Request};
use std::time::{Duration, Instant, SystemTime};

const SLOT: usize = 4096;

/// Frames of a bounded run.
const FRAMES: u64 = 1_000_000;

/// Frames between two looks at the board.
const BURST: u64 = 500;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }
}

/// A sealed frame on the wire, whatever its bytes.
fn wire(sealed: &[u8]) -> Vec<u8> {
    let mut encoded = vec![0; cobs::max_encoding_length(sealed.len())];
    let length = cobs::encode(sealed, &mut encoded);
    [&[0, 0], &encoded[..length], &[0]].concat()
}

/// Random bytes as a message, with a right checksum.
fn believed(random: &mut Random) -> Vec<u8> {
    let mut sealed = vec![frame::VERSION];
    sealed.extend(random.bytes(40));
    let crc = crc16(&sealed);
    sealed.extend(crc.to_le_bytes());
    wire(&sealed)
}

/// CRC-16/IBM-3740, written out here so that the frames do not depend on the code under test.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

/// A request of the protocol with fields at random, some of them right.
fn request<'a>(random: &mut Random, new: &'a [u8]) -> Request<'a> {
    let meant = match random.below(4) {
        0 => ModelId { length: random.next() as u32, checksum: random.next() as u32 },
        1 => ModelId { length: random.below(5000) as u32, ..id(new) },
        2 => id(OLD),
        _ => id(new),
    };
    let from = random.below(new.len()) & !31;
    let data = &new[from..(from + 32 * random.below(33)).min(new.len())];
    match random.below(9) {
        0 => Request::Info,
        1 => Request::Slot(random.next() as u8),
        2 => Request::Classify(TEXT),
        3 => Request::Begin(meant),
        4 => Request::Chunk { offset: from as u32, data },
        5 => Request::Chunk { offset: random.next() as u32, data },
        6 => Request::Finish(meant),
        7 => Request::Activate(meant),
        _ => Request::Bench { runs: 1 },
    }
}

/// One thing that may come over a line; `good` are the frames of a whole update, more frequent with a
/// greater `share`.
fn noise(random: &mut Random, good: &[Vec<u8>], new: &[u8], share: usize) -> Vec<u8> {
    let mut bytes = match random.below(4 + share) {
        0 => random.bytes(1200),
        1 => wire(&random.bytes(200)),
        2 => believed(random),
        3 => framed(random.next() as u16, &request(random, new)),
        // Frames of the update in any order, again and again.
        _ => good[random.below(good.len())].clone(),
    };
    match random.below(6) {
        0 if !bytes.is_empty() => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        1 => bytes.truncate(random.below(bytes.len())),
        2 => {
            let at = random.below(bytes.len());
            bytes.drain(..at);
        }
        3 => bytes.extend(bytes.clone()),
        _ => {}
    }
    bytes
}

#[test]
fn no_frames_stop_the_board_or_activate_what_did_not_arrive() {
    let seconds: Option<u64> =
        std::env::var("QDLLM_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let seed = seconds.map_or(0x1234_5678_9abc_def1, |_| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    });
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let new = new_model();
    let good: Vec<Vec<u8>> =
        update(&new, 512).iter().enumerate().map(|(i, one)| framed(i as u16, one)).collect();
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut frames, mut activated, mut kept) = (0_u64, 0_u64, 0_u64);
    while until.map_or(frames < FRAMES, |until| Instant::now() < until) {
        let views = Bump::new();
        let mut flash = MockFlash::<4, 512>::new(&views, 2 * SLOT);
        provision(&mut flash, 0, OLD, 1);
        let mut board = Board::new(flash, SLOT as u32);
        let mut input = Vec::new();
        let share = random.below(5);
        for _ in 0..BURST {
            input.extend(noise(&mut random, &good, &new, share));
            frames += 1;
        }
        // One good frame: it must be answered, whatever came before.
        input.extend(framed(0xbeef, &Request::Classify(TEXT)));
        let answers = responses(&board.hear(&input));
        let last = answers.last().cloned().unwrap_or_default();
        let label = board.label();
        match label.as_str() {
            "class light" => kept += 1,
            "class LIGHT" => {
                activated += 1;
                // What is in use is byte for byte what was sent.
                let at = SLOT + 256;
                assert_eq!(&board.flash.bytes[at..at + new.len()], &new[..]);
            }
            _ => panic!("seed {seed:#x}, {frames} frames: {label}"),
        }
        assert_eq!(last, label, "seed {seed:#x}, {frames} frames");
        assert_eq!(board.flash.violations, 0, "seed {seed:#x}, {frames} frames");
    }
    println!("{frames} frames; old model kept {kept} times, new one activated {activated} times");
    assert!(kept > 0 && activated > 0);
}

#[test]
fn doubled_and_reordered_frames_of_an_update_still_give_the_new_model() {
    let new = new_model();
    let plain = update(&new, 256);
    // Every frame twice, and after each chunk the one before it again.
    let mut bytes = Vec::new();
    for (i, request) in plain.iter().enumerate() {
        bytes.extend(framed(i as u16, request));
        bytes.extend(framed(i as u16, request));
        if let Some(before) = i.checked_sub(1) {
            bytes.extend(framed(before as u16, &plain[before]));
        }
    }
    let views = Bump::new();
    let mut flash = MockFlash::<4, 512>::new(&views, 2 * SLOT);
    provision(&mut flash, 0, OLD, 1);
    let mut board = Board::new(flash, SLOT as u32);
    board.hear(&bytes);
    assert_eq!(board.label(), "class LIGHT");
    assert_eq!(board.flash.violations, 0);
}

/// Counts how often something was measured.
struct Measured(u64);

impl Counters for Measured {
    fn start(&mut self) {
        self.0 += 1;
    }

    fn cycles(&mut self) -> u64 {
        2 * self.0
    }
}

#[test]
fn what_is_out_of_range_is_answered_as_the_document_says() {
    let views = Bump::new();
    let mut flash = MockFlash::<4, 512>::new(&views, 2 * SLOT);
    provision(&mut flash, 0, OLD, 1);
    // A bare one, as a debugger writes it, where the one before lies.
    let bare = new_model();
    flash.bytes[SLOT..][..bare.len()].copy_from_slice(&bare);
    let mut board = Board::new(flash, SLOT as u32);
    let requests = [
        Request::Slot(2),
        Request::Slot(255),
        Request::Slot(1),
        Request::Activate(id(&bare)),
        Request::Chunk { offset: 0, data: &bare[..8] },
    ];
    let answers = board.ask(&requests);
    for (answer, number) in answers.iter().zip([120, 120, 0, 121, 140]) {
        let wanted = ["number", "fault"].map(|field| format!("{field}: {number}"));
        assert!(wanted.iter().any(|wanted| answer.contains(wanted)), "{answers:?}");
    }
    // Fewer runs than one are one, more than a thousand a thousand.
    let Board { mut flash, config } = board;
    let benches = [0, 1, 1000, 1001, u16::MAX].map(|runs| Request::Bench { runs });
    let mut port = Script { input: frames(&benches), at: 0, output: Vec::new() };
    let (mut memory, mut counters) = (Memory::new(qdllm_runtime::Scratch::new()), Measured(0));
    let Ok(_) = run(&mut port, &mut flash, &mut counters, &mut memory, &config);
    assert_eq!(counters.0, 1 + 1 + 1000 + 1000 + 1000);
}

#[test]
fn chunks_out_of_order_say_where_to_go_on() {
    let (new, other) = (new_model(), renamed(b"lamps"));
    let views = Bump::new();
    let mut flash = MockFlash::<4, 512>::new(&views, 2 * SLOT);
    provision(&mut flash, 0, OLD, 1);
    let mut board = Board::new(flash, SLOT as u32);
    let chunk = |at: usize| Request::Chunk { offset: at as u32, data: &new[at..at + 64] };
    let answers = board.ask(&[
        chunk(0),
        Request::Begin(id(&new)),
        chunk(0),
        chunk(128),
        chunk(0),
        chunk(64),
        Request::Chunk { offset: 65, data: &new[65..97] },
        Request::Chunk { offset: 128, data: &new[128..130] },
        Request::Finish(id(&new)),
        Request::Begin(id(&new)),
        // In use: nothing to send.
        Request::Begin(id(OLD)),
        Request::Begin(id(&other)),
    ]);
    let expected = [
        "Fault { number: 140, expected: 0 }",
        "Received(0)",
        "Received(64)",
        "Fault { number: 141, expected: 64 }",
        "Received(64)",
        "Received(128)",
        "Fault { number: 142, expected: 128 }",
        "Fault { number: 142, expected: 128 }",
        "Fault { number: 141, expected: 128 }",
        "Received(128)",
        &format!("Received({})", OLD.len()),
        "Received(0)",
    ];
    assert_eq!(answers, expected);
}
