//! `boards`: builds every board's firmware, runs those that an emulator runs, and prints the table of
//! firmware/README.md.

use crate::boards::BOARDS;
use crate::demo::cost;
use crate::elf::flash_bytes;
use crate::firmware::{Info, Program};
use crate::powercut::default_models;
use crate::qemu::Device;
use crate::repo::Repo;
use crate::setup;
use crate::shell::say;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

const TOPIC: &str = "boards";

/// Boards whose firmware nothing here can run: name and target.
const BUILT_ONLY: [(&str, &str); 4] = [
    ("microbit-v2", "thumbv7em-none-eabihf"),
    ("nrf52840-dk", "thumbv7em-none-eabihf"),
    ("nucleo-f446", "thumbv7em-none-eabihf"),
    ("pico2", "thumbv8m.main-none-eabihf"),
];

/// Options of `cargo xtask boards`.
#[derive(Args)]
pub struct Options {
    /// The model whose classification is measured [default: the tests' with every back end]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Leaves out the boards that no emulator runs, whose HAL crates take minutes to build
    #[arg(long)]
    emulated: bool,
}

/// Runs the command.
///
/// # Errors
/// When a board does not build, or an emulated one does not answer.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    setup::ensure(repo, &setup::ALL_TARGETS)?;
    let model = match &options.model {
        Some(model) => model.clone(),
        None => {
            let [_, commands] = default_models(repo);
            commands
        }
    };
    println!(
        "| board | status | back end | program in flash | RAM: statics, deepest stack | one classification |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for board in &BOARDS {
        say(TOPIC, board.name);
        let image = board.build(repo)?;
        let mut device = Device::boot_on(board, &image, Some(&model))?;
        device.greeting(board)?;
        let bench = device.ask(":bench")?;
        let said = device.ask(":info")?;
        let info = Info::parse("info", &said)?;
        device.finish(board)?;
        let engine = said.split('\t').find_map(|field| field.strip_prefix("engine="));
        println!(
            "| `{}` ({}) | run under an emulator: {} | {} | {} bytes | {}, {} bytes | {} |",
            board.name,
            board.core,
            if board.is_qemu() { "QEMU" } else { "rp2040js" },
            engine.unwrap_or("?"),
            flash_bytes(&image)?,
            info.static_ram_bytes,
            info.stack_bytes,
            cost(&bench)
        );
    }
    for (name, target) in BUILT_ONLY.into_iter().filter(|_| !options.emulated) {
        say(TOPIC, name);
        let package = format!("qdllm-{name}");
        let program = Program {
            package: &package,
            name: &package,
            target,
            profile: "release",
            features: None,
        };
        let image = program.build(repo)?;
        println!(
            "| `{name}` | builds only | statevector f32 | {} bytes | | |",
            flash_bytes(&image)?
        );
    }
    Ok(())
}
