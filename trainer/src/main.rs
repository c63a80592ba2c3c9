//! `qdllm`: parses, runs, and turns an error into a line and an exit code.

use clap::Parser;
use qdllm_host::terminal;
use qdllm_trainer::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    terminal::end_quietly_on_closed_pipes();
    terminal::finish(Cli::parse().command.run())
}
