//! Mutations that keep a model file whole: one section changes, lengths and checksum are made right
//! again, so that the fuzzer gets past the container.

use crate::model_length;
use qdllm_runtime::format::{CHECKSUM_BYTES, Container, Kind, checksum, write};

/// Mutates a region (a model, then a text) of `size` bytes inside `data` and returns the new size.
/// `bytes` is the fuzzer's own mutation: it changes the first `size` bytes of a buffer, or up to all of
/// them, and returns how many are now used.
pub fn region(
    data: &mut [u8],
    size: usize,
    seed: u32,
    mut bytes: impl FnMut(&mut [u8], usize) -> usize,
) -> usize {
    let room = data.len();
    let whole = model_length(&data[..size]).filter(|&n| Container::parse(&data[..n]).is_ok());
    let Some(length) = whole else {
        let size = bytes(data, size);
        if seed.is_multiple_of(2) {
            mend(&mut data[..size]);
        }
        return size;
    };
    let mut text = data[length..size].to_vec();
    let mut sections = match Container::parse(&data[..length]) {
        Ok(container) => sections(&container),
        Err(_) => return bytes(data, size),
    };
    if sections.is_empty() {
        return bytes(data, size);
    }
    let place = (seed >> 4) as usize % sections.len();
    match seed % 16 {
        0 => return bytes(data, size),
        1 => {
            let size = bytes(data, size);
            mend(&mut data[..size]);
            return size;
        }
        2 => drop(sections.remove(place)),
        3 => {
            let other = (seed >> 12) as usize % sections.len();
            let content = sections[other].1.clone();
            sections[place].1 = content;
        }
        4 | 5 => grow(&mut text, &mut bytes),
        _ => grow(&mut sections[place].1, &mut bytes),
    }
    let mut all = write(&sections);
    all.extend_from_slice(&text);
    if all.len() > room {
        return bytes(data, size);
    }
    data[..all.len()].copy_from_slice(&all);
    all.len()
}

/// Lets the fuzzer change a buffer, with room to grow.
fn grow(content: &mut Vec<u8>, bytes: &mut impl FnMut(&mut [u8], usize) -> usize) {
    let size = content.len();
    content.resize(size + 64, 0);
    let size = bytes(content, size);
    content.truncate(size);
}

fn sections(container: &Container<'_>) -> Vec<(Kind, Vec<u8>)> {
    Kind::ALL.iter().filter_map(|&kind| Some((kind, container.get(kind)?.to_vec()))).collect()
}

/// Writes the right length (the whole slice) and checksum, whatever lies between.
fn mend(data: &mut [u8]) {
    let Some(body) = data.len().checked_sub(CHECKSUM_BYTES) else { return };
    if let Some(length) = data.get_mut(8..12) {
        length.copy_from_slice(&((body + CHECKSUM_BYTES) as u32).to_le_bytes());
    }
    let crc = checksum(&data[..body]);
    data[body..].copy_from_slice(&crc.to_le_bytes());
}
