//! The command line: what there is to do.

use crate::commands::{
    backends, board, cancel, draw, fetch, flash, image, serve, sign, simulate, status, submit,
    token, transpile,
};
use anyhow::Result;
use clap::{Parser, Subcommand};
use qdllm_host::cli::{CompletionsArgs, ManArgs};

/// Compiles qdllm circuits for quantum processors and runs them there; talks to boards
///
/// The same model file that runs on a microcontroller gives the circuit here: draw it, or compile it
/// for a processor's couplings and gates. Every compiled circuit is checked against its source by
/// exact simulation before it is written.
///
/// Exit code: 0 done, 1 the work failed, 2 wrong use.
#[derive(Parser, Debug)]
#[command(name = "qdllm-hw", version, verbatim_doc_comment)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The help of each is that of its arguments.
#[derive(Subcommand, Debug)]
pub enum Command {
    Draw(draw::DrawArgs),
    Simulate(Box<simulate::SimulateArgs>),
    Image(image::ImageArgs),
    Flash(flash::FlashArgs),
    Transpile(transpile::TranspileArgs),
    Submit(Box<submit::SubmitArgs>),
    Status(status::StatusArgs),
    Fetch(fetch::FetchArgs),
    Cancel(cancel::CancelArgs),
    Backends(backends::BackendsArgs),
    Token(token::TokenArgs),
    Serve(Box<serve::ServeArgs>),
    Board(board::BoardArgs),
    Keygen(sign::KeygenArgs),
    Sign(sign::SignArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl Cli {
    pub fn run(&self) -> Result<()> {
        match &self.command {
            Command::Draw(args) => draw::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::Image(args) => image::run(args),
            Command::Flash(args) => flash::run(args),
            Command::Transpile(args) => transpile::run(args),
            Command::Submit(args) => submit::run(args),
            Command::Status(args) => status::run(args),
            Command::Fetch(args) => fetch::run(args),
            Command::Cancel(args) => cancel::run(args),
            Command::Backends(args) => backends::run(args),
            Command::Token(args) => token::run(args),
            Command::Serve(args) => serve::run(args),
            Command::Board(args) => board::run(args),
            Command::Keygen(args) => sign::keygen(args),
            Command::Sign(args) => sign::run(args),
            Command::Completions(args) => args.run::<Self>(),
            Command::Man(args) => args.run::<Self>(),
        }
    }
}
