//! The command line: types only.

use crate::commands::{
    backends, cancel, draw, fetch, serve, simulate, status, submit, token, transpile,
};
use clap::{Parser, Subcommand};

/// Compiles qdllm circuits for quantum processors, and runs them there
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

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Draw a circuit as text or SVG
    Draw(draw::DrawArgs),
    /// Rehearse a data set with shots and noise
    Simulate(Box<simulate::SimulateArgs>),
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
}
