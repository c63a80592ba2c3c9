//! `qdllm`: parses, runs, and turns an error into a line and an exit code.

use qdllm_trainer::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    qdllm_host::cli::run(|cli: &Cli| cli.command.run())
}
