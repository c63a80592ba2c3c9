//! What can be wrong with a model file or with its use; flat, without text, so that a device can
//! send it as a number.

/// Why a model was refused or an input could not be classified.
///
/// The discriminants are stable: they are what a device sends over a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Error {
    /// Fewer bytes than a header and a checksum take: not a model, or cut very short.
    TooShort = 1,
    /// The first four bytes are not `QDMF`: not a qdllm model.
    BadMagic = 2,
    /// Written in a format newer than this reader: update the runtime.
    UnsupportedVersion = 3,
    /// The header's length is not the number of bytes given: truncated, or bytes follow.
    LengthMismatch = 4,
    /// The CRC-32 does not match: the file was damaged.
    BadChecksum = 5,
    /// The section directory points outside the file, overlaps or is out of order.
    BadDirectory = 6,
    /// A section this model needs is absent.
    MissingSection = 7,
    /// A mandatory section this reader does not know: update the runtime.
    UnknownSection = 8,
    /// The meta section cannot be decoded or holds a value out of range.
    BadMeta = 9,
    /// The class names are not as many as the classes, or not UTF-8, or empty.
    BadLabels = 10,
    /// The vocabulary's buckets or keys are inconsistent or not sorted.
    BadVocabulary = 11,
    /// The row table does not have the size that the vocabulary asks for.
    BadRows = 12,
    /// The dense front end's table does not have the size that the meta section states.
    BadDense = 13,
    /// The circuit program cannot be decoded or names a qubit that it does not have.
    BadProgram = 14,
    /// The head's table does not have `classes x (outputs + 1)` numbers.
    BadHead = 15,
    /// A number in a table is not finite.
    NotFinite = 16,
    /// More classes than [`MAX_CLASSES`](crate::MAX_CLASSES), or fewer than 2.
    BadClassCount = 17,
    /// More qubits than [`QUBITS`](crate::QUBITS).
    TooManyQubits = 18,
    /// A text was given to a model with a `dense` front end, or a vector to one with `words`.
    WrongFrontEnd = 19,
    /// The vector given does not have the length that the front end takes.
    WrongInputLength = 20,
    /// The vector given holds a number that is not finite.
    InputNotFinite = 21,
    /// A compiled back end contradicts the model's sizes or cannot be decoded.
    BadBackEnd = 22,
    /// The model does not carry the back end that was asked for.
    NoBackEnd = 23,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooShort => "too short to be a model",
            Self::BadMagic => "not a qdllm model (the magic bytes differ)",
            Self::UnsupportedVersion => "model format newer than this reader; update it",
            Self::LengthMismatch => {
                "length differs from the header's; truncated or followed by other bytes"
            }
            Self::BadChecksum => "checksum mismatch; the model is damaged",
            Self::BadDirectory => "section directory is inconsistent",
            Self::MissingSection => "a section the model needs is missing",
            Self::UnknownSection => "a mandatory section is unknown to this reader; update it",
            Self::BadMeta => "meta section is malformed",
            Self::BadLabels => "class names are malformed",
            Self::BadVocabulary => "vocabulary is malformed",
            Self::BadRows => "row table has the wrong size",
            Self::BadDense => "dense table has the wrong size",
            Self::BadProgram => "circuit program is malformed",
            Self::BadHead => "head has the wrong size",
            Self::NotFinite => "a table holds a number that is not finite",
            Self::BadClassCount => "number of classes is outside 2..=64",
            Self::TooManyQubits => "circuit has more than 11 qubits",
            Self::WrongFrontEnd => "the model has another front end than this input needs",
            Self::WrongInputLength => "input vector has the wrong length",
            Self::InputNotFinite => "input vector holds a number that is not finite",
            Self::BadBackEnd => "a compiled back end is malformed or contradicts the circuit",
            Self::NoBackEnd => "the model does not carry this back end; compile it first",
        })
    }
}

impl core::error::Error for Error {}
