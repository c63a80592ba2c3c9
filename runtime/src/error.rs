//! What can be wrong with a model file or with its use; flat, without text, so that a device can
//! send it as a number.

/// An enum each of whose variants has a number and a text, as one table.
macro_rules! numbered {
    ($(#[$attribute:meta])+ $Name:ident: $repr:ident, $(#[$text_doc:meta])+ $text_of:ident {
        $($(#[$doc:meta])+ $variant:ident = $number:expr, $text:literal;)+
    }) => {
        $(#[$attribute])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr($repr)]
        pub enum $Name {
            $($(#[$doc])+ $variant = $number,)+
        }

        impl $Name {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            $(#[$text_doc])+
            pub const fn $text_of(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}
pub(crate) use numbered;

/// Whether this build knows format version 2; without it such a file is [`Error::UnsupportedVersion`].
pub(crate) const COMPACT: bool = cfg!(feature = "compact");

numbered! {
    /// Why a model was refused or an input could not be classified.
    ///
    /// The discriminants are stable: they are what a device sends over a wire.
    #[non_exhaustive]
    Error: u8,
    /// What is wrong, in words.
    text {
        /// Fewer bytes than a header and a checksum take: not a model, or cut very short.
        TooShort = 1, "too short to be a model";
        /// The first four bytes are not `QDMF`: not a qdllm model.
        BadMagic = 2, "not a qdllm model (the magic bytes differ)";
        /// Written in a format newer than this reader: update the runtime.
        UnsupportedVersion = 3, "model format newer than this reader; update it";
        /// The header's length is not the number of bytes given: truncated, or bytes follow.
        LengthMismatch = 4, "length differs from the header's; truncated or followed by other bytes";
        /// The CRC-32 does not match: the file was damaged.
        BadChecksum = 5, "checksum mismatch; the model is damaged";
        /// The section directory points outside the file, overlaps or is out of order.
        BadDirectory = 6, "section directory is inconsistent";
        /// A section this model needs is absent.
        MissingSection = 7, "a section the model needs is missing";
        /// A mandatory section this reader does not know: update the runtime.
        UnknownSection = 8, "a mandatory section is unknown to this reader; update it";
        /// The meta section cannot be decoded or holds a value out of range.
        BadMeta = 9, "meta section is malformed";
        /// The class names are not as many as the classes, or not UTF-8, or empty.
        BadLabels = 10, "class names are malformed";
        /// The vocabulary's buckets or keys are inconsistent or not sorted.
        BadVocabulary = 11, "vocabulary is malformed";
        /// The row table does not have the size that the vocabulary asks for.
        BadRows = 12, "row table has the wrong size";
        /// The dense front end's table does not have the size that the meta section states.
        BadDense = 13, "dense table has the wrong size";
        /// The circuit program cannot be decoded or names a qubit that it does not have.
        BadProgram = 14, "circuit program is malformed";
        /// The head's table does not have `classes x (outputs + 1)` numbers.
        BadHead = 15, "head has the wrong size";
        /// A number in a table is not finite.
        NotFinite = 16, "a table holds a number that is not finite";
        /// More classes than [`MAX_CLASSES`](crate::MAX_CLASSES), or fewer than 2.
        BadClassCount = 17, "number of classes is outside 2..=255, or more than there is room for";
        /// More qubits than [`QUBITS`](crate::QUBITS).
        TooManyQubits = 18, "circuit has more than 11 qubits";
        /// A text was given to a model with a `dense` front end, or a vector to one with `words`.
        WrongFrontEnd = 19, "the model has another front end than this input needs";
        /// The vector given does not have the length that the front end takes.
        WrongInputLength = 20, "input vector has the wrong length";
        /// The vector given holds a number that is not finite.
        InputNotFinite = 21, "input vector holds a number that is not finite";
        /// A compiled back end contradicts the model's sizes or cannot be decoded.
        BadBackEnd = 22, "a compiled back end is malformed or contradicts the circuit";
        /// The model does not carry the back end that was asked for.
        NoBackEnd = 23, "the model does not carry this back end; compile it first";
        /// A logit is infinite or no number: the tables' numbers are each finite, but too large together.
        LogitNotFinite = 24, "a logit is not finite; the model's numbers are too large";
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}
