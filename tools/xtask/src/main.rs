//! The project's own commands: `cargo xtask setup | demo | test | fuzz | ...`.

mod accuracy;
mod boards;
mod budgets;
mod c;
mod counts;
mod demo;
mod fuzz;
mod gate;
mod home;
mod same;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::{answer, emulator, repo, setup, shell};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs the bare-metal Rust targets and QEMU; does nothing where they are present
    Setup(setup::Options),
    /// Distills the demo's model and classifies sentences on the emulated board and on this machine
    Demo(demo::Options),
    /// Measures the README's table of accuracy, students beside their controls; or of back ends
    Accuracy(accuracy::Options),
    /// Trains a student for each language of home-assistant-intents and prints what they know and refuse
    Home(home::Options),
    /// Measures flash, RAM and instructions of every back end against tests/budgets.toml
    Budgets(budgets::Options),
    /// Runs every check of the project: formatting, lints, tests, targets, the emulated board
    Test(gate::Options),
    /// Compares what users see with the record in tests/same: models, help, errors, JSON, sizes
    Same(same::Options),
    /// Runs the fuzz targets of the runtime, of the boards' app and of the C library on stable compilers
    Fuzz(fuzz::Options),
    /// Builds the firmware of every board, runs the emulated ones and prints their table
    Boards(boards::Options),
    /// Builds the C library and compares it with the runtime, on this machine and on emulated chips
    C(c::Options),
    /// Runs a firmware image on the emulated board, its serial port on standard input and output
    QemuRun(emulator::Options),
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let repo = repo::Repo::find()?;
    match command {
        Command::Setup(options) => setup::run(&repo, options),
        Command::Demo(options) => demo::run(&repo, options),
        Command::Accuracy(options) => accuracy::run(&repo, options),
        Command::Home(options) => home::run(&repo, options),
        Command::Budgets(options) => budgets::run(&repo, options),
        Command::Test(options) => gate::run(&repo, options),
        Command::Same(options) => same::run(&repo, options),
        Command::Fuzz(options) => fuzz::run(&repo, options),
        Command::Boards(options) => boards::run(&repo, options),
        Command::C(options) => c::run(&repo, options),
        Command::QemuRun(options) => return emulator::run(options).map(ExitCode::from),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run(&Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
