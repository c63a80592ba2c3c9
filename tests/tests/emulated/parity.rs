//! Every emulated board: it answers as the host does, over its protocol, on its console, and by `cargo run`; and
//! a freshly distilled model on the first of them.

use super::{answer, answers, for_each_board, image, program};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use xtask::answer::{Both, Link, SENTENCES, TOLERANCE, on_host};
use xtask::boards::{BOARDS, Board};
use xtask::emulator::{Device, format};
use xtask::repo::Repo;
use xtask::shell::Run;

for_each_board!(equals_the_host);

/// `qdllm-hw board` at the board's port puts the model on it, in two steps and in one, and the demo's
/// sentences are answered as here.
fn equals_the_host(board: &Board) -> Result<()> {
    let Some(image) = image(board)? else { return Ok(()) };
    let models = Repo::find()?.models();
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    format(board, &flash, None)?;
    let [hw, qdllm] = [program("qdllm-hw")?, program("qdllm")?];
    let link = Link::boot(&hw, board, &image, &flash)?;
    link.replace(&models[0], false)?;
    link.replace(&models[1], true)?;
    let texts = SENTENCES.map(str::to_owned);
    let both = Both::ask(&link, &qdllm, &models[1], &texts)?;
    ensure!(both.differences.is_empty(), "{}", both.differences.join("; "));
    let bench = link.bench()?;
    let counted = ["instructions", "cycles"].iter().any(|unit| bench[unit].as_u64() > Some(0));
    ensure!(counted, "the board counts nothing: {bench}");
    Ok(())
}

mod console {
    use super::*;

    for_each_board!(has_a_console);

    /// The console on the same port, as a person types there.
    fn has_a_console(board: &Board) -> Result<()> {
        let Some(image) = image(board)? else { return Ok(()) };
        let [_, model] = Repo::find()?.models();
        let mut device = Device::boot(board, &image, Some(&model))?;
        device.greeting(board)?;
        let answers = answers(&mut device, &[SENTENCES[0].to_owned()])?;
        ensure!(answers.len() == 1, "{} answers", answers.len());
        device.finish(board)
    }
}

/// `cargo run --release` in its folder, where QEMU runs it, as its README says.
mod run {
    use super::*;

    for_each_board!(cargo_run_answers_a_line);

    fn cargo_run_answers_a_line(board: &Board) -> Result<()> {
        // Its `cargo run` is for the board itself and a probe.
        if !board.is_qemu() || image(board)?.is_none() {
            return Ok(());
        }
        let repo = Repo::find()?;
        let [_, model] = repo.models();
        let mut run = repo.bare("cargo");
        run.current_dir(repo.firmware.join("boards").join(&board.name));
        run.args(["run", "--release", "--quiet"]).env("QDLLM_MODEL", model);
        let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("a pipe")?;
        writeln!(input, "{}", SENTENCES[0])?;
        drop(input);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "cargo run ended with {}", output.status);
        let said = String::from_utf8(output.stdout)?;
        let answers = said.lines().filter(|line| answer(line).is_ok()).count();
        ensure!(answers == 1, "{said}");
        Ok(())
    }
}

/// Texts of the command set's test part that are compared, spread over all of it.
const TEXTS: usize = 200;

/// The test part of the embedded command set, `label TAB text`.
const TEST_PART: &str = "trainer/data/commands/test.tsv";

/// Distills the demo's model and compares both sides, text by text.
#[test]
fn the_device_equals_the_host() -> Result<()> {
    let board = &BOARDS[0];
    let Some(image) = image(board)? else { return Ok(()) };
    let qdllm = program("qdllm")?;
    let folder = tempfile::tempdir()?;
    Command::new(&qdllm).args(["demo", "--out"]).arg(folder.path()).read()?;
    let model = folder.path().join("model.qdm");

    let texts = texts(&Repo::find()?.root.join(TEST_PART))?;
    let host = on_host(&qdllm, &model, &texts)?;
    let mut device = Device::boot(board, &image, Some(&model))?;
    device.greeting(board)?;
    let answered = answers(&mut device, &texts)?;
    device.finish(board)?;

    let sides = texts.iter().zip(&answered).zip(&host);
    let differences: Vec<String> = sides
        .filter_map(|((text, board), host)| {
            Some(format!("{text:?}: {}", board.difference(host, TOLERANCE)?))
        })
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
