//! `demo`: from a clone to a sentence classified on an emulated microcontroller, in one command.

use crate::elf::flash_bytes;
use crate::firmware::{self, Info};
use crate::parity::{Answer, TOLERANCE, on_device, on_host};
use crate::qemu::Device;
use crate::repo::Repo;
use crate::setup;
use crate::shell::say;
use anyhow::{Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

const TOPIC: &str = "demo";

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

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub struct Options {
    /// Where the model and the reports are written [default: demo in the build folder]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Takes this model file instead of distilling one; its classes may be any
    #[arg(long)]
    model: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When a step fails, or when the device and the host answer differently.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let started = Instant::now();
    let target = repo.target_dir()?;
    let out = options.out.clone().unwrap_or_else(|| target.join("demo"));
    let out = std::path::absolute(out)?;

    // The set-up waits for the network much of the time, so the host's build runs beside it.
    let image = std::thread::scope(|scope| -> Result<PathBuf> {
        let bare = scope.spawn(|| {
            setup::ensure(repo, &[setup::DEMO_TARGET])?;
            say(TOPIC, "building the firmware");
            firmware::build(repo)
        });
        say(TOPIC, "building qdllm");
        let trainer =
            repo.host("cargo").args(["build", "--release", "--package", "qdllm-trainer"]).go();
        let image = bare.join().map_err(|_| anyhow::anyhow!("the set-up stopped"))?;
        trainer.and(image)
    })?;
    say(TOPIC, format!("built after {:.0} s", started.elapsed().as_secs_f32()));

    let qdllm = target.join("release/qdllm");
    let model = match &options.model {
        Some(model) => std::path::absolute(model)?,
        None => {
            let qdllm = qdllm.display().to_string();
            repo.host(&qdllm).args(["demo", "--out"]).arg(&out).go()?;
            out.join("model.qdm")
        }
    };
    let same = side_by_side(&image, &qdllm, &model)?;
    say(TOPIC, format!("done in {:.0} s", started.elapsed().as_secs_f32()));
    if !same {
        bail!("the device and the host do not agree");
    }
    Ok(())
}

/// Prints both sides' answers and what the device needed; says whether they agree.
fn side_by_side(image: &Path, qdllm: &Path, model: &Path) -> Result<bool> {
    let texts = SENTENCES.map(str::to_owned);
    let host = on_host(qdllm, model, &texts)?;
    let mut device = Device::boot(image, Some(model))?;
    let ready = Info::parse("ready", &device.line()?)?;
    let boot = device.age();
    let board = on_device(&mut device, &texts)?;
    let info = Info::parse("info", &device.ask(":info")?)?;
    device.send(b":quit\n")?;
    let code = device.code()?;

    println!(
        "\nThe same {} bytes of model on an emulated Cortex-M4 and on this machine:\n",
        ready.model_bytes
    );
    println!("{:<44} {:<24} {:<24} {:>12}", "sentence", "device", "host", "instructions");
    let mut differences = Vec::new();
    for ((text, board), host) in texts.iter().zip(&board).zip(&host) {
        println!("{text:<44} {:<24} {:<24} {:>12}", shown(board), shown(host), board.instructions);
        if let Some(difference) = board.difference(host) {
            differences.push(format!("{text:?}: {difference}"));
        }
    }
    let gap =
        board.iter().zip(&host).map(|(board, host)| board.largest_gap(host)).fold(0.0, f64::max);
    println!("\nlargest difference of a probability  {gap:.1e} (allowed: {TOLERANCE:.0e})");
    println!(
        "model in flash                       {} bytes, {} classes",
        info.model_bytes, info.classes
    );
    println!("program in flash                     {} bytes", flash_bytes(image)?);
    println!("RAM of the classifier                {} bytes", info.classifier_ram_bytes);
    println!("RAM of the whole program             {} bytes of statics", info.static_ram_bytes);
    println!("deepest stack                        {} bytes", info.stack_bytes);
    println!("boot of the emulator to ready        {:.2} s", boot.as_secs_f32());
    for difference in &differences {
        println!("DIFFERS: {difference}");
    }
    if code != 0 {
        bail!("the board ended with code {code}");
    }
    Ok(differences.is_empty())
}

fn shown(answer: &Answer) -> String {
    format!("{} {:.4}", answer.label, answer.probability)
}
