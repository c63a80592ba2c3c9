//! What goes wrong between a host and a board, each with what to do about it.

use qdllm_link::Fault;

/// Why a board could not be reached, or what it refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The name is none of a port.
    #[error("{0:?} names no port: give a device such as /dev/ttyACM0 or COM3, or tcp:HOST:PORT")]
    BadName(String),
    /// The serial port does not exist.
    #[error("there is no port {name}; {found}")]
    NoPort {
        /// The port.
        name: String,
        /// The ports that there are.
        found: String,
    },
    /// Another program has the serial port.
    #[error(
        "{0} is in use by another program: close the terminal or monitor that has it open, then try \
         again"
    )]
    Busy(String),
    /// This user may not open it.
    #[error(
        "{0} may not be opened by this user: on Linux add the user to the group that owns it \
         (sudo usermod -aG dialout $USER, then log in again)"
    )]
    Denied(String),
    /// Nothing listens there.
    #[error("nothing answers at {name} ({why}): start the emulator or the serial server first")]
    NoServer {
        /// The address.
        name: String,
        /// What the system says.
        why: String,
    },
    /// The port is open but what answers is no qdllm board.
    #[error(
        "{name} is open, but {what}: check that it is the board's port and that nothing else is \
         connected to it, reset the board, or flash the firmware (qdllm-hw flash)"
    )]
    NotOurs {
        /// The port.
        name: String,
        /// What was heard.
        what: &'static str,
    },
    /// The board speaks another version of the protocol.
    #[error(
        "the board at {0} speaks another version of the protocol: update its firmware or use the \
         qdllm-hw of its release"
    )]
    OtherVersion(String),
    /// The connection ended or went silent.
    #[error(
        "the link to {name} was lost{during}; the board keeps the model that it has: check the cable, \
         then run the same command again"
    )]
    Lost {
        /// The port.
        name: String,
        /// What was going on, or nothing.
        during: String,
    },
    /// The board refused the request.
    #[error("the board refused: {} (number {})", .0, .0.number())]
    Refused(Fault),
    /// The board refused with a number that this program does not know.
    #[error("the board refused with number {0}, which is newer than this program: update it")]
    Unknown(u8),
    /// The model cannot fit.
    #[error(
        "the model has {bytes} bytes and a slot of this board takes {capacity}: train one with fewer \
         rows (qdllm distill --help), or compile it to a smaller back end (qdllm compile)"
    )]
    TooLarge {
        /// Bytes of the model file.
        bytes: u64,
        /// What a slot takes.
        capacity: u32,
    },
    /// The board's flash is only written from outside.
    #[error(
        "this board takes no model over its port: write one into its flash (qdllm-hw image, \
         qdllm-hw flash)"
    )]
    NotWritable,
    /// Too many classes.
    #[error("the model has {classes} classes and this board takes {most}")]
    TooManyClasses {
        /// The model's.
        classes: usize,
        /// The board's.
        most: u8,
    },
    /// The board wants a signature.
    #[error(
        "this board takes only models signed for the key that begins with {key}: sign it with \
         qdllm-hw sign"
    )]
    MustBeSigned {
        /// The first 8 bytes of the key, in hex.
        key: String,
    },
    /// The board tried the model and went back.
    #[error(
        "the board tried the model after its reset and went back to the one before ({}, number {}): \
         the model does not run there, check it on this machine (qdllm classify)",
        .0, .0.number()
    )]
    WentBack(Fault),
    /// There is nothing in the other slot.
    #[error(
        "the other slot holds no new model: put one first (qdllm-hw board put MODEL), or go back to \
         the one before (qdllm-hw board rollback)"
    )]
    NothingPut,
}

impl BoardError {
    /// The error of a number that a board sent.
    pub fn refused(number: u8) -> Self {
        Fault::from_number(number).map_or(Self::Unknown(number), Self::Refused)
    }
}
