//! Boots an image on an emulated board and talks to it over its port, as lines or over TCP.

use crate::repo::Repo;
use crate::setup::QEMU;
use crate::shell::{Run, which};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use qdllm_host::boards::{Board, Emulator, emulated};
use qdllm_host::files;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that any one answer may take; a loaded machine needs a fraction of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

const ERASED: u8 = 0xff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One nanosecond an instruction, so that counts repeat.
    Counted,
    /// As fast as this machine can; nothing is counted.
    Free,
}

/// The board of this name, if an emulator runs it.
pub fn named(name: &str) -> Result<&'static Board> {
    emulated().find(|board| board.name == name).with_context(|| {
        let names: Vec<&str> = emulated().map(|board| &*board.name).collect();
        format!("no emulated board is called {name:?}; there are {}", names.join(", "))
    })
}

fn emulator(board: &Board) -> Result<&Emulator> {
    board.emulator.as_ref().with_context(|| format!("no emulator runs {}", board.name))
}

/// Makes the file that keeps a board's flash: erased, with `model` bare at the front of the first slot.
pub fn format(board: &Board, file: &Path, model: Option<&Path>) -> Result<()> {
    let (total, start, slots) = match *emulator(board)? {
        Emulator::Mapped { memory_bytes, slots_bytes, .. } => (memory_bytes, 0, slots_bytes),
        Emulator::Semihosting { slots_bytes, .. } => (slots_bytes, 0, slots_bytes),
        Emulator::Chip { bytes, slots } => (bytes, slots, bytes - slots),
    };
    let model = model.map(files::read).transpose()?.unwrap_or_default();
    let (length, room, name) = (model.len() as u64, slots / 2, &board.name);
    ensure!(length <= room, "the model has {length} bytes, a slot of {name} {room}");
    let shown = || format!("cannot write {}", file.display());
    let mut out = File::create(file).with_context(shown)?;
    // What is no flash stays a hole in the file.
    let erased = vec![ERASED; usize::try_from(if start > 0 { total } else { slots })?];
    out.write_all(&erased).with_context(shown)?;
    out.set_len(total).with_context(shown)?;
    out.seek(SeekFrom::Start(start))?;
    out.write_all(&model).with_context(shown)
}

/// The emulator's command line for `image`, its flash kept in `flash`. The board's first port is on the
/// standard streams, or on a TCP port: with port 0 on a free one, which QEMU names at its monitor, then on
/// the standard streams, and the Pico's emulator on its error stream.
fn command(
    board: &Board,
    image: &Path,
    flash: &Path,
    tcp: Option<u16>,
    pace: Pace,
) -> Result<Command> {
    // QEMU splits options at commas and takes a doubled one as itself.
    let file = flash.display().to_string().replace(',', ",,");
    let semihosting = "enable=on,target=native";
    let mut command = Command::new(QEMU);
    match emulator(board)? {
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
        Emulator::Chip { .. } => return pico(image, flash, tcp),
    }
    let serial = match tcp {
        None => "stdio".to_owned(),
        Some(port) => format!("tcp:127.0.0.1:{port},server=on,wait=off"),
    };
    let monitor = if tcp == Some(0) { "stdio" } else { "none" };
    command.args(["-display", "none", "-monitor", monitor, "-serial", &serial]);
    if pace == Pace::Counted {
        command.args(["-icount", "shift=0"]);
    }
    command.arg("-kernel").arg(image);
    Ok(command)
}

/// The Pico's emulator, installed at its first use.
fn pico(image: &Path, flash: &Path, tcp: Option<u16>) -> Result<Command> {
    let folder = Repo::find()?.firmware.join("boards/pico/emulator");
    for program in ["node", "npm"] {
        if which(program).is_none() {
            bail!("{program} is not on PATH; the Pico's emulator needs Node.js 18 and npm");
        }
    }
    if !folder.join("node_modules/rp2040js/package.json").is_file() {
        let words = ["ci", "--no-audit", "--no-fund", "--silent"];
        Command::new("npm").args(words).current_dir(&folder).read()?;
    }
    let port = tcp.map_or("stdio".to_owned(), |port| port.to_string());
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
    let board = named(stem.strip_prefix("qdllm-").unwrap_or(&stem))?;
    let temporary = tempfile::tempdir()?;
    let flash = options.flash.clone().unwrap_or_else(|| temporary.path().join("flash"));
    if !flash.is_file() || options.model.is_some() {
        format(board, &flash, options.model.as_deref())?;
    }
    let mut command = command(board, &options.image, &flash, options.tcp, Pace::Counted)?;
    // Lines go through a pipe: on a terminal QEMU would switch echo and line editing off.
    let mut process = Process::start(board, command.stdin(Stdio::piped()))?;
    let mut input = process.0.stdin.take().context("the port is a pipe")?;
    if options.tcp.is_none() {
        std::thread::spawn(move || forward(&mut input));
    }
    let code = process.0.wait()?.code().context("the emulator was ended by a signal")?;
    Ok(u8::try_from(code)?)
}

/// Copies standard input to the port; at its end the board is told to stop.
fn forward(port: &mut ChildStdin) -> std::io::Result<()> {
    let mut input = std::io::stdin().lock();
    let mut last = b'\n';
    let mut buffer = [0; 4096];
    while let count @ 1.. = input.read(&mut buffer)? {
        port.write_all(&buffer[..count])?;
        last = buffer[count - 1];
    }
    port.write_all(if last == b'\n' { b":quit\n" } else { b"\n:quit\n" })
}

/// An emulator that runs; dropping it ends it.
struct Process(Child);

impl Process {
    fn start(board: &Board, command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn();
        child.map(Self).with_context(|| format!("cannot start {name} for {}", board.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of a stream, which is read to its end.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            // Nobody may listen any more.
            let text = String::from_utf8_lossy(&line);
            let _ = sender.send(text.trim_end_matches('\r').to_owned());
        }
    });
    lines
}

fn next(lines: &Receiver<String>) -> Result<String> {
    lines.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => anyhow!("the board was silent for {} s", PATIENCE.as_secs()),
        RecvTimeoutError::Disconnected => anyhow!("the board ended"),
    })
}

/// A board that runs, its port on pipes; dropping it switches it off.
pub struct Device {
    process: Process,
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
        let mut command = command(board, image, &flash, None, Pace::Counted)?;
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(board, command)?;
        let port = process.0.stdin.take().context("the port is a pipe")?;
        let output = process.0.stdout.take().context("the port is a pipe")?;
        Ok(Self { process, port, lines: lines(output), _flash: folder })
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.port.write_all(bytes).context("the board takes no input")
    }

    /// The next line that the board sends.
    pub fn line(&mut self) -> Result<String> {
        next(&self.lines)
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
            if let Some(status) = self.process.0.try_wait()? {
                return status.code().context("the emulator was ended by a signal");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the board did not end within {} s", PATIENCE.as_secs())
    }
}

/// What the board's `ready` and `:info` lines say, in bytes.
#[derive(Debug)]
pub struct Info {
    pub model_bytes: u64,
    /// All RAM of the classifier beside the stack.
    pub classifier_ram_bytes: u64,
    pub static_ram_bytes: u64,
    pub stack_bytes: u64,
}

impl Info {
    /// Reads a line that begins with `word`.
    pub fn parse(word: &str, line: &str) -> Result<Self> {
        if line.split('\t').next() != Some(word) {
            bail!("the board said {line:?} instead of {word:?}");
        }
        let value = |name: &str| -> Result<u64> {
            field(line, name)?.parse().with_context(|| format!("{name} in {line:?}"))
        };
        Ok(Self {
            model_bytes: value("model_bytes")?,
            classifier_ram_bytes: value("classifier_ram_bytes")?,
            static_ram_bytes: value("static_ram_bytes")?,
            stack_bytes: value("stack_bytes")?,
        })
    }
}

/// The value of `name=value` among a line's fields.
pub fn field<'l>(line: &'l str, name: &str) -> Result<&'l str> {
    let mut fields = line.split('\t').filter_map(|field| field.split_once('='));
    let found = fields.find(|(key, _)| *key == name);
    found.map(|(_, value)| value).with_context(|| format!("no {name} in {line:?}"))
}

/// A board that runs, its port on TCP, its flash in a file that outlives it. Dropping it is a power cut.
pub struct Remote {
    process: Process,
    pub port: u16,
}

impl Remote {
    /// Boots `image` with the flash in `flash`; the emulator listens when this returns.
    pub fn boot(board: &Board, image: &Path, flash: &Path, pace: Pace) -> Result<Self> {
        let mut command = command(board, image, flash, Some(0), pace)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(board, &mut command)?;
        let (output, errors) = (process.0.stdout.take(), process.0.stderr.take());
        let output = lines(output.context("the output is a pipe")?);
        let errors = lines(errors.context("the output is a pipe")?);
        let said = if board.is_qemu() {
            // The monitor stays open: its end is left in the process.
            let monitor = process.0.stdin.as_mut().context("the monitor is a pipe")?;
            monitor.write_all(b"info chardev\n").context("the emulator takes no input")?;
            output
        } else {
            errors
        };
        loop {
            let line = next(&said).context("the emulator does not listen")?;
            let Some((_, port)) = line.split_once("127.0.0.1:") else { continue };
            let digits = port.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            let port = digits.parse().with_context(|| format!("no port in {line:?}"))?;
            return Ok(Self { process, port });
        }
    }

    pub fn connect(&mut self) -> Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let stream = stream.context("the emulator does not listen")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Ends the emulator at once, whatever the board is doing.
    pub fn cut(&mut self) -> Result<()> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_host::boards::emulated;

    #[test]
    fn a_flash_file_is_erased_and_holds_the_model_where_the_first_slot_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, file) = (folder.path().join("model"), folder.path().join("flash"));
        std::fs::write(&model, b"QDLM").expect("a file");
        for board in emulated() {
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
        let board = named("lm3s6965evb").expect("a board");
        assert!(format(board, &folder.path().join("flash"), Some(&model)).is_err());
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = named("pica").expect_err("no board");
        assert!(error.to_string().contains("mps2-an386, mps2-an505, lm3s6965evb, pico"));
    }
}
