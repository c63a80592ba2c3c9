//! The same text on the device and on the host: asks both, and compares the answers.

use crate::emulator::{Pace, Remote};
use crate::shell::Run;
use anyhow::{Context, Result, ensure};
use qdllm_host::boards::{Board, Engine};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use qdllm_runtime::{Model, ScratchI16};
use serde::Deserialize;
use serde_json::Value;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// One sentence a class, in words of a person and not of the training templates.
pub const SENTENCES: [&str; 8] = [
    "turn on the lamp in the hallway",
    "turn off the porch light",
    "dim the bedroom lights to thirty percent",
    "set the heating in the office to 21 degrees",
    "set a timer for ten minutes",
    "play the next song in the kitchen",
    "is the back door locked",
    "add milk and eggs to the shopping list",
];

/// A word that no model knows.
pub const UNKNOWN: &str = "qwrtz";

/// The largest difference of a probability that the two number formats and libraries may make.
pub const TOLERANCE: f64 = 1e-4;

/// The same for the circuit in 16-bit integers against the one in `f32`.
pub const TOLERANCE_I16: f64 = 1e-3;

/// How far the shortest decimal of an `f32` may be from the number itself.
const DECIMALS: f64 = 1e-7;

/// One classified text, as either side gives it.
#[derive(Debug, Deserialize)]
pub struct Answer {
    pub label: String,
    pub class: usize,
    pub probability: f64,
    pub probabilities: Vec<f64>,
    /// N-grams of the text that the model knows.
    pub found: u32,
    pub rejected: bool,
    /// Instructions that the classification took; 0 on the host.
    #[serde(skip)]
    pub instructions: u64,
}

impl Answer {
    /// Reads the lines of `qdllm classify --json` or `qdllm-hw board classify --json`, one a text.
    fn from_host(said: &str, texts: &[String]) -> Result<Vec<Self>> {
        let read = |line| {
            serde_json::from_str(line).with_context(|| format!("the host answered {line:?}"))
        };
        let answers = said.lines().map(read).collect::<Result<Vec<Self>>>()?;
        ensure!(answers.len() == texts.len(), "{} answers to {}", answers.len(), texts.len());
        Ok(answers)
    }

    /// Classes by falling probability; equal ones by rising index.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        order
    }

    /// What differs between the board's answer and the host's, probabilities by more than `tolerance`.
    pub fn difference(&self, host: &Self, tolerance: f64) -> Option<String> {
        if (self.class, &self.label) != (host.class, &host.label) {
            let [board, host] = [self, host].map(|a| format!("class {} ({})", a.class, a.label));
            return Some(format!("{board} against {host}"));
        }
        if (self.found, self.rejected) != (host.found, host.rejected) {
            let [board, host] = [self, host].map(|a| (a.found, a.rejected));
            return Some(format!("n-grams found, rejected: {board:?} against {host:?}"));
        }
        if self.probabilities.len() != host.probabilities.len() {
            return Some("another number of classes".to_owned());
        }
        let worst = self.largest_gap(host);
        if worst > tolerance || worst.is_nan() {
            return Some(format!("a probability differs by {worst:e}"));
        }
        // The board rounds to six decimals: classes that this makes equal may stand in any order.
        let shown: Vec<f64> = host.order().iter().map(|&class| self.probabilities[class]).collect();
        if shown.windows(2).any(|pair| pair[0] < pair[1]) {
            return Some(format!("another order: {:?} against {:?}", self.order(), host.order()));
        }
        None
    }

    /// The largest difference of any probability; NaN if one is.
    pub fn largest_gap(&self, host: &Self) -> f64 {
        let all = self.probabilities.iter().zip(&host.probabilities).map(|(a, b)| (a - b).abs());
        all.chain([(self.probability - host.probability).abs()])
            .fold(0.0, |worst: f64, gap| if worst.is_nan() || gap <= worst { worst } else { gap })
    }
}

/// Classifies `texts` with the program `qdllm`.
pub fn on_host(qdllm: &Path, model: &Path, texts: &[String]) -> Result<Vec<Answer>> {
    let mut input = tempfile::tempfile()?;
    texts.iter().try_for_each(|text| writeln!(input, "{text}"))?;
    input.rewind()?;
    let mut command = Command::new(qdllm);
    command.arg("classify").arg(model).arg("--json").stdin(input).stderr(Stdio::inherit());
    let shown = command.shown();
    let output = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(output.status.success(), "`{shown}` failed: {}", output.status);
    Answer::from_host(&String::from_utf8(output.stdout)?, texts).context(shown)
}

/// Classifies `texts` with the circuit in 16-bit integers, here and now.
fn on_host_i16(model: &Path, texts: &[String]) -> Result<Vec<Answer>> {
    let bytes = files::read(model)?;
    let model = Model::parse(&bytes).of_file(model)?;
    let mut scratch = ScratchI16::new();
    let mut answer = |text: &String| -> Result<Answer> {
        let prediction = model.classify_i16(text, &mut scratch)?;
        Ok(Answer {
            label: model.label(prediction.class()).to_owned(),
            class: prediction.class(),
            probability: prediction.probability().into(),
            probabilities: prediction.probabilities().iter().copied().map(f64::from).collect(),
            found: prediction.found(),
            rejected: prediction.is_rejected(),
            instructions: 0,
        })
    };
    texts.iter().map(&mut answer).collect()
}

/// An emulated board and the program that talks to it.
pub struct Link<'a> {
    program: &'a Path,
    engine: Engine,
    port: String,
    _remote: Remote,
}

impl<'a> Link<'a> {
    /// Boots `image` with the flash in `flash`; instructions are counted where the emulator can.
    pub fn boot(program: &'a Path, board: &Board, image: &Path, flash: &Path) -> Result<Self> {
        let remote = Remote::boot(board, image, flash, Pace::Counted)?;
        let port = format!("tcp:127.0.0.1:{}", remote.port);
        Ok(Self { program, engine: board.engine, port, _remote: remote })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["board", "--port", &self.port, "--json"]).args(arguments);
        command
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.command(arguments).read()?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed {text:?}"))
    }

    pub fn info(&self) -> Result<Value> {
        self.json(&["info"])
    }

    pub fn bench(&self) -> Result<Value> {
        self.json(&["bench", "--runs", "3"])
    }

    fn classify(&self, texts: &[String]) -> Result<Vec<Answer>> {
        Answer::from_host(&self.command(&["classify", "--"]).args(texts).read()?, texts)
    }

    /// Puts a model, in a step of its own or in one with the activation, and lets the board use it.
    pub fn replace(&self, model: &Path, at_once: bool) -> Result<()> {
        let bytes = std::fs::metadata(model).of_file(model)?.len();
        let file = model.display().to_string();
        if at_once {
            self.json(&["put", &file, "--activate"])?;
        } else {
            let before = self.info()?;
            let put = self.json(&["put", &file])?;
            let kept = put["active_slot"] == before["active_slot"];
            ensure!(kept, "put alone changed the slot in use");
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
    pub fn ask(link: &Link<'_>, qdllm: &Path, model: &Path, texts: &[String]) -> Result<Self> {
        let (board, exact) = (link.classify(texts)?, on_host(qdllm, model, texts)?);
        let (twin, tolerance, digits) = match link.engine {
            Engine::F32 => (None, TOLERANCE, TOLERANCE),
            Engine::I16 => (Some(on_host_i16(model, texts)?), TOLERANCE_I16, DECIMALS),
        };
        let twin = twin.as_ref().unwrap_or(&exact);
        let mut differences = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let (board, exact) = (&board[i], &exact[i]);
            if board.class != exact.class || board.largest_gap(exact) > tolerance {
                let [board, exact] = [board, exact].map(|answer| answer.probability);
                let found = format!("{text:?}: {board} against {exact} of the exact circuit");
                differences.push(found);
            } else if let Some(difference) = board.difference(&twin[i], digits) {
                differences.push(format!("{text:?}: {difference}"));
            }
        }
        Ok(Self { board, exact, tolerance, differences })
    }

    pub fn gap(&self) -> f64 {
        let gaps = self.board.iter().zip(&self.exact).map(|(a, b)| a.largest_gap(b));
        gaps.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, TOLERANCE};

    fn answer(probabilities: &[f64]) -> Answer {
        let class = (0..probabilities.len()).max_by(|&a, &b| {
            let [a, b] = [a, b].map(|class| probabilities[class]);
            a.total_cmp(&b)
        });
        let class = class.unwrap_or(0);
        Answer {
            label: format!("class {class}"),
            class,
            probability: probabilities[class],
            probabilities: probabilities.to_vec(),
            found: 1,
            rejected: false,
            instructions: 0,
        }
    }

    fn differ(board: &[f64], host: &[f64]) -> bool {
        answer(board).difference(&answer(host), TOLERANCE).is_some()
    }

    #[test]
    fn equal_answers_agree_and_small_gaps_are_allowed() {
        assert!(!differ(&[0.2, 0.7, 0.1], &[0.2, 0.7, 0.1]));
        assert!(!differ(&[0.20009, 0.69995, 0.09996], &[0.2, 0.7, 0.1]));
    }

    #[test]
    fn larger_gaps_other_classes_and_other_sizes_differ() {
        assert!(differ(&[0.2002, 0.7, 0.0998], &[0.2, 0.7, 0.1]));
        assert!(differ(&[0.50001, 0.49999], &[0.49999, 0.50001]));
        assert!(differ(&[0.3, 0.7], &[0.2, 0.7, 0.1]));
        let mut nan = answer(&[0.2, 0.7, 0.1]);
        nan.probabilities[2] = f64::NAN;
        assert!(nan.difference(&answer(&[0.2, 0.7, 0.1]), TOLERANCE).is_some());
    }

    #[test]
    fn the_order_of_the_lesser_classes_counts() {
        assert!(differ(&[0.8, 0.10001, 0.09999], &[0.8, 0.09999, 0.10001]));
        // What six decimals show as equal has no order.
        assert!(!differ(&[0.8, 0.1, 0.1], &[0.8, 0.0999999, 0.1000001]));
    }
}
