//! Talks to a board: a port, the protocol's client over it, and the transfer of a model.

pub mod client;
pub mod transfer;

pub use client::Client;

use anyhow::{Error, Result, anyhow};
use qdllm_host::errors::wrong_use;
use qdllm_host::terminal::note;
use qdllm_link::Fault;
use serialport::ErrorKind::{Io, NoDevice};
use serialport::SerialPort;
use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

/// What goes wrong between a host and a board, each with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    #[error(
        "{name} is open, but {what}: check that it is the board's port and that nothing else is \
         connected to it, reset the board, or flash the firmware (qdllm-hw flash)"
    )]
    NotOurs { name: String, what: &'static str },
    #[error(
        "the link to {name} was lost{during}; the board keeps the model that it has: check the cable, \
         then run the same command again"
    )]
    Lost { name: String, during: String },
    #[error("the board refused: {} (number {})", .0, .0.number())]
    Refused(Fault),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl BoardError {
    pub fn refused(number: u8) -> Self {
        let newer = || {
            anyhow!(
                "the board refused with number {number}, which is newer than this program: update it"
            )
        };
        Fault::from_number(number).map_or_else(|| newer().into(), Self::Refused)
    }
}

pub trait Link {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// What has arrived, after waiting at most `wait` for the first byte; 0 is silence.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize>;
}

/// The port to a board: serial, or TCP as emulators offer it.
#[derive(Debug)]
pub enum Port {
    Serial(Box<dyn SerialPort>),
    Tcp(TcpStream),
}

const CONNECT: Duration = Duration::from_secs(5);

impl Port {
    /// Opens `/dev/ttyACM0`, `COM3` or `tcp:HOST:PORT`; `baud` is for serial lines.
    pub fn open(name: &str, baud: u32) -> Result<Self> {
        match name.strip_prefix("tcp:") {
            Some(address) => connect(name, address).map(Self::Tcp),
            None if name.is_empty() => Err(bad_name(name)),
            None => serial(name, baud).map(Self::Serial),
        }
    }

    /// A second handle to the same port, to read while the first one writes.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Serial(port) => Ok(Self::Serial(port.try_clone()?)),
            Self::Tcp(stream) => Ok(Self::Tcp(stream.try_clone()?)),
        }
    }
}

fn bad_name(name: &str) -> Error {
    let ports = "a device such as /dev/ttyACM0 or COM3, or tcp:HOST:PORT";
    wrong_use(format_args!("{name:?} names no port: give {ports}"))
}

fn connect(name: &str, address: &str) -> Result<TcpStream> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| bad_name(name))?;
    let port: u16 = port.parse().map_err(|_| bad_name(name))?;
    let failed = |why: io::Error| {
        anyhow!("nothing answers at {name} ({why}): start the emulator or the serial server first")
    };
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                // Requests are small and each waits for its answer.
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn serial(name: &str, baud: u32) -> Result<Box<dyn SerialPort>> {
    let opened = serialport::new(name, baud).timeout(Duration::from_millis(100)).open();
    opened.map_err(|error| match error.kind() {
        Io(ErrorKind::NotFound) => no_port(name),
        Io(ErrorKind::PermissionDenied) => anyhow!(
            "{name} may not be opened by this user: on Linux add the user to the group that owns it \
             (sudo usermod -aG dialout $USER, then log in again)"
        ),
        // On Unix a missing device is also what a locked terminal gives.
        NoDevice if !std::path::Path::new(name).exists() => no_port(name),
        NoDevice | Io(ErrorKind::WouldBlock | ErrorKind::ResourceBusy) => anyhow!(
            "{name} is in use by another program: close the terminal or monitor that has it open, \
             then try again"
        ),
        _ => bad_name(name),
    })
}

fn no_port(name: &str) -> Error {
    let ports = serialport::available_ports().unwrap_or_default();
    let names: Vec<String> = ports.into_iter().map(|port| port.port_name).collect();
    let found = if names.is_empty() {
        "this machine has no serial port now: plug the board in, and check that the cable carries data".into()
    } else {
        format!("plug the board in, or choose one of {}", names.join(", "))
    };
    anyhow!("there is no port {name}; {found}")
}

impl Link for Port {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Serial(port) => {
                // A write waits for the line, not for an answer: 1 kB takes a second at 9600 baud.
                port.set_timeout(Duration::from_secs(10))?;
                port.write_all(bytes)
            }
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        // The systems take no wait of zero.
        let wait = wait.max(Duration::from_millis(1));
        let read = match self {
            Self::Serial(port) => {
                port.set_timeout(wait)?;
                port.read(buffer)
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(wait))?;
                stream.read(buffer)
            }
        };
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) => match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            },
            read => read,
        }
    }
}

/// The board's console: lines to the board and what it says back.
pub fn console(mut port: Port, out: &mut impl Write) -> Result<()> {
    let mut listening = port.try_clone()?;
    if io::stdin().is_terminal() {
        note("type a sentence; :help lists the commands; Ctrl-D ends");
    }
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = listening.receive(&mut buffer, Duration::from_millis(50))
            && said.send(buffer[..count].to_vec()).is_ok()
        {}
    });
    let (typed, lines) = channel();
    std::thread::spawn(move || {
        let mut lines = io::stdin().lock().lines();
        while let Some(Ok(line)) = lines.next()
            && typed.send(line).is_ok()
        {}
    });
    // After the last line the board has a moment to answer it.
    let mut ended: Option<Instant> = None;
    loop {
        match heard.recv_timeout(Duration::from_millis(20)) {
            Ok(bytes) => {
                // Its line ends are those of a terminal.
                let text: Vec<u8> = bytes.iter().copied().filter(|&b| b != b'\r').collect();
                out.write_all(&text)?;
                out.flush()?;
                if !bytes.is_empty() && ended.is_some() {
                    ended = Some(Instant::now());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let (name, during) = ("the board".into(), String::new());
                return Err(BoardError::Lost { name, during }.into());
            }
        }
        match lines.try_recv() {
            Ok(line) => port.send(format!("{line}\n").as_bytes())?,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                let since = *ended.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_secs(1) {
                    return Ok(());
                }
            }
        }
    }
}
