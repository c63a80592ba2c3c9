//! `demo`: from a clone to a sentence classified on an emulated microcontroller, in one command.

use crate::boards::{self, Board, Engine};
use crate::elf::flash_bytes;
use crate::firmware::Info;
use crate::parity::{Answer, SHOWN, TOLERANCE, TOLERANCE_I16, on_device, on_host, on_host_i16};
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
    /// The emulated board: mps2-an386, mps2-an505, lm3s6965evb or pico
    #[arg(long, default_value = "mps2-an386")]
    board: String,
}

/// Runs the command.
///
/// # Errors
/// When a step fails, or when the device and the host answer differently.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let started = Instant::now();
    let board = boards::named(&options.board)?;
    let target = repo.target_dir()?;
    let out = options.out.clone().unwrap_or_else(|| target.join("demo"));
    let out = std::path::absolute(out)?;

    // The set-up waits for the network much of the time, so the host's build runs beside it.
    let image = std::thread::scope(|scope| -> Result<PathBuf> {
        let bare = scope.spawn(|| {
            setup::ensure(repo, &[board.target])?;
            say(TOPIC, "building the firmware");
            board.build(repo)
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
    let same = side_by_side(board, &image, &qdllm, &model)?;
    say(TOPIC, format!("done in {:.0} s", started.elapsed().as_secs_f32()));
    if !same {
        bail!("the device and the host do not agree");
    }
    Ok(())
}

/// Prints both sides' answers and what the device needed; says whether they agree.
///
/// A board that computes in 16-bit integers is held to both: the same integers here, digit by digit,
/// and the exact circuit within [`TOLERANCE_I16`].
fn side_by_side(board: &Board, image: &Path, qdllm: &Path, model: &Path) -> Result<bool> {
    let texts = SENTENCES.map(str::to_owned);
    let exact = on_host(qdllm, model, &texts)?;
    let (twin, tolerance, digits) = match board.engine {
        Engine::F32 => (on_host(qdllm, model, &texts)?, TOLERANCE, TOLERANCE),
        Engine::I16 => (on_host_i16(model, &texts)?, TOLERANCE_I16, SHOWN),
    };
    let mut device = Device::boot_on(board, image, Some(model))?;
    let ready = device.greeting(board)?;
    let boot = device.age();
    let answers = on_device(&mut device, &texts)?;
    let info = Info::parse("info", &device.ask(":info")?)?;
    let bench = device.ask(":bench")?;
    device.finish(board)?;

    println!(
        "\nThe same {} bytes of model on an emulated {} and on this machine:\n",
        ready.model_bytes, board.core
    );
    println!("{:<44} {:<24} {:<24}", "sentence", board.name, "host, exact circuit");
    let mut differences = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let (answer, exact, twin) = (&answers[i], &exact[i], &twin[i]);
        println!("{text:<44} {:<24} {:<24}", shown(answer), shown(exact));
        let from_exact = (answer.class != exact.class || answer.largest_gap(exact) > tolerance)
            .then(|| format!("{} against {}", shown(answer), shown(exact)));
        let found = from_exact.or_else(|| answer.difference_within(twin, digits));
        differences.extend(found.map(|difference| format!("{text:?}: {difference}")));
    }
    let gap = answers.iter().zip(&exact).map(|(a, b)| a.largest_gap(b)).fold(0.0, f64::max);
    println!("\nlargest difference of a probability  {gap:.1e} (allowed: {tolerance:.0e})");
    println!(
        "model in flash                       {} bytes, {} classes",
        info.model_bytes, info.classes
    );
    println!("program in flash                     {} bytes", flash_bytes(image)?);
    println!("RAM of the classifier                {} bytes", info.classifier_ram_bytes);
    println!("RAM of the whole program             {} bytes of statics", info.static_ram_bytes);
    println!("deepest stack                        {} bytes", info.stack_bytes);
    println!("one classification                   {}", cost(&bench));
    println!("boot of the emulator to ready        {:.2} s", boot.as_secs_f32());
    for difference in &differences {
        println!("DIFFERS: {difference}");
    }
    Ok(differences.is_empty())
}

/// The board's own measurement, in words.
pub fn cost(bench: &str) -> String {
    let counts = bench.split('\t').filter_map(|field| field.split_once('='));
    let counts: Vec<String> = counts
        .filter(|(name, _)| *name != "runs")
        .map(|(name, value)| format!("{value} {name}"))
        .collect();
    counts.join(", ")
}

fn shown(answer: &Answer) -> String {
    format!("{} {:.4}", answer.label, answer.probability)
}
