//! `qdllm-hw`: parses, runs, and turns an error into a line and an exit code.

use clap::Parser;
use qdllm_host::terminal::{end_quietly_on_closed_pipes, finish};
use qdllm_tools::cli::{Cli, Command};
use qdllm_tools::commands::{
    backends, board, cancel, draw, fetch, flash, image, keygen, serve, sign, simulate, status,
    submit, token, transpile,
};
use qdllm_tools::quafu::credential::refuse_on_command_line;
use std::process::ExitCode;

fn main() -> ExitCode {
    end_quietly_on_closed_pipes();
    // Before the parser, whose message would repeat the token.
    if let Err(error) = refuse_on_command_line(std::env::args_os().skip(1)) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    let result = match Cli::parse().command {
        Command::Draw(args) => draw::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Flash(args) => flash::run(&args),
        Command::Transpile(args) => transpile::run(&args),
        Command::Submit(args) => submit::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Backends(args) => backends::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Board(args) => board::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Sign(args) => sign::run(&args),
    };
    finish(result)
}
