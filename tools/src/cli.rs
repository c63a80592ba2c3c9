//! The command line: what there is to do.

use crate::commands::{
    backends, board, cancel, draw, fetch, flash, image, serve, sign, simulate, status, submit,
    token, transpile,
};
use anyhow::Result;
use clap::{Parser, Subcommand};

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

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw a circuit as text or SVG
    Draw(draw::DrawArgs),
    /// Rehearse a data set with shots and noise
    Simulate(Box<simulate::SimulateArgs>),
    /// Write a model and a firmware as .bin, .hex or .uf2
    Image(image::ImageArgs),
    /// Write a model and a firmware to a board
    Flash(flash::FlashArgs),
    /// Compile a circuit for a processor
    Transpile(transpile::TranspileArgs),
    /// Submit circuits or texts to a quantum cloud
    Submit(Box<submit::SubmitArgs>),
    /// Show batches and jobs
    Status(status::StatusArgs),
    /// Fetch results, and what they decide
    Fetch(fetch::FetchArgs),
    /// Cancel the jobs of a batch
    Cancel(cancel::CancelArgs),
    /// List chips and queues
    Backends(backends::BackendsArgs),
    /// Keep a token in the system's keyring
    Token(token::TokenArgs),
    /// Stand in for the quantum clouds, on this machine
    Serve(Box<serve::ServeArgs>),
    /// Talk to a board: classify, replace its model, go back
    Board(board::BoardArgs),
    /// Make a key pair for signing models
    Keygen(sign::KeygenArgs),
    /// Sign a model for boards with a public key
    Sign(sign::SignArgs),
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
        }
    }
}
