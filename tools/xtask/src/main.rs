//! The project's own commands: `cargo xtask setup | demo | test | qemu-run`.

mod repo;
mod setup;
mod shell;

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
}

fn main() -> ExitCode {
    let done = repo::Repo::find().and_then(|repo| match Cli::parse().command {
        Command::Setup(options) => setup::run(&repo, &options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
