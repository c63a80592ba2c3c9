//! Writes UF2: blocks of 512 bytes with 256 bytes of flash each, for boot loaders that show a drive.

use super::memory::{ERASED, Memory};
use std::collections::BTreeMap;

/// Bytes of flash in a block; Raspberry Pi's boot loaders take exactly one page.
const PAGE: u32 = 256;

const FIRST: u32 = 0x0a32_4655;
const SECOND: u32 = 0x9e5d_5157;
const LAST: u32 = 0x0ab1_6f30;

const HAS_FAMILY: u32 = 0x2000;

const DATA: usize = 476;

/// `memory` as the bytes of a `.uf2` file. Pages begin at multiples of 256; what a piece leaves of its
/// page stays erased.
pub fn write(memory: &Memory, family: u32) -> Vec<u8> {
    let mut pages: BTreeMap<u32, [u8; PAGE as usize]> = BTreeMap::new();
    for (address, bytes) in memory.pieces() {
        for (at, &byte) in (address..).zip(bytes) {
            let page = pages.entry(at - at % PAGE).or_insert([ERASED; PAGE as usize]);
            page[(at % PAGE) as usize] = byte;
        }
    }
    let count = pages.len() as u32;
    let mut file = Vec::with_capacity(512 * pages.len());
    for (number, (address, page)) in (0..).zip(&pages) {
        for word in [FIRST, SECOND, HAS_FAMILY, *address, PAGE, number, count, family] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(page);
        file.resize(file.len() + DATA - page.len(), 0);
        file.extend_from_slice(&LAST.to_le_bytes());
    }
    file
}
