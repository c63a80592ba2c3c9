//! Where a signature lies in a model file, and what it covers. Checking it is left to who has the key.

use crate::error::Error;
use crate::format::container::{CHECKSUM_BYTES, Container, Kind, checksum};

/// Bytes of the section: version, lowest version, first bytes of the public key, signature.
pub const SECTION_BYTES: usize = 4 + 4 + 8 + SIGNATURE_BYTES;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// What is signed begins with this, so that a signature of anything else is none of a model.
pub const CONTEXT: &[u8; 16] = b"qdllm model v1\0\0";
/// What is signed of an announcement begins with this.
pub const ANNOUNCEMENT: &[u8; 16] = b"qdllm announce 1";

/// A model file's signature, not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSignature<'a> {
    /// The model's version: a greater one is newer.
    pub version: u32,
    /// The lowest version that a device shall take once it uses this model.
    pub minimum: u32,
    /// The first bytes of the public key that it was signed for.
    pub key: [u8; 8],
    /// The Ed25519 signature of [`CONTEXT`] followed by `covered`.
    pub signature: &'a [u8; SIGNATURE_BYTES],
    /// The file up to the signature: everything but the signature itself and the checksum after it.
    pub covered: &'a [u8],
}

impl<'a> ModelSignature<'a> {
    /// Reads the signature section; none if the model has none.
    ///
    /// # Errors
    /// [`Error::BadDirectory`] when the section has another size or does not end the file.
    pub fn of(container: &Container<'a>) -> Result<Option<Self>, Error> {
        let Some(section) = container.get(Kind::Signature) else {
            return Ok(None);
        };
        let [a, b, c, d, e, f, g, h, k0, k1, k2, k3, k4, k5, k6, k7, signature @ ..] = section
        else {
            return Err(Error::BadDirectory);
        };
        let bytes = container.bytes();
        let end = bytes.len().saturating_sub(CHECKSUM_BYTES);
        let covered = bytes.get(..end.saturating_sub(SIGNATURE_BYTES));
        let at_end = bytes.get(end.saturating_sub(section.len())..end);
        match (signature.as_array(), covered, at_end) {
            // The same bytes at the end, and no section after them: the directory is in order.
            (Some(signature), Some(covered), Some(last)) if core::ptr::eq(last, section) => {
                Ok(Some(Self {
                    version: u32::from_le_bytes([*a, *b, *c, *d]),
                    minimum: u32::from_le_bytes([*e, *f, *g, *h]),
                    key: [*k0, *k1, *k2, *k3, *k4, *k5, *k6, *k7],
                    signature,
                    covered,
                }))
            }
            _ => Err(Error::BadDirectory),
        }
    }

    /// What may be said to a device before the file is sent; none in a file that was signed before there
    /// were announcements.
    ///
    /// # Errors
    /// [`Error::BadDirectory`] when the section has another size or does not lie before the signature's.
    pub fn announcement(
        &self,
        container: &Container<'a>,
    ) -> Result<Option<Announcement<'a>>, Error> {
        let Some(section) = container.get(Kind::Announcement) else {
            return Ok(None);
        };
        let end = self.covered.len().saturating_sub(SECTION_BYTES - SIGNATURE_BYTES);
        match self.covered.get(..end).and_then(<[u8]>::split_last_chunk) {
            Some((body, signature)) if core::ptr::eq(&signature[..], section) => {
                let length = (self.covered.len() + SIGNATURE_BYTES + CHECKSUM_BYTES) as u32;
                let Self { version, minimum, .. } = *self;
                Ok(Some(Announcement { length, body: checksum(body), version, minimum, signature }))
            }
            _ => Err(Error::BadDirectory),
        }
    }
}

/// What is said of a model before it is sent, so that a device can know that the owner of the key wants it
/// there. That the file is the announced one, the signature shows once the file has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// Bytes of the model file.
    pub length: u32,
    /// CRC-32 of the file up to this announcement's content.
    pub body: u32,
    /// The model's version.
    pub version: u32,
    /// The lowest version that a device shall take once it uses this model.
    pub minimum: u32,
    /// The Ed25519 signature of [`message`](Self::message).
    pub signature: &'a [u8; SIGNATURE_BYTES],
}

impl Announcement<'_> {
    /// The bytes that are signed: [`ANNOUNCEMENT`], then the four numbers.
    pub fn message(&self) -> [u8; 32] {
        let numbers = [self.length, self.body, self.version, self.minimum].map(u32::to_le_bytes);
        let mut message = [0; 32];
        for (to, from) in message.iter_mut().zip(ANNOUNCEMENT.iter().chain(numbers.as_flattened()))
        {
            *to = *from;
        }
        message
    }
}

/// A model file with the sections of an announcement and a signature added, or put in the place of those that
/// it has; the signatures themselves come from `sign`, which is given the bytes to sign, first the
/// announcement's.
///
/// # Errors
/// What [`Container::parse`] says of `file`; [`Error::UnknownSection`] for one that would be lost.
#[cfg(feature = "alloc")]
pub fn with_signature(
    file: &[u8],
    version: u32,
    minimum: u32,
    key: [u8; 8],
    mut sign: impl FnMut(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> Result<alloc::vec::Vec<u8>, Error> {
    use crate::format::container::write;
    use alloc::vec::Vec;

    let container = Container::parse(file)?;
    if container.kinds().count() != usize::from(container.sections()) {
        return Err(Error::UnknownSection);
    }
    let ours = |kind: &Kind| matches!(kind, Kind::Announcement | Kind::Signature);
    let kinds = container.kinds().filter(|kind| !ours(kind));
    let mut sections: Vec<(Kind, Vec<u8>)> =
        kinds.filter_map(|kind| Some((kind, container.get(kind)?.to_vec()))).collect();
    let [low, high] = [minimum, version].map(u32::to_le_bytes);
    sections.push((Kind::Announcement, [0; SIGNATURE_BYTES].to_vec()));
    sections.push((Kind::Signature, [&high[..], &low, &key, &[0; SIGNATURE_BYTES]].concat()));
    let mut bytes = write(&sections);
    let end = bytes.len() - CHECKSUM_BYTES;
    let at = end - SECTION_BYTES - SIGNATURE_BYTES;
    let (length, body) = (bytes.len() as u32, checksum(&bytes[..at]));
    let signature = &[0; SIGNATURE_BYTES];
    let announced = sign(&Announcement { length, body, version, minimum, signature }.message());
    bytes[at..at + SIGNATURE_BYTES].copy_from_slice(&announced);
    let start = end - SIGNATURE_BYTES;
    let signature = sign(&[&CONTEXT[..], &bytes[..start]].concat());
    bytes[start..end].copy_from_slice(&signature);
    let crc = checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

#[cfg(feature = "alloc")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::container::write;
    use alloc::vec;

    fn file() -> alloc::vec::Vec<u8> {
        write(&[(Kind::Meta, vec![1, 2, 3]), (Kind::Provenance, vec![0])])
    }

    #[test]
    fn what_is_signed_is_what_is_covered() {
        let mut seen = vec![];
        let bytes = with_signature(&file(), 7, 5, *b"the key.", |message| {
            seen = message.to_vec();
            [9; SIGNATURE_BYTES]
        })
        .unwrap();
        let container = Container::parse(&bytes).unwrap();
        assert_eq!(container.get(Kind::Meta), Some(&[1, 2, 3][..]));
        let signed = ModelSignature::of(&container).unwrap().unwrap();
        assert_eq!((signed.version, signed.minimum, signed.key), (7, 5, *b"the key."));
        assert_eq!(signed.signature, &[9; SIGNATURE_BYTES]);
        assert_eq!([&CONTEXT[..], signed.covered].concat(), seen);
        assert_eq!(signed.covered.len() + SIGNATURE_BYTES + CHECKSUM_BYTES, bytes.len());
    }

    #[test]
    fn what_is_announced_is_of_this_file() {
        let mut seen = vec![];
        let bytes = with_signature(&file(), 7, 5, *b"the key.", |message| {
            seen.push(message.to_vec());
            [seen.len() as u8; SIGNATURE_BYTES]
        })
        .unwrap();
        let container = Container::parse(&bytes).unwrap();
        let signed = ModelSignature::of(&container).unwrap().unwrap();
        let announced = signed.announcement(&container).unwrap().unwrap();
        assert_eq!((announced.length as usize, announced.version), (bytes.len(), 7));
        assert_eq!(announced.body, checksum(&bytes[..bytes.len() - 4 - 80 - 64]));
        assert_eq!((announced.minimum, announced.signature), (5, &[1; SIGNATURE_BYTES]));
        assert_eq!(announced.message()[..], seen[0]);
        assert_eq!(seen[0][..16], ANNOUNCEMENT[..]);
        assert_eq!(seen[0][16..20], announced.length.to_le_bytes());
        assert_eq!(signed.signature, &[2; SIGNATURE_BYTES]);
    }

    #[test]
    fn a_file_signed_before_there_were_announcements_holds_and_a_misplaced_one_is_refused() {
        let signature = (Kind::Signature, vec![0; SECTION_BYTES]);
        let announced = |before: &[(Kind, usize)]| {
            let before = before.iter().map(|&(kind, bytes)| (kind, vec![0; bytes]));
            let bytes = write(&before.chain([signature.clone()]).collect::<alloc::vec::Vec<_>>());
            let container = Container::parse(&bytes).unwrap();
            let signed = ModelSignature::of(&container).unwrap().unwrap();
            signed.announcement(&container).map(|found| found.is_some())
        };
        assert_eq!(announced(&[(Kind::Provenance, 4)]), Ok(false));
        assert_eq!(announced(&[(Kind::Announcement, 64)]), Ok(true));
        for bad in [
            &[(Kind::Announcement, 64), (Kind::Provenance, 4)][..],
            &[(Kind::Announcement, 60)],
            &[(Kind::Announcement, 68)],
        ] {
            assert_eq!(announced(bad), Err(Error::BadDirectory));
        }
    }

    #[test]
    fn signing_again_replaces_and_unsigned_has_none() {
        let sign = |_: &[u8]| [1; SIGNATURE_BYTES];
        let once = with_signature(&file(), 7, 7, [0; 8], sign).unwrap();
        let twice = with_signature(&once, 8, 8, [0; 8], sign).unwrap();
        assert_eq!(once.len(), twice.len());
        assert_eq!(
            ModelSignature::of(&Container::parse(&twice).unwrap()).unwrap().unwrap().version,
            8
        );
        assert_eq!(ModelSignature::of(&Container::parse(&file()).unwrap()), Ok(None));
    }

    #[test]
    fn a_section_that_does_not_end_the_file_is_refused() {
        let section = (Kind::Signature, vec![0; SECTION_BYTES]);
        let early = write(&[section, (Kind::Provenance, vec![0])]);
        let short = write(&[(Kind::Signature, vec![0; SECTION_BYTES - 4])]);
        for bytes in [early, short] {
            assert_eq!(
                ModelSignature::of(&Container::parse(&bytes).unwrap()),
                Err(Error::BadDirectory)
            );
        }
    }
}
