//! What can be wrong on a board, each with the number that it has on the wire and in the documents.

use core::fmt;
use qdllm_runtime::Error;

/// Why a board refused something.
///
/// Numbers up to 99 are those of [`qdllm_runtime::Error`]; the others begin at 100. They never change
/// their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The model file or its use, as the runtime says it.
    Model(Error),
    /// 100: a typed line is longer than the board's buffer.
    LineTooLong,
    /// 101: a typed line is not UTF-8.
    NotUtf8,
    /// 110: a frame whose code or checksum is wrong.
    FrameDamaged,
    /// 111: a frame longer than the board's buffer.
    FrameTooLong,
    /// 112: a frame of another version of the protocol.
    ProtocolVersion,
    /// 113: a frame whose message cannot be decoded.
    UnknownMessage,
    /// 120: nothing was ever written to the slot.
    SlotBlank,
    /// 121: the slot's header is damaged or no header at all.
    SlotHeader,
    /// 122: one of the slot's marks is damaged, or bytes that must be erased are not.
    SlotMark,
    /// 123: the slot's model never arrived whole.
    SlotIncomplete,
    /// 124: the slot's model is whole but was never activated.
    SlotInactive,
    /// 125: the slot's model was tried and given up.
    SlotRejected,
    /// 126: the model in the slot is not the one that the header states.
    SlotContent,
    /// 130: the model is longer than a slot.
    TooLarge,
    /// 131: the model has more classes than the board takes.
    TooManyClasses,
    /// 132: the model failed to classify the built-in sentence after the reset.
    ProbeFailed,
    /// 140: no transfer is under way.
    NoTransfer,
    /// 141: a chunk that does not begin where the last one ended.
    OutOfOrder,
    /// 142: a chunk that is empty, too long, beyond the model's end, or cut at an odd place.
    ChunkShape,
    /// 143: what arrived has another checksum than was announced.
    TransferDamaged,
    /// 144: the order names another model than the board has.
    OtherModel,
    /// 145: there is no earlier model to go back to.
    NothingBefore,
    /// 146: the flash did not take what was written, or cannot be written on this board.
    Flash,
    /// 147: the model came before the one in use, so no start would choose it.
    Older,
    /// 150: the model carries no signature, and this board asks for one.
    Unsigned,
    /// 151: the model is signed with another key than the board's.
    OtherKey,
    /// 152: the signature does not fit the model.
    BadSignature,
    /// 153: the model's version is below the lowest that the board still takes.
    TooOld,
}

const MODEL: [Error; 23] = [
    Error::TooShort,
    Error::BadMagic,
    Error::UnsupportedVersion,
    Error::LengthMismatch,
    Error::BadChecksum,
    Error::BadDirectory,
    Error::MissingSection,
    Error::UnknownSection,
    Error::BadMeta,
    Error::BadLabels,
    Error::BadVocabulary,
    Error::BadRows,
    Error::BadDense,
    Error::BadProgram,
    Error::BadHead,
    Error::NotFinite,
    Error::BadClassCount,
    Error::TooManyQubits,
    Error::WrongFrontEnd,
    Error::WrongInputLength,
    Error::InputNotFinite,
    Error::BadBackEnd,
    Error::NoBackEnd,
];

impl Fault {
    /// Every fault that is not the runtime's.
    pub const OWN: [Self; 28] = [
        Self::LineTooLong,
        Self::NotUtf8,
        Self::FrameDamaged,
        Self::FrameTooLong,
        Self::ProtocolVersion,
        Self::UnknownMessage,
        Self::SlotBlank,
        Self::SlotHeader,
        Self::SlotMark,
        Self::SlotIncomplete,
        Self::SlotInactive,
        Self::SlotRejected,
        Self::SlotContent,
        Self::TooLarge,
        Self::TooManyClasses,
        Self::ProbeFailed,
        Self::NoTransfer,
        Self::OutOfOrder,
        Self::ChunkShape,
        Self::TransferDamaged,
        Self::OtherModel,
        Self::NothingBefore,
        Self::Flash,
        Self::Older,
        Self::Unsigned,
        Self::OtherKey,
        Self::BadSignature,
        Self::TooOld,
    ];

    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Model(error) => error as u8,
            Self::LineTooLong => 100,
            Self::NotUtf8 => 101,
            Self::FrameDamaged => 110,
            Self::FrameTooLong => 111,
            Self::ProtocolVersion => 112,
            Self::UnknownMessage => 113,
            Self::SlotBlank => 120,
            Self::SlotHeader => 121,
            Self::SlotMark => 122,
            Self::SlotIncomplete => 123,
            Self::SlotInactive => 124,
            Self::SlotRejected => 125,
            Self::SlotContent => 126,
            Self::TooLarge => 130,
            Self::TooManyClasses => 131,
            Self::ProbeFailed => 132,
            Self::NoTransfer => 140,
            Self::OutOfOrder => 141,
            Self::ChunkShape => 142,
            Self::TransferDamaged => 143,
            Self::OtherModel => 144,
            Self::NothingBefore => 145,
            Self::Flash => 146,
            Self::Older => 147,
            Self::Unsigned => 150,
            Self::OtherKey => 151,
            Self::BadSignature => 152,
            Self::TooOld => 153,
        }
    }

    /// The fault of a number; none for a number that this version does not know.
    pub fn from_number(number: u8) -> Option<Self> {
        let model = MODEL.iter().find(|&&error| error as u8 == number);
        let own = || Self::OWN.into_iter().find(|fault| fault.number() == number);
        model.map(|&error| Self::Model(error)).or_else(own)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Model(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model(error) => return error.fmt(f),
            Self::LineTooLong => "line longer than 1024 bytes",
            Self::NotUtf8 => "line is not UTF-8",
            Self::FrameDamaged => "frame is damaged",
            Self::FrameTooLong => "frame is too long",
            Self::ProtocolVersion => "frame of another protocol version",
            Self::UnknownMessage => "unknown message",
            Self::SlotBlank => "no model was ever written here",
            Self::SlotHeader => "slot header is damaged",
            Self::SlotMark => "slot mark is damaged",
            Self::SlotIncomplete => "model did not arrive whole",
            Self::SlotInactive => "model was not activated",
            Self::SlotRejected => "model was given up",
            Self::SlotContent => "slot holds another model than its header says",
            Self::TooLarge => "model is longer than a slot",
            Self::TooManyClasses => "model has more classes than this board takes",
            Self::ProbeFailed => "model failed its probe",
            Self::NoTransfer => "no transfer is under way",
            Self::OutOfOrder => "chunk is out of order",
            Self::ChunkShape => "chunk has a wrong size",
            Self::TransferDamaged => "model was damaged on its way",
            Self::OtherModel => "another model is meant",
            Self::NothingBefore => "no earlier model to go back to",
            Self::Flash => "flash cannot be written",
            Self::Older => "model came before the one in use; go back to it or put it again",
            Self::Unsigned => "model is not signed",
            Self::OtherKey => "model is signed with another key",
            Self::BadSignature => "signature is wrong",
            Self::TooOld => "model is older than this board still takes",
        })
    }
}

impl core::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_one_fault_and_comes_back() {
        let mut known = 0;
        for number in 0..=u8::MAX {
            if let Some(fault) = Fault::from_number(number) {
                assert_eq!(fault.number(), number);
                known += 1;
            }
        }
        assert_eq!(known, MODEL.len() + Fault::OWN.len());
    }

    #[test]
    fn the_runtimes_errors_are_all_there() {
        // A new error of the runtime has the next number: it would be missing here.
        for (i, &error) in MODEL.iter().enumerate() {
            assert_eq!(error as usize, i + 1);
        }
    }
}
