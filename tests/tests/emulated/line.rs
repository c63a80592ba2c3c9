//! The board's answer line, as its console gives it.

use anyhow::{Context, Result, bail};
use xtask::answer::Answer;
use xtask::emulator::Device;

/// Reads the board's answer line.
///
/// # Errors
/// When the line is a refusal or has another form.
pub fn answer(line: &str) -> Result<Answer> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [label, probability, instructions, class, all] = fields.get(..5).unwrap_or_default() else {
        bail!("the board answered {line:?}");
    };
    let parse = || -> Result<Answer> {
        let probabilities = all.split(',').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Answer {
            label: (*label).to_owned(),
            class: class.parse()?,
            probability: probability.parse()?,
            probabilities,
            instructions: instructions.parse()?,
        })
    };
    parse().with_context(|| format!("the board answered {line:?}"))
}

/// Classifies `texts` on a running board.
///
/// # Errors
/// When the board refuses one or is gone.
pub fn answers(device: &mut Device, texts: &[String]) -> Result<Vec<Answer>> {
    texts.iter().map(|text| answer(&device.ask(text)?)).collect()
}

#[test]
fn the_boards_line_is_read_and_refusals_are_not_answers() {
    let line = "timer\t0.512300\t1600120\t1\t0.400000,0.512300,0.087700\trejected";
    let read = answer(line).expect("a line of the protocol");
    assert_eq!((read.label.as_str(), read.class, read.instructions), ("timer", 1, 1_600_120));
    assert_eq!(read.probabilities, [0.4, 0.5123, 0.0877]);
    for line in ["!100\tline longer than 1024 bytes", "", "timer\t0.5\tmany\t1\t0.5,0.5"] {
        assert!(answer(line).is_err(), "{line:?}");
    }
}
