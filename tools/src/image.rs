//! What is written to a board's flash: pieces of memory from a model and a firmware image, the file formats that
//! programmers take them in, and the ways to the board: the drive that its UF2 boot loader shows, or probe-rs.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use qdllm_host::boards::{BOARDS, Board, Drive, Flash, with_flash};
use qdllm_host::elf;
use qdllm_link::slot::{HEADER_BYTES, Header, factory};
use qdllm_runtime::Model;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The board of that name, among those whose flash is written from outside.
pub fn named(name: &str) -> Result<(&'static Board, &'static Flash)> {
    let all = with_flash();
    if let Some(found) = all.iter().find(|(board, _)| board.name == name) {
        return Ok(*found);
    }
    let others = || BOARDS.iter().filter(|board| board.flash.is_none());
    if let Some(tool) = others().find(|b| b.name == name).and_then(|b| b.tool.as_ref()) {
        bail!("{name} takes no image of this program: {tool}");
    }
    let known = all.iter().map(|(board, _)| *board).chain(others());
    let known: Vec<&str> = known.map(|board| board.name.as_str()).collect();
    bail!("no board is called {name:?}; there are {}", known.join(", "))
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

const PROBE_RS: &str = "probe-rs";

/// The mounted drive of the boot loader, or `given`, which must be one.
pub fn find(drive: &Drive, given: Option<&Path>) -> Result<Option<PathBuf>> {
    let Some(folder) = given else {
        return Ok(mounted().into_iter().find(|folder| shows(folder, drive)));
    };
    if shows(folder, drive) {
        return Ok(Some(folder.to_path_buf()));
    }
    bail!(
        "{}: no drive of this board (its INFO_UF2.TXT would name {}); {} and look where your system \
         mounts it",
        folder.display(),
        drive.board_id,
        drive.how
    );
}

/// Whether the folder's information names a board that begins with the drive's.
fn shows(folder: &Path, drive: &Drive) -> bool {
    let text = fs::read_to_string(folder.join("INFO_UF2.TXT")).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(':')).any(|(key, id)| {
        key.trim().eq_ignore_ascii_case("Board-ID") && id.trim().starts_with(&drive.board_id)
    })
}

/// Where systems mount drives: what the kernel lists, and the folders of desktops and macOS.
fn mounted() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let listed = table.lines().filter_map(|line| line.split(' ').nth(1));
    // The kernel writes a space as its octal code.
    let mut found: Vec<PathBuf> = listed.map(|path| path.replace("\\040", " ").into()).collect();
    for parent in ["/Volumes", "/media", "/run/media"] {
        for folder in folders(Path::new(parent)) {
            found.extend(folders(&folder));
            found.push(folder);
        }
    }
    found
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Writes the UF2 file; the boot loader starts the board when it has all of it.
pub fn copy(folder: &Path, memory: &Memory, drive: &Drive) -> Result<PathBuf> {
    let path = folder.join("qdllm.uf2");
    let name = || format!("{}: cannot be written", path.display());
    let mut file = fs::File::create(&path).with_context(name)?;
    file.write_all(&memory.uf2(drive.family)).with_context(name)?;
    // The drive goes away as soon as it has everything, which some systems report here.
    let _ = file.sync_all();
    Ok(path)
}

/// Writes and resets the board's chip, which probe-rs calls `chip`.
pub fn probe(board: &Board, chip: &str, memory: &Memory) -> Result<()> {
    let mut file = tempfile::Builder::new().prefix("qdllm-").suffix(".hex").tempfile()?;
    file.write_all(memory.hex().as_bytes())?;
    let path = file.path().display().to_string();
    let or_drive = || {
        board.drive.as_ref().map_or_else(String::new, |Drive { how, board_id, .. }| {
            format!(", or {how} so that the drive {board_id} shows, and run this again")
        })
    };
    let steps: [&[&str]; 2] = [
        &["download", "--chip", chip, "--binary-format", "hex", &path],
        &["reset", "--chip", chip],
    ];
    for arguments in steps {
        let shown = format!("{PROBE_RS} {}", arguments.join(" "));
        // Its progress and its complaints are for the person; standard output stays ours.
        let status = Command::new(PROBE_RS).args(arguments).stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => bail!(
                "`{shown}` failed: {status}; check that the probe is plugged in and wired to the board \
                 (`{PROBE_RS} list` shows it), and that nothing else uses it{}",
                or_drive()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{PROBE_RS} is not on PATH; install it with `cargo install probe-rs-tools --locked` and \
                 connect a debug probe{}",
                or_drive()
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot start `{shown}`")),
        }
    }
    Ok(())
}
