//! The same text on the device and on the host: parses both answers and compares them.

use crate::qemu::Device;
use crate::shell::Run;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// The largest difference of a probability that the two number formats and libraries may make.
pub const TOLERANCE: f64 = 1e-4;

/// One classified text, as either side gives it.
#[derive(Debug)]
pub struct Answer {
    /// The class's name.
    pub label: String,
    /// The class's index.
    pub class: usize,
    /// The class's probability.
    pub probability: f64,
    /// All classes' probabilities.
    pub probabilities: Vec<f64>,
    /// Instructions that the classification took; 0 on the host.
    pub instructions: u64,
}

impl Answer {
    /// Reads the board's answer line.
    ///
    /// # Errors
    /// When the line is a refusal or has another form.
    pub fn from_device(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [label, probability, instructions, class, all] = fields.get(..5).unwrap_or_default()
        else {
            bail!("the board answered {line:?}");
        };
        let parse = || -> Result<Self> {
            let probabilities = all.split(',').map(str::parse).collect::<Result<_, _>>()?;
            Ok(Self {
                label: (*label).to_owned(),
                class: class.parse()?,
                probability: probability.parse()?,
                probabilities,
                instructions: instructions.parse()?,
            })
        };
        parse().with_context(|| format!("the board answered {line:?}"))
    }

    /// Reads one JSON line of `qdllm classify --json`.
    fn from_host(line: &str) -> Result<Self> {
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
        if worst > TOLERANCE || worst.is_nan() {
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
            .fold(0.0, |worst: f64, gap| if gap.is_nan() { gap } else { worst.max(gap) })
    }
}

/// Classifies `texts` with the host's `qdllm`.
///
/// # Errors
/// When the program fails or answers another number of lines.
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

/// Classifies `texts` on a running board.
///
/// # Errors
/// When the board refuses one or is gone.
pub fn on_device(device: &mut Device, texts: &[String]) -> Result<Vec<Answer>> {
    texts.iter().map(|text| Answer::from_device(&device.ask(text)?)).collect()
}
