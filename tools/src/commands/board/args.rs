//! What `qdllm-hw board` takes.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Talk to a board: classify, replace its model, go back
///
/// Examples:
///   qdllm-hw board --port /dev/ttyACM0 info
///   qdllm-hw board --port /dev/ttyACM0 classify "turn on the light"
///   qdllm-hw board --port tcp:127.0.0.1:4444 put model.qdm --activate
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct BoardArgs {
    /// Serial device, such as /dev/ttyACM0 or COM3, or tcp:HOST:PORT
    #[arg(long, global = true, default_value = "", value_name = "PORT")]
    pub port: String,
    /// Speed of a serial line; USB ignores it
    #[arg(long, global = true, default_value_t = 115_200)]
    pub baud: u32,
    /// Print as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the board.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// Say what the board is and what its slots hold
    Info,
    /// Classify texts on the board
    Classify {
        /// The texts
        #[arg(required = true)]
        texts: Vec<String>,
    },
    /// Send a model into the slot that is not in use; goes on where an earlier transfer broke off
    Put {
        /// The model file (.qdm)
        model: PathBuf,
        /// Then use it
        #[arg(long)]
        activate: bool,
    },
    /// Use the model that was put; the board resets and tries it, and goes back if it fails
    Activate,
    /// Give up the model in use and go back to the one before
    Rollback,
    /// Say what a classification takes on the board
    Bench {
        /// Classifications to take the mean of
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        runs: u16,
    },
    /// Type sentences; end with Ctrl-D
    Console,
}
