//! `qdllm-hw board` as a person runs it, on an emulated board whose serial port is a TCP port here.

use crate::answer::{Answer, TOLERANCE, TOLERANCE_I16, on_host, on_host_i16};
use crate::boards::{Board, Engine};
use crate::emulator::{Pace, Remote};
use crate::shell::Run;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

/// An emulated board and the program that talks to it.
pub struct Link<'a> {
    program: &'a Path,
    port: String,
    _remote: Remote,
}

impl<'a> Link<'a> {
    /// Boots `image` with the flash in `flash`; instructions are counted where the emulator can.
    pub fn boot(program: &'a Path, board: &Board, image: &Path, flash: &Path) -> Result<Self> {
        let mut remote = Remote::boot(board, image, flash, Pace::Counted)?;
        // The program gives up at once where nobody listens yet.
        drop(remote.connect()?);
        Ok(Self { program, port: format!("tcp:127.0.0.1:{}", remote.port), _remote: remote })
    }

    fn say(&self, arguments: &[&str]) -> Result<String> {
        let run = Run::new(self.program).args(["board", "--port", &self.port, "--json"]);
        run.args(arguments).read()
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.say(arguments)?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed {text:?}"))
    }

    pub fn info(&self) -> Result<Value> {
        self.json(&["info"])
    }

    pub fn bench(&self) -> Result<Value> {
        self.json(&["bench", "--runs", "3"])
    }

    pub fn classify(&self, texts: &[String]) -> Result<Vec<Answer>> {
        let arguments: Vec<&str> =
            ["classify", "--"].into_iter().chain(texts.iter().map(String::as_str)).collect();
        let said = self.say(&arguments)?;
        let answers = said.lines().map(Answer::from_host).collect::<Result<Vec<_>>>()?;
        ensure!(answers.len() == texts.len(), "{} answers to {}", answers.len(), texts.len());
        Ok(answers)
    }

    /// Puts a model, in a step of its own or in one with the activation, and lets the board use it.
    pub fn replace(&self, model: &Path, at_once: bool) -> Result<()> {
        let bytes = std::fs::metadata(model).with_context(|| model.display().to_string())?.len();
        let file = model.display().to_string();
        if at_once {
            self.json(&["put", &file, "--activate"])?;
        } else {
            let before = self.info()?;
            let put = self.json(&["put", &file])?;
            ensure!(
                put["active_slot"] == before["active_slot"],
                "put alone changed the slot in use"
            );
            self.json(&["activate"])?;
        }
        let info = self.info()?;
        ensure!(info["model"]["bytes"] == bytes, "the {bytes} bytes put are not in use: {info}");
        Ok(())
    }
}

/// Both sides' answers to the same texts.
pub struct Both {
    pub board: Vec<Answer>,
    pub exact: Vec<Answer>,
    /// The largest difference of a probability that is allowed.
    pub tolerance: f64,
    /// Texts that the two sides answer differently, and how.
    pub differences: Vec<String>,
}

impl Both {
    /// Classifies `texts` on the board and here.
    ///
    /// A board that computes in 16-bit integers is held to both: the exact circuit within
    /// [`TOLERANCE_I16`], and the same integers here to the last bit.
    pub fn ask(
        link: &Link<'_>,
        engine: Engine,
        qdllm: &Path,
        model: &Path,
        texts: &[String],
    ) -> Result<Self> {
        let (board, exact) = (link.classify(texts)?, on_host(qdllm, model, texts)?);
        let (twin, tolerance, digits) = match engine {
            Engine::F32 => (None, TOLERANCE, TOLERANCE),
            Engine::I16 => (Some(on_host_i16(model, texts)?), TOLERANCE_I16, DECIMALS),
        };
        let twin = twin.as_ref().unwrap_or(&exact);
        let mut differences = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let (board, exact) = (&board[i], &exact[i]);
            let far = board.class != exact.class || board.largest_gap(exact) > tolerance;
            let far = far.then(|| {
                format!("{} against {} of the exact circuit", board.probability, exact.probability)
            });
            let found = far.or_else(|| board.difference_within(&twin[i], digits));
            differences.extend(found.map(|difference| format!("{text:?}: {difference}")));
        }
        Ok(Self { board, exact, tolerance, differences })
    }

    pub fn gap(&self) -> f64 {
        let gaps = self.board.iter().zip(&self.exact).map(|(a, b)| a.largest_gap(b));
        gaps.fold(0.0, f64::max)
    }
}

/// How far the shortest decimal of an `f32` may be from the number itself.
const DECIMALS: f64 = 1e-7;
