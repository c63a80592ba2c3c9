//! A board on this machine: the firmware's app over TCP, with flash in memory.

use bumpalo::Bump;
use embedded_io::{ErrorType, Read, Write};
use qdllm_app::mock::MockFlash;
use qdllm_app::{BoardConfig, Counters, End, Layout, Memory, run};
use qdllm_link::slot::{HEADER_BYTES, Header, factory};
use qdllm_runtime::Scratch;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Bytes of a slot of the board.
pub const SLOT_BYTES: u32 = 64 * 1024;

/// What the board's counters say of a classification.
pub const MICROSECONDS: u64 = 1234;

/// A TCP connection as the board's port.
struct Connection(TcpStream);

impl ErrorType for Connection {
    type Error = io::Error;
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, io::Error> {
        io::Read::read(&mut self.0, buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, io::Error> {
        io::Write::write(&mut self.0, bytes)
    }

    fn flush(&mut self) -> Result<(), io::Error> {
        io::Write::flush(&mut self.0)
    }
}

pub struct Steady;

impl Counters for Steady {
    fn start(&mut self) {}

    fn instructions(&mut self) -> u64 {
        0
    }

    fn microseconds(&mut self) -> u64 {
        MICROSECONDS
    }

    fn stack_bytes(&self) -> usize {
        0
    }

    fn static_bytes(&self) -> usize {
        0
    }
}

/// Writes a model into a slot as the factory does.
///
/// # Panics
/// When it does not fit.
pub fn provision<const W: usize, const E: usize>(flash: &mut MockFlash<'_, W, E>, model: &[u8]) {
    let header = Header::of(model, 1, 0).expect("a model has a checksum");
    let bytes = &mut flash.bytes;
    bytes[..HEADER_BYTES].copy_from_slice(&factory(&header));
    bytes[HEADER_BYTES..][..model.len()].copy_from_slice(model);
}

/// Starts a board that has `model` and serves one connection after the other until the test ends. A
/// broken connection is no reset: the board keeps what it knows.
///
/// # Panics
/// When there is no loopback.
pub fn start(model: Option<Vec<u8>>, about: fn(BoardConfig) -> BoardConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let streams = listener.incoming().map_while(Result::ok).map(Connection);
        serve(model, about, streams);
    });
    address
}

/// A board that serves one port after the other until there are no more.
fn serve<P: Read + Write>(
    model: Option<Vec<u8>>,
    about: fn(BoardConfig) -> BoardConfig,
    ports: impl Iterator<Item = P>,
) {
    let views = Bump::new();
    let mut flash = MockFlash::<4, 4096>::new(&views, 2 * SLOT_BYTES as usize);
    if let Some(model) = model {
        provision(&mut flash, &model);
    }
    let about = about(BoardConfig::new("host", Layout::pair(0, SLOT_BYTES)));
    let mut memory = Memory::new(Scratch::new());
    for mut port in ports {
        loop {
            match run(&mut port, &mut flash, &mut Steady, &mut memory, &about) {
                Ok(ended) if ended.by == End::Reset => memory = Memory::new(Scratch::new()),
                Ok(ended) if ended.by == End::Quit => {}
                _ => break,
            }
        }
    }
}

/// The board's end of a pair of pseudo terminals.
#[cfg(unix)]
struct Line {
    tty: serialport::TTYPort,
    left: usize,
}

#[cfg(unix)]
impl ErrorType for Line {
    type Error = io::Error;
}

#[cfg(unix)]
impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, io::Error> {
        while self.left > 0 {
            match io::Read::read(&mut self.tty, buffer) {
                Ok(count) => {
                    self.left = self.left.saturating_sub(count);
                    return Ok(count);
                }
                // Nobody has the other end open, or nobody speaks.
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        }
        Ok(0)
    }
}

#[cfg(unix)]
impl Write for Line {
    /// What nobody takes is lost, as on a line.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, io::Error> {
        Ok(io::Write::write(&mut self.tty, bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> Result<(), io::Error> {
        Ok(())
    }
}

/// A pair of pseudo terminals: one end, and the name of the other, which nobody has open.
///
/// # Panics
/// When the system has none.
#[cfg(unix)]
pub fn line() -> (serialport::TTYPort, String) {
    use serialport::SerialPort as _;
    let (tty, other) = serialport::TTYPort::pair().expect("a pair of terminals");
    let name = other.name().expect("a terminal has a name");
    (tty, name)
}

/// Starts a board at a serial line and returns the name of the device at the host's end. After `bytes`
/// bytes from the host the line is gone.
///
/// # Panics
/// When the system has no pseudo terminals.
#[cfg(unix)]
pub fn start_serial(model: Vec<u8>, bytes: usize) -> String {
    let (tty, name) = line();
    std::thread::spawn(move || {
        let about: fn(BoardConfig) -> BoardConfig =
            |about| BoardConfig { ahead_bytes: 2048, ..about };
        serve(Some(model), about, std::iter::once(Line { tty, left: bytes }));
    });
    name
}

/// A valid model of about `bytes` bytes: the frozen one with a long account of where it comes from.
///
/// # Panics
/// When it cannot be written.
pub fn long_model(model: &[u8], bytes: usize) -> Vec<u8> {
    use qdllm_runtime::format::{Container, Kind, write};
    let container = Container::parse(model).expect("a model");
    let mut sections: Vec<(Kind, Vec<u8>)> = container
        .kinds()
        .filter(|&kind| kind != Kind::Provenance)
        .filter_map(|kind| Some((kind, container.get(kind)?.to_vec())))
        .collect();
    let used: usize = sections.iter().map(|(_, content)| content.len() + 14).sum();
    let texts = (bytes.saturating_sub(used + 32) / 202).next_multiple_of(2).clamp(2, 16_000);
    // A varint of two bytes, then texts of 200 bytes, each with its length in two bytes.
    let mut content = vec![texts as u8 | 0x80, (texts >> 7) as u8];
    let mut state = 0x2545_f491_u32;
    for _ in 0..texts {
        content.extend([200 | 0x80, 1]);
        for _ in 0..200 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            content.push(b' ' + (state >> 24) as u8 % 95);
        }
    }
    sections.push((Kind::Provenance, content));
    let file = write(&sections);
    qdllm_runtime::Model::parse(&file).expect("still a model");
    file
}
