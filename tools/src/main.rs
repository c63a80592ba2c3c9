//! `qdllm-hw`: parses, runs, and turns an error into a line and an exit code.

use clap::Parser;
use qdllm_tools::cli::{Cli, Command};
use qdllm_tools::commands::{draw, simulate, transpile};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Draw(args) => draw::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Transpile(args) => transpile::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
