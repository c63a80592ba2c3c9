//! `demo`: from a clone to a sentence classified on an emulated microcontroller, in one command.

use crate::answer::{Answer, Both, Link, SENTENCES, UNKNOWN};
use crate::emulator::{format, named};
use crate::repo::{Repo, flash_bytes};
use crate::setup;
use crate::shell::{Run, say};
use anyhow::{Result, ensure};
use clap::Args;
use qdllm_host::boards::Board;
use std::path::{Path, PathBuf};
use std::time::Instant;

const TOPIC: &str = "demo";

#[derive(Args)]
pub struct Options {
    /// Where the model and the reports are written [default: demo in the build folder]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Takes this model file instead of distilling one; its classes may be any
    #[arg(long)]
    model: Option<PathBuf>,
    /// The emulated board: mps2-an386, mps2-an505, lm3s6965evb or pico
    #[arg(long, default_value = "mps2-an386")]
    board: String,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let started = Instant::now();
    let board = named(&options.board)?;
    let target = repo.target_dir()?;
    let out = std::path::absolute(options.out.as_ref().unwrap_or(&target.join("demo")))?;

    // The set-up waits for the network much of the time, so the host's build runs beside it.
    let image = std::thread::scope(|scope| -> Result<PathBuf> {
        let bare = scope.spawn(|| {
            setup::ensure(repo, &[&board.target])?;
            say(TOPIC, "building the firmware");
            repo.build(&board.name, &board.target)
        });
        say(TOPIC, "building qdllm and qdllm-hw");
        let programs = ["--package", "qdllm-trainer", "--package", "qdllm-tools"];
        let built = repo.host("cargo").args(["build", "--release"]).args(programs).go();
        let image = bare.join().map_err(|_| anyhow::anyhow!("the set-up stopped"))?;
        built.and(image)
    })?;
    say(TOPIC, format!("built after {:.0} s", started.elapsed().as_secs_f32()));

    let bin = target.join("release");
    let model = match &options.model {
        Some(model) => std::path::absolute(model)?,
        None => {
            repo.host(bin.join("qdllm")).args(["demo", "--out"]).arg(&out).go()?;
            out.join("model.qdm")
        }
    };
    let same = side_by_side(board, &image, &bin, &model)?;
    say(TOPIC, format!("done in {:.0} s", started.elapsed().as_secs_f32()));
    ensure!(same, "the device and the host do not agree");
    Ok(())
}

/// Puts the model on an erased board with `qdllm-hw board`, prints both sides' answers and what the
/// device needed; says whether they agree.
fn side_by_side(board: &Board, image: &Path, bin: &Path, model: &Path) -> Result<bool> {
    let texts = [&SENTENCES[..], &[UNKNOWN]].concat();
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    let folder = tempfile::tempdir()?;
    let flash = folder.path().join("flash");
    format(board, &flash, None)?;
    let program = bin.join("qdllm-hw");
    let link = Link::boot(&program, board, image, &flash)?;
    let since = Instant::now();
    link.replace(model, true)?;
    let put = since.elapsed();
    let both = Both::ask(&link, &bin.join("qdllm"), model, &texts)?;
    let (info, bench) = (link.info()?, link.bench()?);

    println!(
        "\nThe same {} bytes of model, put by qdllm-hw board on an emulated {}, and on this machine:\n",
        info["model"]["bytes"], board.core
    );
    println!("{:<44} {:<28} {:<28}", "sentence", board.name, "host, exact circuit");
    for ((text, answer), exact) in texts.iter().zip(&both.board).zip(&both.exact) {
        println!("{text:<44} {:<28} {:<28}", shown(answer), shown(exact));
    }
    let (gap, allowed) = (both.gap(), both.tolerance);
    println!("\nlargest difference of a probability  {gap:.1e} (allowed: {allowed:.0e})");
    let bytes = &info["model"]["bytes"];
    println!("model in flash                       {bytes} bytes, {} classes", info["classes"]);
    println!("program in flash                     {} bytes", flash_bytes(image)?);
    println!("RAM of the classifier                {} bytes", info["engine_ram_bytes"]);
    println!("RAM of the whole program             {} bytes of statics", info["static_ram_bytes"]);
    println!("deepest stack                        {} bytes", info["stack_bytes"]);
    println!("one classification                   {}", counted(&bench));
    println!("put, activated and in use after      {:.1} s", put.as_secs_f32());
    for difference in &both.differences {
        println!("DIFFERS: {difference}");
    }
    Ok(both.differences.is_empty())
}

/// What the board counted of a classification.
fn counted(bench: &serde_json::Value) -> String {
    let units = ["instructions", "cycles", "microseconds"];
    let counts = units.iter().filter_map(|unit| {
        let count = bench[unit].as_u64().filter(|&count| count > 0)?;
        Some(format!("{count} {unit}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn shown(answer: &Answer) -> String {
    let rejected = if answer.rejected { " rejected" } else { "" };
    format!("{} {:.4}{rejected}", answer.label, answer.probability)
}
