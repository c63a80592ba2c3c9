//! `qdllm`: parses, runs, and turns an error into a line and an exit code.

use clap::Parser;
use qdllm_trainer::cli::{Cli, Command};
use qdllm_trainer::commands::teach;
#[cfg(feature = "teacher")]
use qdllm_trainer::commands::tune;
use qdllm_trainer::commands::{
    agreement, bench, classify, compile, controls, demo, distill, eval, inspect, reproduce,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Teach(args) => teach::run(&args),
        #[cfg(feature = "teacher")]
        Command::Tune(args) => tune::run(&args),
        Command::Distill(args) => distill::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Controls(args) => controls::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Agreement(args) => agreement::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
