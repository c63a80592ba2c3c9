//! How long a model takes over a serial line of 115200 baud: the real client and the real app over a
//! line and a flash that count time instead of spending it.

use bumpalo::Bump;
use embedded_io::{ErrorType, Read, Write};
use embedded_storage::nor_flash::{self, NorFlash, ReadNorFlash};
use qdllm_app::mock::{MockError, MockFlash};
use qdllm_app::{About, End, Layout, Memory, SlotFlash, run};
use qdllm_link::message::Request;
use qdllm_runtime::Scratch;
use qdllm_tests::board::{Steady, long_model, provision};
use qdllm_tools::board::{Client, Link, put};
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const MODEL: &[u8] = include_bytes!("../vectors/words_v1.qdm");

/// 35 KB of model.
const BYTES: usize = 35 * 1024;

/// Nanoseconds of a byte at 115200 baud: 8 bits, a start and a stop bit.
const BYTE_NS: u64 = 10 * 1_000_000_000 / 115_200;

/// What the host's USB adapter and system add to every answer.
const HOST_NS: u64 = 1_000_000;

/// What the board's processor does with every byte that it reads: COBS, CRC, copying.
const CPU_NS: u64 = 1_000;

/// A byte and when it is there.
type Timed = (u8, u64);

/// A kind of flash, and how many bytes the board's port keeps while the processor is busy.
#[derive(Clone, Copy)]
struct Chip {
    name: &'static str,
    erase_ns: u64,
    write_ns_per_byte: u64,
    ahead_bytes: u16,
}

/// The board's end of the line; its clock is shared with its flash.
struct Line<'c> {
    clock: &'c Cell<u64>,
    incoming: Receiver<Timed>,
    outgoing: Sender<Timed>,
    free: u64,
    /// When each byte arrived and when it was read.
    log: Vec<(u64, u64)>,
}

impl ErrorType for Line<'_> {
    type Error = Infallible;
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let (Some(first), Ok((byte, at))) = (buffer.first_mut(), self.incoming.recv()) else {
            return Ok(0);
        };
        *first = byte;
        let now = self.clock.get().max(at);
        self.log.push((at, now));
        self.clock.set(now + CPU_NS);
        Ok(1)
    }
}

impl Write for Line<'_> {
    /// A polled port: the processor waits for every byte.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            self.free = self.free.max(self.clock.get()) + BYTE_NS;
            self.clock.set(self.free);
            let _ = self.outgoing.send((byte, self.free));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The host's end.
struct Host {
    clock: u64,
    free: u64,
    incoming: Receiver<Timed>,
    outgoing: Sender<Timed>,
}

impl Link for Host {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            self.free = self.free.max(self.clock) + BYTE_NS;
            self.outgoing.send((byte, self.free)).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        let Ok((byte, at)) = self.incoming.recv_timeout(wait) else {
            return Ok(0);
        };
        buffer[0] = byte;
        self.clock = self.clock.max(at + HOST_NS);
        Ok(1)
    }
}

/// Flash that takes time.
struct Slow<'c, 'm> {
    flash: MockFlash<'m, 4, 4096>,
    chip: Chip,
    clock: &'c Cell<u64>,
}

impl nor_flash::ErrorType for Slow<'_, '_> {
    type Error = MockError;
}

impl ReadNorFlash for Slow<'_, '_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Slow<'_, '_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        let sectors = u64::from(to - from) / 4096;
        self.clock.set(self.clock.get() + sectors * self.chip.erase_ns);
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        let time = bytes.len() as u64 * self.chip.write_ns_per_byte;
        self.clock.set(self.clock.get() + time);
        self.flash.write(offset, bytes)
    }
}

impl<'m> SlotFlash<'m> for Slow<'_, 'm> {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        self.flash.map(offset, length)
    }
}

/// Seconds from the first byte of the transfer to the answer to the activation, and the most bytes
/// that ever waited in the board's port.
fn measure(chip: Chip, file: &[u8]) -> (f64, usize) {
    let (to_board, from_host) = channel();
    let (to_host, from_board) = channel();
    let board = std::thread::spawn(move || {
        let (clock, views) = (Cell::new(0), Bump::new());
        let mut flash = MockFlash::<4, 4096>::new(&views, 2 * 65_536);
        provision(&mut flash, MODEL);
        let mut flash = Slow { flash, chip, clock: &clock };
        let mut line = Line {
            clock: &clock,
            incoming: from_host,
            outgoing: to_host,
            free: 0,
            log: Vec::new(),
        };
        let about =
            About::new(chip.name, Layout::pair(0, 65_536)).with_ahead_bytes(chip.ahead_bytes);
        let mut memory = Memory::new(Scratch::new());
        let Ok(ended) = run(&mut line, &mut flash, &mut Steady, &mut memory, &about);
        assert_eq!(ended.by, End::Reset);
        assert_eq!(flash.flash.violations, 0);
        // Bytes that had arrived and were not read yet, whenever one was read.
        let arrived = |now: u64| line.log.partition_point(|(at, _)| *at <= now);
        line.log.iter().enumerate().map(|(i, &(_, now))| arrived(now) - i).max().unwrap_or(0)
    });
    let host = Host { clock: 0, free: 0, incoming: from_board, outgoing: to_board };
    let mut client = Client::new(host, "line");
    // The clocks here stand still while the machine is busy with something else.
    client.patience = Duration::from_secs(120);
    let about = client.info().unwrap();
    let mut host = client.into_link();
    host.clock = host.clock.max(host.free);
    let started = host.clock;
    let mut client = Client::new(host, "line");
    client.patience = Duration::from_secs(120);
    let id = put::put(&mut client, &about, file, &mut |_| {}).unwrap();
    assert!(client.switch(&Request::Activate(id)).unwrap());
    let ended = client.into_link().clock;
    ((ended - started) as f64 / 1e9, board.join().unwrap())
}

#[test]
fn a_model_of_35_kb_is_put_and_activated_in_time() {
    let file = long_model(MODEL, BYTES);
    let carried = file.len() as f64 * BYTE_NS as f64 / 1e9;
    // Typical times of the data sheets: a sector of 4 KiB, and a byte written.
    let chips = [
        Chip {
            name: "RP2040 with W25Q16, waits",
            erase_ns: 45_000_000,
            write_ns_per_byte: 1_600,
            ahead_bytes: 0,
        },
        Chip {
            name: "RP2040 with W25Q16, DMA",
            erase_ns: 45_000_000,
            write_ns_per_byte: 1_600,
            ahead_bytes: 2200,
        },
        Chip {
            name: "nRF52840, waits",
            erase_ns: 85_000_000,
            write_ns_per_byte: 10_250,
            ahead_bytes: 0,
        },
        Chip {
            name: "nRF52840, DMA",
            erase_ns: 85_000_000,
            write_ns_per_byte: 10_250,
            ahead_bytes: 2200,
        },
    ];
    for chip in chips {
        let (seconds, waited) = measure(chip, &file);
        let share = carried / seconds;
        println!(
            "{}: {} bytes in {seconds:.2} s, share {:.1}%, at most {waited} bytes waited",
            chip.name,
            file.len(),
            100.0 * share
        );
        assert!(seconds < 6.0, "{}: {seconds} s", chip.name);
        if chip.ahead_bytes > 0 {
            assert!(share >= 0.8, "{}: {share}", chip.name);
            // What the board promised to keep is enough.
            assert!(waited <= usize::from(chip.ahead_bytes) + 16, "{}: {waited}", chip.name);
        }
    }
}
