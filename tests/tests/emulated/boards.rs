//! Every emulated board: it answers as the host does, over its protocol and on its console.

use super::line::answers;
use super::{for_each_board, image, program};
use anyhow::{Result, ensure};
use xtask::answer::SENTENCES;
use xtask::boards::Board;
use xtask::emulator::{Device, format};
use xtask::hw::{Both, Link};
use xtask::repo::Repo;

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
    let both = Both::ask(&link, board.engine, &qdllm, &models[1], &texts)?;
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
