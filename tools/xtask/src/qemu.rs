//! Boots an image on the emulated board and talks to it over its serial port.

use crate::elf::Image;
use crate::setup::QEMU;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The board: Arm's MPS2 with FPGA image AN386, a Cortex-M4F.
const MACHINE: &str = "mps2-an386";

/// The longest that any one answer may take; a loaded machine needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `cargo xtask qemu-run`.
#[derive(Args)]
pub struct Options {
    /// The image, an ELF for the board
    image: PathBuf,
    /// The model file to put into the model's flash region
    #[arg(long)]
    model: Option<PathBuf>,
}

/// The emulator's command line. The image itself says where its model's region begins.
fn command(image: &Path, model: Option<&Path>) -> Result<Command> {
    let mut command = Command::new(QEMU);
    command.args(["-M", MACHINE, "-display", "none", "-monitor", "none", "-serial", "stdio"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-icount", "shift=0"]);
    if let Some(model) = model {
        if !model.is_file() {
            bail!("{}: no such model file", model.display());
        }
        let at = Image::read(image)?.address("_model_start")?;
        // QEMU splits options at commas and takes a doubled one as itself.
        let file = model.display().to_string().replace(',', ",,");
        command.arg("-device").arg(format!("loader,file={file},addr={at:#x},force-raw=on"));
    }
    command.arg("-kernel").arg(image);
    Ok(command)
}

/// `cargo xtask qemu-run`: the board's serial port becomes this program's input and output, and the
/// board's exit code its own.
///
/// # Errors
/// When QEMU cannot start.
pub fn run(options: &Options) -> Result<u8> {
    let mut command = command(&options.image, options.model.as_deref())?;
    // Lines go through a pipe: on a terminal QEMU would switch echo and line editing off.
    let mut child =
        command.stdin(Stdio::piped()).spawn().with_context(|| format!("cannot start {QEMU}"))?;
    let mut port = child.stdin.take().context("the port is a pipe")?;
    std::thread::spawn(move || forward(&mut port));
    let code = child.wait()?.code().context("QEMU was ended by a signal")?;
    Ok(u8::try_from(code)?)
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

/// A board that runs; dropping it switches it off.
pub struct Device {
    child: Child,
    port: ChildStdin,
    lines: Receiver<String>,
    booted: Instant,
}

impl Device {
    /// Boots `image` with `model` in its flash region.
    ///
    /// # Errors
    /// When QEMU cannot start or the model file is missing.
    pub fn boot(image: &Path, model: Option<&Path>) -> Result<Self> {
        let mut command = command(image, model)?;
        let booted = Instant::now();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {QEMU}"))?;
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
        Ok(Self { child, port, lines, booted })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the board is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.port
            .write_all(bytes)
            .and_then(|()| self.port.flush())
            .context("the board takes no input")
    }

    /// The next line that the board sends.
    ///
    /// # Errors
    /// When the board is silent for too long or gone.
    pub fn line(&mut self) -> Result<String> {
        self.lines.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                anyhow!("the board was silent for {} s", PATIENCE.as_secs())
            }
            RecvTimeoutError::Disconnected => anyhow!("the board ended"),
        })
    }

    /// Sends one line and returns the line that answers it.
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::line`].
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.send(line.as_bytes())?;
        self.send(b"\n")?;
        self.line().with_context(|| format!("no answer to {line:?}"))
    }

    /// Time since the emulator was started.
    pub fn age(&self) -> Duration {
        self.booted.elapsed()
    }

    /// Waits for the board to end by itself and returns its exit code.
    ///
    /// # Errors
    /// When it does not end.
    pub fn code(mut self) -> Result<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return status.code().context("QEMU was ended by a signal");
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
