//! Device against host: a freshly distilled model gives the same answers on both.

use super::count::Counts;
use super::{Outcome, TOPIC};
use crate::demo::SENTENCES;
use crate::firmware::Info;
use crate::parity::{on_device, on_host};
use crate::qemu::Device;
use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

/// Texts of the command set's test part that are compared, spread over all of it.
const TEXTS: usize = 200;

/// The test part of the embedded command set, `label TAB text`.
const TEST_PART: &str = "trainer/data/commands/test.tsv";

/// Builds `qdllm`, distills the demo's model and compares both sides, text by text.
///
/// # Errors
/// When a program fails; a text that differs is a failed test instead.
pub fn tests(repo: &Repo, image: &Path) -> Result<Outcome> {
    repo.host("cargo")
        .args(["build", "--release", "--quiet", "--package", "qdllm-trainer"])
        .go()?;
    let target = repo.target_dir()?;
    let qdllm = target.join("release/qdllm");
    let out = target.join("device-tests/demo");
    repo.host(&qdllm.display().to_string()).args(["demo", "--out"]).arg(&out).go()?;
    let model = out.join("model.qdm");

    let texts = texts(&repo.root.join(TEST_PART))?;
    let host = on_host(&qdllm, &model, &texts)?;
    let mut device = Device::boot(image, Some(&model))?;
    Info::parse("ready", &device.line()?)?;
    let board = on_device(&mut device, &texts)?;
    device.send(b":quit\n")?;
    let code = device.code()?;
    ensure!(code == 0, "the board ended with code {code}");

    let mut counts = Counts::default();
    for ((text, board), host) in texts.iter().zip(&board).zip(&host) {
        match board.difference(host) {
            None => counts.passed += 1,
            Some(difference) => {
                counts.failed += 1;
                say(TOPIC, format!("FAILED: {text:?}: {difference}"));
            }
        }
    }
    let gap =
        board.iter().zip(&host).map(|(board, host)| board.largest_gap(host)).fold(0.0, f64::max);
    let most = board.iter().map(|answer| answer.instructions).max().unwrap_or(0);
    say(TOPIC, format!("largest difference {gap:.1e}; at most {most} instructions"));
    Ok(Outcome::Done(counts))
}

/// The demo's sentences and [`TEXTS`] of the test part.
fn texts(file: &Path) -> Result<Vec<String>> {
    let rows =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rows: Vec<&str> =
        rows.lines().filter_map(|row| row.split_once('\t')).map(|(_, text)| text).collect();
    ensure!(
        rows.len() >= TEXTS,
        "{} has {} texts, {TEXTS} are compared",
        file.display(),
        rows.len()
    );
    let spread = (0..TEXTS).map(|i| rows[i * rows.len() / TEXTS]);
    Ok(SENTENCES.into_iter().chain(spread).map(str::to_owned).collect())
}
