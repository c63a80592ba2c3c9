//! `qdllm-hw`: parses, runs, and turns an error into a line and an exit code.

use qdllm_host::errors::wrong_use;
use qdllm_host::{cli, terminal};
use qdllm_tools::cli::Cli;
use qdllm_tools::quafu::credential::refuse_on_command_line;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the parser, whose message would repeat the token.
    if let Err(error) = refuse_on_command_line(std::env::args_os().skip(1)) {
        return terminal::finish(Err(wrong_use(error)));
    }
    cli::run(Cli::run)
}
