//! Writes Intel HEX: lines of at most 16 bytes, addresses above 64 KiB by extended linear records.

use super::memory::Memory;
use std::fmt::Write;

const LINE: usize = 16;

const DATA: u8 = 0;
const END: u8 = 1;
const UPPER: u8 = 4;

pub fn write(memory: &Memory) -> String {
    let mut text = String::new();
    let mut upper = None;
    for (address, bytes) in memory.pieces() {
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            if upper != Some(at >> 16) {
                upper = Some(at >> 16);
                record(&mut text, 0, UPPER, &((at >> 16) as u16).to_be_bytes());
            }
            // A record's own address has 16 bits and does not carry.
            let room = 0x1_0000 - (at & 0xffff) as usize;
            let (line, left) = rest.split_at(rest.len().min(LINE).min(room));
            record(&mut text, at as u16, DATA, line);
            at = at.wrapping_add(line.len() as u32);
            rest = left;
        }
    }
    record(&mut text, 0, END, &[]);
    text
}

/// Adds one line: length, address, type, data, and what makes the sum of all of them 0.
fn record(text: &mut String, address: u16, kind: u8, data: &[u8]) {
    let [high, low] = address.to_be_bytes();
    let head = [data.len() as u8, high, low, kind];
    let sum = head.iter().chain(data).fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    text.push(':');
    for byte in head.iter().chain(data).chain([&sum.wrapping_neg()]) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\n');
}
