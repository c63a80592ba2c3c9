//! Talks to a board: a port, the protocol's client over it, and the transfer of a model.

pub mod client;
pub mod console;
pub mod port;
pub mod transfer;

pub use client::Client;
pub use port::{Link, Port};

use qdllm_link::Fault;

/// What goes wrong between a host and a board, each with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    #[error("{0:?} names no port: give a device such as /dev/ttyACM0 or COM3, or tcp:HOST:PORT")]
    BadName(String),
    #[error("there is no port {name}; {found}")]
    NoPort { name: String, found: String },
    #[error(
        "{0} is in use by another program: close the terminal or monitor that has it open, then try \
         again"
    )]
    Busy(String),
    #[error(
        "{0} may not be opened by this user: on Linux add the user to the group that owns it \
         (sudo usermod -aG dialout $USER, then log in again)"
    )]
    Denied(String),
    #[error("nothing answers at {name} ({why}): start the emulator or the serial server first")]
    NoServer { name: String, why: String },
    #[error(
        "{name} is open, but {what}: check that it is the board's port and that nothing else is \
         connected to it, reset the board, or flash the firmware (qdllm-hw flash)"
    )]
    NotOurs { name: String, what: &'static str },
    #[error(
        "the board at {0} speaks another version of the protocol: update its firmware or use the \
         qdllm-hw of its release"
    )]
    OtherVersion(String),
    #[error(
        "the link to {name} was lost{during}; the board keeps the model that it has: check the cable, \
         then run the same command again"
    )]
    Lost { name: String, during: String },
    #[error("the board refused: {} (number {})", .0, .0.number())]
    Refused(Fault),
    #[error("the board refused with number {0}, which is newer than this program: update it")]
    Unknown(u8),
    #[error(
        "the model has {bytes} bytes and a slot of this board takes {capacity}: train one with fewer \
         rows (qdllm distill --help), or compile it to a smaller back end (qdllm compile)"
    )]
    TooLarge { bytes: u64, capacity: u32 },
    #[error(
        "this board takes no model over its port: write one into its flash (qdllm-hw image, \
         qdllm-hw flash)"
    )]
    NotWritable,
    #[error("the model has {classes} classes and this board takes {most}")]
    TooManyClasses { classes: usize, most: u8 },
    #[error(
        "this board takes only models signed for the key that begins with {key}: sign it with \
         qdllm-hw sign"
    )]
    MustBeSigned { key: String },
    #[error(
        "the board tried the model after its reset and went back to the one before ({}, number {}): \
         the model does not run there, check it on this machine (qdllm classify)",
        .0, .0.number()
    )]
    WentBack(Fault),
    #[error(
        "the other slot holds no new model: put one first (qdllm-hw board put MODEL), or go back to \
         the one before (qdllm-hw board rollback)"
    )]
    NothingPut,
}

impl BoardError {
    pub fn refused(number: u8) -> Self {
        Fault::from_number(number).map_or(Self::Unknown(number), Self::Refused)
    }
}
