//! Boots an image on an emulated board and talks to it over its port, as lines or over TCP.

use crate::boards::{self, Board, Emulator};
use crate::firmware::Info;
use crate::repo::Repo;
use crate::setup::QEMU;
use crate::shell::{Run, which};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that any one answer may take; a loaded machine needs a fraction of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The TCP ports that emulators listen on.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;

const ERASED: u8 = 0xff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One nanosecond an instruction, so that counts repeat.
    Counted,
    /// As fast as this machine can; nothing is counted.
    Free,
}

/// Where a program of this machine finds the board's first port.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    Streams,
    /// On a TCP port that the emulator listens on.
    Listen(u16),
}

/// Makes the file that keeps a board's flash: erased, with `model` bare at the front of the first slot.
pub fn format(board: &Board, file: &Path, model: Option<&Path>) -> Result<()> {
    let (total, start, slots) = match board.emulator {
        Emulator::Mapped { memory_bytes, slots_bytes, .. } => (memory_bytes, 0, slots_bytes),
        Emulator::Semihosting { slots_bytes, .. } => (slots_bytes, 0, slots_bytes),
        Emulator::Chip { bytes, slots } => (bytes, slots, bytes - slots),
    };
    let model = match model {
        Some(path) => {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => Vec::new(),
    };
    ensure!(
        model.len() as u64 <= slots / 2,
        "the model has {} bytes, a slot of {} {}",
        model.len(),
        board.name,
        slots / 2
    );
    let shown = || format!("cannot write {}", file.display());
    let mut out = File::create(file).with_context(shown)?;
    // What is no flash stays a hole in the file.
    let erased = vec![ERASED; usize::try_from(if start > 0 { total } else { slots })?];
    out.write_all(&erased).with_context(shown)?;
    out.set_len(total).with_context(shown)?;
    out.seek(SeekFrom::Start(start))?;
    out.write_all(&model).with_context(shown)
}

/// The emulator's command line for `image`, its flash kept in `flash`.
pub fn command(
    board: &Board,
    image: &Path,
    flash: &Path,
    port: Port,
    pace: Pace,
) -> Result<Command> {
    // QEMU splits options at commas and takes a doubled one as itself.
    let file = flash.display().to_string().replace(',', ",,");
    let serial = match port {
        Port::Streams => "stdio".to_owned(),
        Port::Listen(port) => format!("tcp:127.0.0.1:{port},server=on,wait=off"),
    };
    let semihosting = "enable=on,target=native";
    let mut command = Command::new(QEMU);
    match &board.emulator {
        Emulator::Mapped { machine, memory_bytes, .. } => {
            command.arg("-object").arg(format!(
                "memory-backend-file,id=memory,size={memory_bytes},share=on,mem-path={file}"
            ));
            command.arg("-M").arg(format!("{machine},memory-backend=memory"));
            command.args(["-semihosting-config", semihosting]);
        }
        Emulator::Semihosting { machine, .. } => {
            command.args(["-M", machine]);
            command.arg("-semihosting-config").arg(format!("{semihosting},arg={file}"));
        }
        Emulator::Chip { .. } => return pico(image, flash, port),
    }
    command.args(["-display", "none", "-monitor", "none", "-serial", &serial]);
    if pace == Pace::Counted {
        command.args(["-icount", "shift=0"]);
    }
    command.arg("-kernel").arg(image);
    Ok(command)
}

/// The Pico's emulator, installed at its first use.
fn pico(image: &Path, flash: &Path, port: Port) -> Result<Command> {
    let folder = Repo::find()?.firmware.join("boards/pico/emulator");
    for program in ["node", "npm"] {
        if which(program).is_none() {
            bail!(
                "{program} is not on PATH; the Pico's emulator needs Node.js 18 or newer and npm"
            );
        }
    }
    if !folder.join("node_modules/rp2040js/package.json").is_file() {
        Run::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).dir(&folder).quiet()?;
    }
    let port = match port {
        Port::Streams => "stdio".to_owned(),
        Port::Listen(port) => port.to_string(),
    };
    let mut command = Command::new("node");
    command.arg(folder.join("run.mjs")).args(["--usb", &port, "--flash"]).arg(flash).arg(image);
    Ok(command)
}

#[derive(Args)]
pub struct Options {
    /// The image, an ELF for the board that its name says: qdllm-BOARD
    image: PathBuf,
    /// The model file to put into the first slot
    #[arg(long)]
    model: Option<PathBuf>,
    /// The file that keeps the board's flash; made where it is missing [default: a temporary one]
    #[arg(long)]
    flash: Option<PathBuf>,
    /// Serves the board's port on this TCP port of 127.0.0.1 instead of the standard streams
    #[arg(long)]
    tcp: Option<u16>,
}

/// `cargo xtask qemu-run`: the board's serial port becomes this program's input and output, and the
/// board's exit code its own.
pub fn run(options: &Options) -> Result<u8> {
    let stem = options.image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = stem.strip_prefix("qdllm-").unwrap_or(&stem);
    let board = boards::named(name)?;
    let temporary = tempfile::tempdir()?;
    let flash = options.flash.clone().unwrap_or_else(|| temporary.path().join("flash"));
    if !flash.is_file() || options.model.is_some() {
        format(board, &flash, options.model.as_deref())?;
    }
    let port = options.tcp.map_or(Port::Streams, Port::Listen);
    let mut command = command(board, &options.image, &flash, port, Pace::Counted)?;
    // Lines go through a pipe: on a terminal QEMU would switch echo and line editing off.
    let mut child = start(board, command.stdin(Stdio::piped()))?;
    let mut input = child.stdin.take().context("the port is a pipe")?;
    if options.tcp.is_none() {
        std::thread::spawn(move || forward(&mut input));
    }
    let code = child.wait()?.code().context("the emulator was ended by a signal")?;
    Ok(u8::try_from(code)?)
}

fn start(board: &Board, command: &mut Command) -> Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("cannot start {name} for {}", board.name))
}

/// Copies standard input to the port; at its end the board is told to stop.
fn forward(port: &mut ChildStdin) -> std::io::Result<()> {
    let mut input = std::io::stdin().lock();
    let mut last = b'\n';
    let mut buffer = [0; 4096];
    loop {
        match input.read(&mut buffer)? {
            0 => break,
            count => {
                port.write_all(&buffer[..count])?;
                port.flush()?;
                last = buffer[count - 1];
            }
        }
    }
    port.write_all(if last == b'\n' { b":quit\n" } else { b"\n:quit\n" })
}

/// A board that runs, its port on pipes; dropping it switches it off.
pub struct Device {
    child: Child,
    port: ChildStdin,
    lines: Receiver<String>,
    _flash: TempDir,
}

impl Device {
    /// Boots `image` with `model` in its first slot, erased flash without one.
    pub fn boot(board: &Board, image: &Path, model: Option<&Path>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let flash = folder.path().join("flash");
        format(board, &flash, model)?;
        let mut command = command(board, image, &flash, Port::Streams, Pace::Counted)?;
        let mut child = start(board, command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let port = child.stdin.take().context("the port is a pipe")?;
        let output = child.stdout.take().context("the port is a pipe")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                let text = String::from_utf8_lossy(&line);
                if sender.send(text.trim_end_matches('\r').to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, port, lines, _flash: folder })
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = self.port.write_all(bytes).and_then(|()| self.port.flush());
        sent.context("the board takes no input")
    }

    /// The next line that the board sends.
    pub fn line(&mut self) -> Result<String> {
        self.lines.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                anyhow!("the board was silent for {} s", PATIENCE.as_secs())
            }
            RecvTimeoutError::Disconnected => anyhow!("the board ended"),
        })
    }

    /// Sends one line and returns the line that answers it.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.send(line.as_bytes())?;
        self.send(b"\n")?;
        self.line().with_context(|| format!("no answer to {line:?}"))
    }

    /// What the board says about itself once it is there.
    pub fn greeting(&mut self, board: &Board) -> Result<Info> {
        if board.is_qemu() {
            return Info::parse("ready", &self.line()?);
        }
        // Over USB nobody was there to hear it: the host had not yet found the device.
        Info::parse("info", &self.ask(":info")?)
    }

    /// Ends the board, and expects code 0 of one that ends by itself.
    pub fn finish(mut self, board: &Board) -> Result<()> {
        if board.is_qemu() {
            self.send(b":quit\n")?;
            let code = self.code()?;
            ensure!(code == 0, "the board ended with code {code}");
        }
        Ok(())
    }

    /// Waits for the board to end by itself and returns its exit code.
    pub fn code(mut self) -> Result<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return status.code().context("the emulator was ended by a signal");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the board did not end within {} s", PATIENCE.as_secs())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A TCP port that is free at this moment; the emulator that it is for takes it at once.
///
/// It lies below those that systems give to outgoing connections: a connection from such a port to the
/// same one succeeds without anybody listening.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16;
    for _ in 0..PORTS {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + step % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no TCP port from {FIRST_PORT} on is free")
}

/// A board that runs, its port on TCP, its flash in a file that outlives it. Dropping it is a power cut.
pub struct Remote {
    child: Child,
    pub port: u16,
}

impl Remote {
    /// Boots `image` with the flash in `flash`.
    pub fn boot(board: &Board, image: &Path, flash: &Path, pace: Pace) -> Result<Self> {
        let port = free_port()?;
        let mut command = command(board, image, flash, Port::Listen(port), pace)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: start(board, &mut command)?, port })
    }

    pub fn connect(&mut self) -> Result<TcpStream> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    return Ok(stream);
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(error).context("the emulator does not listen"),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the emulator ended: {status}");
            }
        }
    }

    /// Ends the emulator at once, whatever the board is doing.
    pub fn cut(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Fails only where the process has ended already.
        let _ = self.cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::BOARDS;

    #[test]
    fn a_flash_file_is_erased_and_holds_the_model_where_the_first_slot_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, file) = (folder.path().join("model"), folder.path().join("flash"));
        std::fs::write(&model, b"QDLM").expect("a file");
        for board in &BOARDS {
            format(board, &file, Some(&model)).expect("a flash file");
            let bytes = std::fs::read(&file).expect("the file");
            let at = if board.is_qemu() { 0 } else { 1 << 20 };
            assert_eq!(&bytes[at..at + 5], b"QDLM\xff", "{}", board.name);
            assert_eq!(bytes.iter().filter(|&&byte| byte == ERASED).count() % 4096, 4096 - 4);
        }
    }

    #[test]
    fn a_model_longer_than_a_slot_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let model = folder.path().join("model");
        std::fs::write(&model, vec![0; (16 << 10) + 1]).expect("a file");
        let board = boards::named("lm3s6965evb").expect("a board");
        assert!(format(board, &folder.path().join("flash"), Some(&model)).is_err());
    }
}
