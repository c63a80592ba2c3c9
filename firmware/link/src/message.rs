//! The messages: what a host asks and what a board answers. In the order given they are numbered on
//! the wire; a new one goes to the end.

use serde::{Deserialize, Serialize};

/// Which model is meant: two models that differ anywhere differ here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Bytes of the model file.
    pub length: u32,
    /// The model file's own checksum: its last four bytes.
    pub checksum: u32,
}

/// What a host asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// What the board is and has.
    Info,
    /// One slot: 0 or 1.
    Slot(u8),
    /// Classify a text.
    Classify(&'a str),
    /// Begin or take up again the transfer of a model into the slot that is not in use. A board with a public key
    /// begins none in this way.
    Begin(ModelId),
    /// A part of the model file.
    Chunk {
        /// Where in the model file it lies; a multiple of 32.
        offset: u32,
        /// At most [`CHUNK_BYTES`](crate::frame::CHUNK_BYTES); a multiple of 32 except at the end.
        data: &'a [u8],
    },
    /// Check the whole model that arrived.
    Finish(ModelId),
    /// Use the model from the reset on that follows the answer.
    Activate(ModelId),
    /// Go back from this model to the one before; a reset follows the answer.
    Rollback(ModelId),
    /// Classify the built-in sentence this many times and say what one took.
    Bench {
        /// 1 to 1000; another number counts as the nearer of these.
        runs: u16,
    },
    /// As [`Begin`](Self::Begin), with what the owner of the key says of the model.
    BeginSigned {
        /// Which model.
        model: ModelId,
        /// What is said of it.
        #[serde(borrow)]
        announced: Announced<'a>,
    },
}

/// The parts of [`Announcement`](qdllm_runtime::format::signature::Announcement) that a model's id leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced<'a> {
    /// CRC-32 of the file up to the announcement.
    pub body: u32,
    /// The model's version.
    pub version: u32,
    /// The lowest version that the board takes once it uses this model.
    pub minimum: u32,
    /// The Ed25519 signature: 64 bytes.
    pub signature: &'a [u8],
}

/// What a board answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// To a request that cannot be done.
    Fault {
        /// [`Fault`](crate::Fault)'s number.
        number: u8,
        /// For chunks: where the next one must begin; else 0.
        expected: u32,
    },
    /// To [`Request::Info`].
    #[serde(borrow)]
    Info(Info<'a>),
    /// To [`Request::Slot`].
    Slot(Slot),
    /// To [`Request::Classify`].
    #[serde(borrow)]
    Class(Class<'a>),
    /// To [`Request::Begin`], [`Request::BeginSigned`], [`Request::Chunk`] and [`Request::Finish`]: where the next
    /// chunk begins; after the last one, the model's length.
    Received(u32),
    /// To [`Request::Activate`] and [`Request::Rollback`].
    Switched {
        /// Whether a reset follows; not when the model is in use already.
        reset: bool,
    },
    /// To [`Request::Bench`].
    Bench(Cost),
}

/// What a board is, its limits, and the model in use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Info<'a> {
    /// Version of the firmware.
    pub firmware: &'a str,
    /// Name of the board.
    pub board: &'a str,
    /// Name of the back end.
    pub engine: &'a str,
    /// Bytes of the longest model that can be put; 0 where none can.
    pub capacity: u32,
    /// Bytes that the port keeps while the board is busy: how far a sender may run ahead.
    pub ahead_bytes: u16,
    /// The most classes that it takes.
    pub max_classes: u8,
    /// Bytes of RAM that the engine takes beside the stack.
    pub engine_ram_bytes: u32,
    /// Bytes of RAM of all statics; 0 if unknown.
    pub static_ram_bytes: u32,
    /// The deepest that the stack has been, in bytes; 0 if unknown.
    pub stack_bytes: u32,
    /// The first 8 bytes of the public key that models must be signed for.
    pub key: Option<[u8; 8]>,
    /// The lowest model version that it takes; 0 without signing.
    pub floor: u32,
    /// The slot in use; none when the board has no model.
    pub active: Option<u8>,
    /// The model in use.
    pub model: Option<ModelId>,
    /// Its classes; 0 without a model.
    pub classes: u8,
    /// The version that it is signed with; 0 without signing.
    pub version: u32,
}

/// What lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What its header states, if that can be read; all zeros if not.
    pub id: ModelId,
    /// The greater one is newer.
    pub sequence: u32,
    /// [`Fault`](crate::Fault)'s number of what stands against using it or going back to it; 0: nothing.
    pub fault: u8,
}

/// The result of classifying a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class<'a> {
    /// Name of the most probable class.
    pub label: &'a str,
    /// Its index, from 0.
    pub class: u8,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// Whether that is below the model's threshold, or nothing was found.
    pub rejected: bool,
    /// N-grams of the text that the vocabulary knew; 0: the probabilities are the classes' shares of the
    /// training data.
    pub found: u32,
    /// Probabilities of all classes in their order: a little-endian `f32` each.
    pub probabilities: &'a [u8],
    /// What the classification took.
    pub cost: Cost,
}

/// What one classification took; 0 is what the board cannot count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Instructions.
    pub instructions: u64,
    /// Cycles of the core's clock.
    pub cycles: u64,
    /// Microseconds.
    pub microseconds: u64,
}
