//! What is written to a board's flash: pieces of memory from a model and a firmware image, and the file
//! formats that programmers take them in.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use qdllm_host::boards::{Board, Flash, with_flash};
use qdllm_host::elf;
use qdllm_link::slot::{HEADER_BYTES, Header, factory};
use qdllm_runtime::Model;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The board of that name, among those whose flash is written from outside.
pub fn named(name: &str) -> Result<(&'static Board, &'static Flash)> {
    let all = with_flash();
    all.iter().find(|(board, _)| board.name == name).copied().with_context(|| {
        let known: Vec<&str> = all.iter().map(|(board, _)| board.name.as_str()).collect();
        format!("no board is called {name:?}; there are {}", known.join(", "))
    })
}

/// What erased flash reads as; fills gaps where a format has no addresses.
const ERASED: u8 = 0xff;

/// Bytes at addresses, in rising order; pieces that touch are one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<u32, Vec<u8>>);

impl Memory {
    /// Adds a firmware's segments, all of which must lie before the slots.
    pub fn add_firmware(&mut self, board: &Board, flash: &Flash, file: &[u8]) -> Result<()> {
        let (name, start, end) = (&board.name, flash.start, flash.slots);
        let segments = elf::segments(file).map_err(|what| {
            anyhow!(
                "the firmware: {what}; it must be the ELF that `cargo build` in the board's folder made"
            )
        })?;
        for (address, bytes) in segments {
            ensure!(
                address >= start && u64::from(address) + bytes.len() as u64 <= end.into(),
                "{} bytes at {address:#x} are outside the program's flash of {name} ({start:#x} to {end:#x}); was this firmware built for another board?",
                bytes.len()
            );
            self.add(address, bytes)?;
        }
        Ok(())
    }

    /// Adds a model in one of the slots. It is marked as tried and confirmed: nothing is there to go back to.
    pub fn add_model(&mut self, board: &Board, flash: &Flash, slot: u8, file: &[u8]) -> Result<()> {
        let name = &board.name;
        let address = flash.slot(slot);
        let address =
            address.with_context(|| format!("{name} has the slots 0 and 1, not {slot}"))?;
        Model::parse(file).context("the model")?;
        let capacity = flash.slot_bytes - HEADER_BYTES as u32;
        let header = Header::of(file, 1, 0).filter(|header| header.length <= capacity);
        let header = header.with_context(|| {
            format!(
                "the model has {} bytes, a slot of {name} takes {capacity}; fewer rows (`qdllm distill --rows`) make it smaller",
                file.len()
            )
        })?;
        self.add(address, &[&factory(&header)[..], file].concat())
    }

    /// Adds `bytes` at `address`, unless something is there already or the address space ends.
    pub fn add(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let overlap = || anyhow!("two pieces of the image both want address {address:#x}");
        let start = u64::from(address);
        let after = self.0.range(address..).next().map_or(1 << 32, |(&at, _)| u64::from(at));
        let before = self.0.range_mut(..address).next_back();
        let before = before.map(|(&at, piece)| (u64::from(at) + piece.len() as u64, piece));
        match before {
            _ if start + bytes.len() as u64 > after => bail!(overlap()),
            Some((end, _)) if end > start => bail!(overlap()),
            Some((end, piece)) if end == start => piece.extend_from_slice(bytes),
            _ => drop(self.0.insert(address, bytes.to_vec())),
        }
        Ok(())
    }

    pub fn pieces(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.0.iter().map(|(&address, bytes)| (address, bytes.as_slice()))
    }

    /// The lowest address, and everything from there on with gaps as erased flash: what a `.bin`
    /// file holds.
    pub fn flat(&self) -> (u32, Vec<u8>) {
        let start = self.0.keys().next().copied().unwrap_or(0);
        let mut bytes = Vec::new();
        for (address, piece) in self.pieces() {
            bytes.resize((address - start) as usize, ERASED);
            bytes.extend_from_slice(piece);
        }
        (start, bytes)
    }

    /// Intel HEX: lines of at most 16 bytes, addresses above 64 KiB by extended linear records.
    pub fn hex(&self) -> String {
        const DATA: u8 = 0;
        const END: u8 = 1;
        const UPPER: u8 = 4;
        let mut text = String::new();
        let mut upper = None;
        for (mut at, mut rest) in self.pieces() {
            while !rest.is_empty() {
                if upper != Some(at >> 16) {
                    upper = Some(at >> 16);
                    hex_record(&mut text, 0, UPPER, &((at >> 16) as u16).to_be_bytes());
                }
                // A record's own address has 16 bits and does not carry.
                let room = 0x1_0000 - (at & 0xffff) as usize;
                let (line, left) = rest.split_at(rest.len().min(16).min(room));
                hex_record(&mut text, at as u16, DATA, line);
                at = at.wrapping_add(line.len() as u32);
                rest = left;
            }
        }
        hex_record(&mut text, 0, END, &[]);
        text
    }

    /// UF2: blocks of 512 bytes with 256 bytes of flash each, for boot loaders that show a drive. Pages
    /// begin at multiples of 256; what a piece leaves of its page stays erased.
    pub fn uf2(&self, family: u32) -> Vec<u8> {
        const FIRST: u32 = 0x0a32_4655;
        const SECOND: u32 = 0x9e5d_5157;
        const HAS_FAMILY: u32 = 0x2000;
        const DATA: usize = 476;
        const LAST: u32 = 0x0ab1_6f30;
        // Raspberry Pi's boot loaders take exactly one page.
        const PAGE: u32 = 256;
        let mut pages: BTreeMap<u32, [u8; PAGE as usize]> = BTreeMap::new();
        for (address, bytes) in self.pieces() {
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
}

/// Adds one line: length, address, type, data, and what makes the sum of all of them 0.
fn hex_record(text: &mut String, address: u16, kind: u8, data: &[u8]) {
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
