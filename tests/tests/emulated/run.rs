//! `cargo run --release` in the folder of a board that QEMU runs, as its README says.

use super::line::answer;
use super::{for_each_board, image};
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::process::Stdio;
use xtask::answer::SENTENCES;
use xtask::boards::Board;
use xtask::repo::Repo;

for_each_board!(cargo_run_answers_a_line);

fn cargo_run_answers_a_line(board: &Board) -> Result<()> {
    // Its `cargo run` is for the board itself and a probe.
    if !board.is_qemu() || image(board)?.is_none() {
        return Ok(());
    }
    let repo = Repo::find()?;
    let [_, model] = repo.models();
    let run = repo.bare("cargo").dir(&repo.firmware.join("boards").join(board.name));
    let run = run.args(["run", "--release", "--quiet"]).env("QDLLM_MODEL", model);
    let mut child = run.into_command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
