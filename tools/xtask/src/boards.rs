//! The boards that run under an emulator: how each is built, started, and where its flash is kept.

use crate::firmware::Program;
use crate::repo::Repo;
use crate::setup::QEMU;
use crate::shell::{Run, which};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What erased flash reads as.
const ERASED: u8 = 0xff;

/// A board under an emulator.
#[derive(Debug)]
pub struct Board {
    /// Its name, which is that of its folder.
    pub name: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// What its core is.
    pub core: &'static str,
    /// The back end that its image is built with.
    pub engine: Engine,
    /// Where its flash lies.
    flash: Flash,
}

/// The back end of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The exact circuit in `f32`.
    F32,
    /// The exact circuit in 16-bit integers.
    I16,
}

/// How an emulator keeps a board's flash in a file.
#[derive(Debug)]
enum Flash {
    /// QEMU maps the file as the board's whole memory of so many bytes; slots come first in it.
    Mapped { machine: &'static str, memory_bytes: u64, slots_bytes: u64 },
    /// The program reads and writes the file by semihosting.
    Semihosting { machine: &'static str, slots_bytes: u64 },
    /// The Pico's emulator: the file is the whole flash chip; slots begin at `slots`.
    Chip { bytes: u64, slots: u64 },
}

/// All of them. The first is the one that tests of the firmware itself use.
pub const BOARDS: [Board; 4] = [
    Board {
        name: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        core: "Cortex-M4F",
        engine: Engine::F32,
        flash: Flash::Mapped {
            machine: "mps2-an386",
            memory_bytes: 16 << 20,
            slots_bytes: 256 << 10,
        },
    },
    Board {
        name: "mps2-an505",
        target: "thumbv8m.main-none-eabihf",
        core: "Cortex-M33",
        engine: Engine::F32,
        flash: Flash::Mapped {
            machine: "mps2-an505",
            memory_bytes: 16 << 20,
            slots_bytes: 256 << 10,
        },
    },
    Board {
        name: "lm3s6965evb",
        target: "thumbv7m-none-eabi",
        core: "Cortex-M3",
        engine: Engine::I16,
        flash: Flash::Semihosting { machine: "lm3s6965evb", slots_bytes: 32 << 10 },
    },
    Board {
        name: "pico",
        target: "thumbv6m-none-eabi",
        core: "Cortex-M0+",
        engine: Engine::I16,
        flash: Flash::Chip { bytes: 2 << 20, slots: 1 << 20 },
    },
];

/// The board of that name.
///
/// # Errors
/// When there is none; the message names those that there are.
pub fn named(name: &str) -> Result<&'static Board> {
    let found = BOARDS.iter().find(|board| board.name == name);
    let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
    found.with_context(|| {
        format!("no emulated board is called {name:?}; there are {}", names.join(", "))
    })
}

/// How time passes for the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One nanosecond an instruction, so that counts repeat.
    Counted,
    /// As fast as this machine can; nothing is counted.
    Free,
}

/// Which of a board's ports a program of this machine gets, and how.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// The board's first port on the emulator's standard streams.
    Streams,
    /// The board's first port on a TCP port that the emulator listens on.
    Listen(u16),
}

impl Board {
    /// Builds its image and returns the file.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build(&self, repo: &Repo) -> Result<PathBuf> {
        let name = format!("qdllm-{}", self.name);
        let program = Program {
            package: &name,
            name: &name,
            target: self.target,
            profile: "release",
            features: None,
        };
        program.build(repo)
    }

    /// Whether it takes QEMU to run it.
    pub fn is_qemu(&self) -> bool {
        !matches!(self.flash, Flash::Chip { .. })
    }

    /// Makes the file that keeps its flash: erased, with `model` bare at the front of the first slot.
    ///
    /// # Errors
    /// When the file cannot be written or the model is longer than a slot.
    pub fn format(&self, file: &Path, model: Option<&Path>) -> Result<()> {
        let (total, start, slots) = match self.flash {
            Flash::Mapped { memory_bytes, slots_bytes, .. } => (memory_bytes, 0, slots_bytes),
            Flash::Semihosting { slots_bytes, .. } => (slots_bytes, 0, slots_bytes),
            Flash::Chip { bytes, slots } => (bytes, slots, bytes - slots),
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
            self.name,
            slots / 2
        );
        let shown = || format!("cannot write {}", file.display());
        let mut out = File::create(file).with_context(shown)?;
        // What is no flash stays a hole in the file.
        let erased = vec![ERASED; usize::try_from(if start > 0 { total } else { slots })?];
        out.write_all(&erased).with_context(shown)?;
        out.set_len(total).with_context(shown)?;
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&model).with_context(shown)?;
        Ok(())
    }

    /// The emulator's command line for `image`, its flash kept in `flash`.
    ///
    /// # Errors
    /// When the emulator is not there.
    pub fn emulator(&self, image: &Path, flash: &Path, port: Port, pace: Pace) -> Result<Command> {
        // QEMU splits options at commas and takes a doubled one as itself.
        let file = flash.display().to_string().replace(',', ",,");
        let serial = match port {
            Port::Streams => "stdio".to_owned(),
            Port::Listen(port) => format!("tcp:127.0.0.1:{port},server=on,wait=off"),
        };
        let semihosting = "enable=on,target=native";
        let mut command = Command::new(QEMU);
        match &self.flash {
            Flash::Mapped { machine, memory_bytes, .. } => {
                command.arg("-object").arg(format!(
                    "memory-backend-file,id=memory,size={memory_bytes},share=on,mem-path={file}"
                ));
                command.arg("-M").arg(format!("{machine},memory-backend=memory"));
                command.args(["-semihosting-config", semihosting]);
            }
            Flash::Semihosting { machine, .. } => {
                command.args(["-M", machine]);
                command.arg("-semihosting-config").arg(format!("{semihosting},arg={file}"));
            }
            Flash::Chip { .. } => return pico(image, flash, port),
        }
        command.args(["-display", "none", "-monitor", "none", "-serial", &serial]);
        if pace == Pace::Counted {
            command.args(["-icount", "shift=0"]);
        }
        command.arg("-kernel").arg(image);
        Ok(command)
    }
}

/// The Pico's emulator, installed at its first use.
fn pico(image: &Path, flash: &Path, port: Port) -> Result<Command> {
    let folder = pico_emulator(&Repo::find()?)?;
    let mut command = Command::new("node");
    let port = match port {
        Port::Streams => "stdio".to_owned(),
        Port::Listen(port) => port.to_string(),
    };
    command.arg(folder.join("run.mjs")).args(["--usb", &port, "--flash"]).arg(flash).arg(image);
    Ok(command)
}

/// The folder of the Pico's emulator with everything that it needs.
///
/// # Errors
/// When node or npm is missing, or npm cannot install the emulator.
pub fn pico_emulator(repo: &Repo) -> Result<PathBuf> {
    let folder = repo.firmware.join("boards/pico/emulator");
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
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flash_file_is_erased_and_holds_the_model_where_the_first_slot_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, file) = (folder.path().join("model"), folder.path().join("flash"));
        std::fs::write(&model, b"QDLM").expect("a file");
        for board in &BOARDS {
            board.format(&file, Some(&model)).expect("a flash file");
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
        assert!(board.format(&folder.path().join("flash"), Some(&model)).is_err());
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = named("pica").expect_err("no board");
        assert!(error.to_string().contains("mps2-an386, mps2-an505, lm3s6965evb, pico"));
    }
}
