//! Device against host: a freshly distilled model gives the same answers on both.

use super::line::answers;
use super::{image, program};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use xtask::answer::{SENTENCES, on_host};
use xtask::boards::BOARDS;
use xtask::emulator::Device;
use xtask::repo::Repo;
use xtask::shell::Run;

/// Texts of the command set's test part that are compared, spread over all of it.
const TEXTS: usize = 200;

/// The test part of the embedded command set, `label TAB text`.
const TEST_PART: &str = "trainer/data/commands/test.tsv";

/// Distills the demo's model and compares both sides, text by text.
#[test]
fn the_device_equals_the_host() -> Result<()> {
    let [board, ..] = &BOARDS;
    let Some(image) = image(board)? else { return Ok(()) };
    let qdllm = program("qdllm")?;
    let folder = tempfile::tempdir()?;
    Run::new(&qdllm).args(["demo", "--out"]).arg(folder.path()).quiet()?;
    let model = folder.path().join("model.qdm");

    let texts = texts(&Repo::find()?.root.join(TEST_PART))?;
    let host = on_host(&qdllm, &model, &texts)?;
    let mut device = Device::boot(board, &image, Some(&model))?;
    device.greeting(board)?;
    let answered = answers(&mut device, &texts)?;
    device.finish(board)?;

    let sides = texts.iter().zip(&answered).zip(&host);
    let differences: Vec<String> = sides
        .filter_map(|((text, board), host)| Some(format!("{text:?}: {}", board.difference(host)?)))
        .collect();
    let gaps = answered.iter().zip(&host).map(|(board, host)| board.largest_gap(host));
    let most = answered.iter().map(|answer| answer.instructions).max().unwrap_or(0);
    println!("largest difference {:.1e}; at most {most} instructions", gaps.fold(0.0, f64::max));
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
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
