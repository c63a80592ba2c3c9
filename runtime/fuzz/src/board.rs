//! The boards' app behind its port: whatever bytes come, it answers the next good frame, and the model
//! in use is one that arrived whole.

use bumpalo::Bump;
use embedded_io::{ErrorType, Read, Write};
use qdllm_app::mock::MockFlash;
use qdllm_app::{BoardConfig, Counters, End, Layout, Memory, run};
use qdllm_link::frame;
use qdllm_link::message::{ModelId, Request, Response};
use qdllm_link::slot::{HEADER_BYTES, Header, factory};
use qdllm_runtime::{Model, Scratch, format};
use std::convert::Infallible;

const MODEL: &[u8] = include_bytes!("../../../tests/vectors/words_v1.qdm");
const TEXT: &str = "turn on the porch light";
const SLOT_BYTES: usize = 4096;

/// The number of the good frame behind the fuzzer's bytes.
const LAST: u16 = 0xfffe;

/// A port whose other end has said everything.
struct Script<'a> {
    input: &'a [u8],
    output: Vec<u8>,
}

impl ErrorType for Script<'_> {
    type Error = Infallible;
}

impl Read for Script<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        self.input.read(buffer)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A board that counts nothing.
struct NoCounters;

impl Counters for NoCounters {
    fn start(&mut self) {}

    fn instructions(&mut self) -> u64 {
        0
    }

    fn stack_bytes(&self) -> usize {
        0
    }

    fn static_bytes(&self) -> usize {
        0
    }
}

/// Lets a board that has a model hear `data`, and then a good frame.
pub fn board(data: &[u8]) {
    let views = Bump::new();
    let mut flash = MockFlash::<4, 512>::new(&views, 2 * SLOT_BYTES);
    let header = Header::of(MODEL, 1, 0).expect("the frozen sample is whole");
    flash.bytes[..HEADER_BYTES].copy_from_slice(&factory(&header));
    flash.bytes[HEADER_BYTES..][..MODEL.len()].copy_from_slice(MODEL);
    let config = BoardConfig::new("fuzz", Layout::pair(0, SLOT_BYTES as u32));
    let input = [data, &wire(LAST, &Request::Classify(TEXT)), &wire(LAST, &Request::Info)].concat();
    let mut port = Script { input: &input, output: Vec::new() };
    loop {
        let mut memory = Box::new(Memory::new(Scratch::new()));
        let Ok(ended) = run(&mut port, &mut flash, &mut NoCounters, &mut memory, &config);
        // A typed `:quit` ends the app, not the board.
        if ended.by == End::Closed {
            break;
        }
    }
    assert_eq!(flash.violations, 0);
    let (mut class, mut slot) = (false, None);
    for mut part in port.output.split(|&byte| byte == 0).map(<[u8]>::to_vec) {
        let Some(sealed) = frame::decode(&mut part) else { continue };
        match frame::open::<Response<'_>>(sealed) {
            Ok((LAST, Response::Class(_))) => class = true,
            Ok((LAST, Response::Info(info))) => slot = info.active.zip(info.model),
            _ => {}
        }
    }
    assert!(class, "the good frame was not answered");
    let (slot, id) = slot.expect("a model is in use");
    let at = usize::from(slot) * SLOT_BYTES + HEADER_BYTES;
    let file = &flash.bytes[at..][..id.length as usize];
    assert!(Model::parse(file).is_ok());
    assert_eq!(file.last_chunk(), Some(&id.checksum.to_le_bytes()));
}

/// A request as it goes over the wire.
fn wire(number: u16, request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; frame::WIRE_BYTES];
    frame::encode(number, request, &mut buffer).expect("a request fits a frame").to_vec()
}

fn framed(sealed: &[u8]) -> Vec<u8> {
    let mut encoded = vec![0; cobs::max_encoding_length(sealed.len())];
    let length = cobs::encode(sealed, &mut encoded);
    [&[0, 0], &encoded[..length], &[0]].concat()
}

/// Another model of the same length: the frozen one with its first class renamed.
fn other() -> Vec<u8> {
    let mut file = MODEL.to_vec();
    let at = file.windows(5).position(|window| window == b"light").expect("its first class");
    file[at..at + 5].copy_from_slice(b"LIGHT");
    let body = file.len() - 4;
    let checksum = format::checksum(&file[..body]);
    file[body..].copy_from_slice(&checksum.to_le_bytes());
    file
}

/// (name, bytes): where the corpus starts from. A test keeps them as files.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let file = other();
    let checksum = *file.last_chunk().expect("a checksum");
    let id = ModelId { length: file.len() as u32, checksum: u32::from_le_bytes(checksum) };
    let mut requests = vec![Request::Begin(id)];
    for (i, data) in file.chunks(512).enumerate() {
        requests.push(Request::Chunk { offset: 512 * i as u32, data });
    }
    requests.extend([Request::Finish(id), Request::Activate(id)]);
    let put: Vec<u8> = requests.iter().zip(1..).flat_map(|(r, n)| wire(n, r)).collect();
    let back = [put.clone(), wire(9, &Request::Info), wire(10, &Request::Rollback(id))].concat();
    let asked =
        [Request::Slot(0), Request::Slot(1), Request::Bench { runs: 1 }, Request::Classify("")];
    let asked: Vec<u8> = asked.iter().zip(1..).flat_map(|(r, n)| wire(n, r)).collect();
    let cut = [&put[..900], &put[400..]].concat();
    let typed = b"turn on the light\n:info\n:model\r\n:bench\r:help\n\xff\n:quit\nlight\n".to_vec();
    vec![("put", put), ("back", back), ("asked", asked), ("cut", cut), ("typed", typed)]
}

/// Mutates one frame inside `data` and makes its checksum right again, most of the time; the fuzzer's own
/// mutation is `bytes`. Returns the new size.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    seed: u32,
    mut bytes: impl FnMut(&mut [u8], usize) -> usize,
) -> usize {
    let room = data.len();
    let parts: Vec<&[u8]> = data[..size].split(|&byte| byte == 0).collect();
    let full: Vec<usize> = (0..parts.len()).filter(|&i| !parts[i].is_empty()).collect();
    let place = full.get((seed >> 4) as usize % full.len().max(1)).copied().unwrap_or(0);
    let mut part = parts[place].to_vec();
    let sealed = frame::decode(&mut part).filter(|sealed| sealed.len() > 5);
    let Some(sealed) = sealed.filter(|_| !seed.is_multiple_of(8)) else {
        return bytes(data, size);
    };
    let mut message = sealed[..sealed.len() - 2].to_vec();
    let length = message.len();
    message.resize(length + 64, 0);
    let length = bytes(&mut message, length);
    message.truncate(length);
    message.extend(crc16(&message).to_le_bytes());
    let mut all = parts[..place].join(&0);
    all.extend(framed(&message));
    all.extend(parts.get(place + 1..).unwrap_or_default().join(&0));
    if all.len() > room {
        return bytes(data, size);
    }
    data[..all.len()].copy_from_slice(&all);
    all.len()
}

/// CRC-16/IBM-3740.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_corpus_is_what_the_seeds_make() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/board");
        for (name, bytes) in seeds() {
            // To renew them: delete the files and run this test.
            let path = folder.join(name);
            if !path.exists() {
                std::fs::write(&path, &bytes).unwrap();
            }
            assert!(std::fs::read(&path).unwrap() == bytes, "{}", path.display());
        }
    }

    #[test]
    fn mutated_frames_mostly_pass_the_checksum() {
        let (_, put) = seeds().remove(0);
        let mut good = 0;
        for seed in 0..200_u32 {
            let mut data = put.clone();
            data.resize(put.len() + 256, 0);
            let size =
                mutate(&mut data, put.len(), seed.wrapping_mul(0x9e37_79b9), |bytes, size| {
                    // A stand-in for libFuzzer's own mutator.
                    bytes[seed as usize % size] ^= 1 << (seed % 8);
                    size
                });
            let data = &data[..size];
            board(data);
            let parts = data.split(|&byte| byte == 0).map(<[u8]>::to_vec);
            let whole = parts.filter(|part| !part.is_empty()).all(|mut part| {
                let sealed = frame::decode(&mut part).map(|sealed| sealed.to_vec());
                sealed.is_some_and(|sealed| {
                    let (covered, crc) = sealed.split_at(sealed.len().saturating_sub(2));
                    crc == crc16(covered).to_le_bytes()
                })
            });
            good += u32::from(whole && data != put);
        }
        assert!(good > 100, "{good} of 200 changed and whole");
    }
}
