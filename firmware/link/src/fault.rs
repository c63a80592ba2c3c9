//! What can be wrong on a board, each with the number that it has on the wire and in the documents.

use core::fmt;
use qdllm_runtime::Error;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $number:literal, $text:literal;)+) => {
        /// Why a board refused something.
        ///
        /// Numbers up to 99 are those of [`qdllm_runtime::Error`]; the others begin at 100. They never
        /// change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Fault {
            /// The model file or its use, as the runtime says it.
            Model(Error),
            $(
                #[doc = concat!("Number ", $number, ": ", $text, ".\n\n")]
                $(#[$doc])*
                $fault,
            )+
        }

        impl Fault {
            /// Every fault that is not the runtime's.
            pub const OWN: &'static [Self] = &[$(Self::$fault),+];

            /// Its number.
            pub const fn number(self) -> u8 {
                match self {
                    Self::Model(error) => error as u8,
                    $(Self::$fault => $number,)+
                }
            }

            /// What is wrong, in words.
            const fn text(self) -> &'static str {
                match self {
                    Self::Model(error) => error.text(),
                    $(Self::$fault => $text,)+
                }
            }
        }
    };
}

faults! {
    LineTooLong = 100, "line longer than 1024 bytes";
    NotUtf8 = 101, "line is not UTF-8";
    /// A frame whose code or checksum is wrong.
    FrameDamaged = 110, "frame is damaged";
    FrameTooLong = 111, "frame is too long";
    ProtocolVersion = 112, "frame of another protocol version";
    /// A frame whose message cannot be decoded.
    UnknownMessage = 113, "unknown message";
    SlotBlank = 120, "no model was ever written here";
    /// The slot's header is damaged or no header at all.
    SlotHeader = 121, "slot header is damaged";
    /// One of the slot's marks is damaged, or bytes that must be erased are not.
    SlotMark = 122, "slot mark is damaged";
    SlotIncomplete = 123, "model did not arrive whole";
    SlotInactive = 124, "model was not activated";
    SlotRejected = 125, "model was given up";
    SlotContent = 126, "slot holds another model than its header says";
    TooLarge = 130, "model is longer than a slot";
    TooManyClasses = 131, "model has more classes than this board takes";
    /// The model failed to classify the built-in sentence after the reset.
    ProbeFailed = 132, "model failed its probe";
    NoTransfer = 140, "no transfer is under way";
    /// A chunk that does not begin where the last one ended.
    OutOfOrder = 141, "chunk is out of order";
    /// A chunk that is empty, too long, beyond the model's end, or cut at an odd place.
    ChunkShape = 142, "chunk has a wrong size";
    /// What arrived has another checksum than was announced.
    TransferDamaged = 143, "model was damaged on its way";
    OtherModel = 144, "another model is meant";
    NothingBefore = 145, "no earlier model to go back to";
    /// The flash did not take what was written, or cannot be written on this board.
    Flash = 146, "flash cannot be written";
    Older = 147, "model came before the one in use; go back to it or put it again";
    TooManyBegun = 148, "too many transfers were begun since the start; reset the board";
    Unsigned = 150, "model is not signed";
    OtherKey = 151, "model is signed with another key";
    BadSignature = 152, "signature is wrong";
    TooOld = 153, "model is older than this board still takes";
    /// Nothing signed came before a model that a board with a public key was to take.
    Unannounced = 154, "model was not announced; sign it anew and put it with a newer qdllm-hw";
}

impl Fault {
    /// The fault of a number; none for a number that this version does not know.
    pub fn from_number(number: u8) -> Option<Self> {
        let model = Error::ALL.iter().map(|&error| Self::Model(error));
        model.chain(Self::OWN.iter().copied()).find(|fault| fault.number() == number)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Model(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
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
        assert_eq!(known, Error::ALL.len() + Fault::OWN.len());
    }

    #[test]
    fn the_runtimes_errors_are_all_there() {
        // A new error of the runtime has the next number: it would be missing here.
        for (i, &error) in Error::ALL.iter().enumerate() {
            assert_eq!(error as usize, i + 1);
        }
    }
}
