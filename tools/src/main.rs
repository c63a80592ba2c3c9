//! `qdllm-hw`: parses, runs, and turns an error into a line and an exit code.

use clap::Parser;
use qdllm_host::terminal::{end_quietly_on_closed_pipes, finish};
use qdllm_tools::cli::Cli;
use qdllm_tools::quafu::credential::refuse_on_command_line;
use std::process::ExitCode;

fn main() -> ExitCode {
    end_quietly_on_closed_pipes();
    // Before the parser, whose message would repeat the token.
    if let Err(error) = refuse_on_command_line(std::env::args_os().skip(1)) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    finish(Cli::parse().run())
}
