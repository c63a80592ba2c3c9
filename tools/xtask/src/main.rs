//! The project's own commands: `cargo xtask setup | demo | test | fuzz | ...`.

mod accuracy;
mod agreement;
mod boards;
mod budgets;
mod census;
mod demo;
mod draws;
mod elf;
mod endpoint;
mod firmware;
mod fuzz;
mod gate;
mod hw;
mod parity;
mod powercut;
mod qemu;
mod repo;
mod same;
mod setup;
mod shell;
mod storm;
mod wire;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    /// Measures the README's table of accuracy: students beside their controls
    Accuracy(accuracy::Options),
    /// Measures how often each back end decides as the exact circuit, and what it costs
    Agreement(agreement::Options),
    /// Measures the commands with few labels over several draws: teacher, student, labels alone
    Draws(draws::Options),
    /// Measures flash, RAM and instructions of every back end against tests/budgets.toml
    Budgets(budgets::Options),
    /// Runs every check of the project: formatting, lints, tests, targets, the emulated board
    Test(gate::Options),
    /// Compares what users see with the record in tests/same: models, help, errors, JSON, sizes
    Same(same::Options),
    /// Runs the fuzz targets of the runtime and of the boards' app on the stable compiler
    Fuzz(fuzz::Options),
    /// Builds the firmware of every board, runs the emulated ones and prints their table
    Boards(census::Options),
    /// Ends an emulated board at random moments of model updates; every restart must answer
    Powercut(powercut::Options),
    /// Sends random frames to an emulated board; good requests among them must be answered as ever
    Storm(storm::Options),
    /// Tries the endpoint teacher against a real llama.cpp server: faults, small budgets, SIGKILL
    Endpoint(endpoint::Options),
    /// Runs a firmware image on the emulated board, its serial port on standard input and output
    QemuRun(qemu::Options),
}

fn main() -> ExitCode {
    let done = repo::Repo::find().and_then(|repo| match Cli::parse().command {
        Command::Setup(options) => setup::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Demo(options) => demo::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Accuracy(options) => accuracy::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Agreement(options) => agreement::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Draws(options) => draws::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Budgets(options) => budgets::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Test(options) => gate::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Same(options) => same::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Fuzz(options) => fuzz::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Boards(options) => census::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Powercut(options) => powercut::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Storm(options) => storm::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::Endpoint(options) => endpoint::run(&repo, &options).map(|()| ExitCode::SUCCESS),
        Command::QemuRun(options) => qemu::run(&options).map(ExitCode::from),
    });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
