//! The same text on the device and on the host: reads the answers and compares them.

use crate::shell::Run;
use anyhow::{Context, Result, ensure};
use qdllm_runtime::{Model, ScratchI16};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

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

/// The largest difference of a probability that the two number formats and libraries may make.
pub const TOLERANCE: f64 = 1e-4;

/// The same for the circuit in 16-bit integers against the one in `f32`.
pub const TOLERANCE_I16: f64 = 1e-3;

/// One classified text, as either side gives it.
#[derive(Debug)]
pub struct Answer {
    pub label: String,
    pub class: usize,
    pub probability: f64,
    pub probabilities: Vec<f64>,
    /// Instructions that the classification took; 0 on the host.
    pub instructions: u64,
}

impl Answer {
    /// Reads one JSON line of `qdllm classify --json` or `qdllm-hw board classify --json`.
    pub fn from_host(line: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(line).with_context(|| format!("the host answered {line:?}"))?;
        let parse = || {
            let all = value["probabilities"].as_array()?;
            Some(Self {
                label: value["label"].as_str()?.to_owned(),
                class: usize::try_from(value["class"].as_u64()?).ok()?,
                probability: value["probability"].as_f64()?,
                probabilities: all.iter().map(Value::as_f64).collect::<Option<_>>()?,
                instructions: 0,
            })
        };
        parse().with_context(|| format!("the host answered {line:?}"))
    }

    /// Classes by falling probability; equal ones by rising index.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        order
    }

    /// What differs between the board's answer and the host's, or nothing.
    pub fn difference(&self, host: &Self) -> Option<String> {
        self.difference_within(host, TOLERANCE)
    }

    /// Likewise, with another largest difference of a probability.
    pub fn difference_within(&self, host: &Self, tolerance: f64) -> Option<String> {
        if (self.class, &self.label) != (host.class, &host.label) {
            return Some(format!(
                "class {} ({}) against {} ({})",
                self.class, self.label, host.class, host.label
            ));
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

pub fn on_host(qdllm: &Path, model: &Path, texts: &[String]) -> Result<Vec<Answer>> {
    let run = Run::new(qdllm).arg("classify").arg(model).arg("--json");
    let shown = run.shown().to_owned();
    let mut child = run
        .into_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let mut input = child.stdin.take().context("the input is a pipe")?;
    let lines: String = texts.iter().flat_map(|text| [text.as_str(), "\n"]).collect();
    // In a thread: the program answers while it still reads, and both pipes have an end.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output()?;
    let written = writer.join();
    ensure!(output.status.success(), "`{shown}` failed: {}", output.status);
    written.map_err(|_| anyhow::anyhow!("the writer stopped"))??;
    let text = String::from_utf8(output.stdout)?;
    let answers = text.lines().map(Answer::from_host).collect::<Result<Vec<_>>>()?;
    ensure!(
        answers.len() == texts.len(),
        "`{shown}` answered {} of {} texts",
        answers.len(),
        texts.len()
    );
    Ok(answers)
}

/// Classifies `texts` with the circuit in 16-bit integers, here and now.
pub fn on_host_i16(model: &Path, texts: &[String]) -> Result<Vec<Answer>> {
    let bytes = std::fs::read(model).with_context(|| format!("cannot read {}", model.display()))?;
    let model = Model::parse(&bytes).with_context(|| model.display().to_string())?;
    let mut scratch = ScratchI16::new();
    let mut answer = |text: &String| -> Result<Answer> {
        let prediction = model.classify_i16(text, &mut scratch)?;
        Ok(Answer {
            label: model.label(prediction.class()).to_owned(),
            class: prediction.class(),
            probability: prediction.probability().into(),
            probabilities: prediction.probabilities().iter().copied().map(f64::from).collect(),
            instructions: 0,
        })
    };
    texts.iter().map(&mut answer).collect()
}

#[cfg(test)]
mod tests {
    use super::Answer;

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
            instructions: 0,
        }
    }

    fn differ(board: &[f64], host: &[f64]) -> bool {
        answer(board).difference(&answer(host)).is_some()
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
        assert!(nan.difference(&answer(&[0.2, 0.7, 0.1])).is_some());
    }

    #[test]
    fn the_order_of_the_lesser_classes_counts() {
        assert!(differ(&[0.8, 0.10001, 0.09999], &[0.8, 0.09999, 0.10001]));
        // What six decimals show as equal has no order.
        assert!(!differ(&[0.8, 0.1, 0.1], &[0.8, 0.0999999, 0.1000001]));
    }
}
