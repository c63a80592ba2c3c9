//! The client under trial: the real `qdllm teach`, run to its end or ended on the way.

use anyhow::{Context, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// One way of calling `qdllm teach`.
#[derive(Clone)]
pub struct Client {
    /// The program.
    pub qdllm: PathBuf,
    /// Where it runs and writes; the texts stand in `texts.txt` there.
    pub folder: PathBuf,
    /// The result's name, and the cache's before `.cache`.
    pub name: String,
    /// Arguments beside those of files.
    pub arguments: Vec<String>,
}

/// How a run came to its end.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it said to the error stream.
    pub said: String,
    /// How often it was ended and started again before.
    pub kills: u32,
}

impl Client {
    /// The same, with more arguments.
    pub fn with(&self, more: &[&str]) -> Self {
        let mut other = self.clone();
        other.arguments.extend(more.iter().map(ToString::to_string));
        other
    }

    /// The file of soft labels.
    pub fn labels(&self) -> PathBuf {
        self.folder.join(format!("{}.jsonl", self.name))
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn start(&self) -> Result<Child> {
        let log = File::create(self.log())?;
        Command::new(&self.qdllm)
            .current_dir(&self.folder)
            .env_remove("QDLLM_API_KEY")
            .args(["teach", "--json", "--unlabelled", "texts.txt", "--out"])
            .arg(self.labels())
            .arg("--cache")
            .arg(self.folder.join(format!("{}.cache", self.name)))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.qdllm.display()))
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn run(&self) -> Result<Ended> {
        let status = self.start()?.wait()?;
        Ok(Ended { status, said: self.said()?, kills: 0 })
    }

    /// Starts it, ends it by SIGKILL after a time by chance, at most `longest`, and starts it again; the start
    /// after `most` kills lives on. `look` runs after each kill.
    ///
    /// # Errors
    /// When it cannot start, and those of `look`.
    pub fn run_interrupted(
        &self,
        chance: &mut ChaCha8Rng,
        (most, longest): (u32, Duration),
        look: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Ended> {
        let mut kills = 0;
        loop {
            let mut child = self.start()?;
            let (born, life) = (Instant::now(), longest.mul_f64(chance.random_range(0.02..1.0)));
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break Some(status);
                }
                if kills < most && born.elapsed() > life {
                    child.kill()?;
                    child.wait()?;
                    break None;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            look()?;
            match status {
                Some(status) => return Ok(Ended { status, said: self.said()?, kills }),
                None => kills += 1,
            }
        }
    }

    /// The log, however it is written.
    fn said(&self) -> Result<String> {
        let log = self.log();
        let bytes =
            std::fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
