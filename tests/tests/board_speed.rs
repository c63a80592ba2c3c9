//! How long a model takes over a serial line of 115200 baud: the real client and the real app over a
//! line and a flash that count time instead of spending it.

use bumpalo::Bump;
use embedded_io::{ErrorType, Read, Write};
use embedded_storage::nor_flash::{self, NorFlash, ReadNorFlash};
use qdllm_app::mock::{MockError, MockFlash};
use qdllm_app::{BoardConfig, End, Layout, Memory, SlotFlash, run};
use qdllm_link::message::Request;
use qdllm_runtime::Scratch;
use qdllm_tests::board::{Steady, long_model, provision};
use qdllm_tools::board::{Client, Link, transfer};
use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const MODEL: &[u8] = include_bytes!("../vectors/words_v1.qdm");

/// A slot, which is one sector on the chip with the largest ones.
const SLOT_BYTES: usize = 128 << 10;

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

/// A board's flash, and how many bytes its port keeps while the processor is busy.
#[derive(Clone, Copy)]
struct Chip {
    name: &'static str,
    /// What the erasure of a sector takes.
    erase_ns: u64,
    write_ns_per_byte: u64,
    ahead_bytes: u16,
}

/// The flash chip of RP2040 and RP2350 boards, and such as ESP32-C3 modules have: W25Q's data sheet.
const QSPI_ERASE_NS: u64 = 45_000_000;
const QSPI_WRITE_NS: u64 = 1_600;

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
struct Slow<'c, 'm, const E: usize> {
    flash: MockFlash<'m, 4, E>,
    chip: Chip,
    clock: &'c Cell<u64>,
}

impl<const E: usize> nor_flash::ErrorType for Slow<'_, '_, E> {
    type Error = MockError;
}

impl<const E: usize> ReadNorFlash for Slow<'_, '_, E> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<const E: usize> NorFlash for Slow<'_, '_, E> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = E;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        let sectors = u64::from(to - from) / E as u64;
        self.clock.set(self.clock.get() + sectors * self.chip.erase_ns);
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        let time = bytes.len() as u64 * self.chip.write_ns_per_byte;
        self.clock.set(self.clock.get() + time);
        self.flash.write(offset, bytes)
    }
}

impl<'m, const E: usize> SlotFlash<'m> for Slow<'_, 'm, E> {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        self.flash.map(offset, length)
    }
}

/// Seconds from the first byte of the transfer to the answer to the activation, and the most bytes
/// that ever waited in the board's port.
fn measure<const E: usize>(chip: Chip, file: &[u8]) -> (f64, usize) {
    let (to_board, from_host) = channel();
    let (to_host, from_board) = channel();
    let board = std::thread::spawn(move || {
        let (clock, views) = (Cell::new(0), Bump::new());
        let mut flash = MockFlash::<4, E>::new(&views, 2 * SLOT_BYTES);
        provision(&mut flash, MODEL);
        let mut flash = Slow { flash, chip, clock: &clock };
        let mut line = Line {
            clock: &clock,
            incoming: from_host,
            outgoing: to_host,
            free: 0,
            log: Vec::new(),
        };
        let about = BoardConfig {
            ahead_bytes: chip.ahead_bytes,
            ..BoardConfig::new(chip.name, Layout::pair(0, SLOT_BYTES as u32))
        };
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
    let mut host = client.link;
    host.clock = host.clock.max(host.free);
    let started = host.clock;
    let mut client = Client::new(host, "line");
    client.patience = Duration::from_secs(120);
    let id = transfer::send_model(&mut client, &about, file, &mut |_| {}).unwrap();
    assert!(client.switch(&Request::Activate(id)).unwrap());
    let ended = client.link.clock;
    ((ended - started) as f64 / 1e9, board.join().unwrap())
}

#[test]
fn a_model_of_35_kb_is_put_and_activated_in_time() {
    let file = long_model(MODEL, BYTES);
    let carried = file.len() as f64 * BYTE_NS as f64 / 1e9;
    // Typical times of the data sheets; how far the port lets a sender run ahead is each board's.
    let board = |name, erase_ns, write_ns_per_byte, ahead_bytes| Chip {
        name,
        erase_ns,
        write_ns_per_byte,
        ahead_bytes,
    };
    let boards = [
        (board("pico, by UART", QSPI_ERASE_NS, QSPI_WRITE_NS, 0), measure::<4096> as Measure),
        (board("pico2", QSPI_ERASE_NS, QSPI_WRITE_NS, 0), measure::<4096>),
        (board("esp32-c3", QSPI_ERASE_NS, QSPI_WRITE_NS, 0), measure::<4096>),
        (board("nrf52840-dk", 85_000_000, 10_250, 2048), measure::<4096>),
        (board("microbit-v2", 87_500_000, 10_750, 2048), measure::<4096>),
        (board("nucleo-f446", 1_000_000_000, 4_000, 12_288), measure::<{ 128 << 10 }>),
    ];
    for (chip, measure) in boards {
        let (seconds, waited) = measure(chip, &file);
        let share = carried / seconds;
        println!(
            "{}: {} bytes in {seconds:.2} s, share {:.1}%, at most {waited} bytes waited",
            chip.name,
            file.len(),
            100.0 * share
        );
        assert!(seconds < 6.0, "{}: {seconds} s", chip.name);
        assert!(share >= 0.8, "{}: {share}", chip.name);
        // What the board promised to keep is enough; without a promise only the start of a frame waits.
        assert!(waited <= usize::from(chip.ahead_bytes) + 16, "{}: {waited}", chip.name);
    }
}

type Measure = fn(Chip, &[u8]) -> (f64, usize);
