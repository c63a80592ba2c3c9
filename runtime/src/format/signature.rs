//! Where a signature lies in a model file, and what it covers. Checking it is left to who has the key.

use crate::error::Error;
use crate::format::container::{CHECKSUM_BYTES, Container, Kind};

/// Bytes of the section: version, lowest version, first bytes of the public key, signature.
pub const SECTION_BYTES: usize = 4 + 4 + 8 + SIGNATURE_BYTES;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// What is signed begins with this, so that a signature of anything else is none of a model.
pub const CONTEXT: &[u8; 16] = b"qdllm model v1\0\0";

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
}

/// A model file with the section of a signature added, or put in the place of the one that it has; the
/// signature itself comes from `sign`, which is given the bytes to sign.
///
/// # Errors
/// What [`Container::parse`] says of `file`; [`Error::UnknownSection`] for one that would be lost.
#[cfg(feature = "alloc")]
pub fn with_signature(
    file: &[u8],
    version: u32,
    minimum: u32,
    key: [u8; 8],
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> Result<alloc::vec::Vec<u8>, Error> {
    use crate::format::container::{checksum, write};
    use alloc::vec::Vec;

    let container = Container::parse(file)?;
    if container.kinds().count() != usize::from(container.sections()) {
        return Err(Error::UnknownSection);
    }
    let kinds = container.kinds().filter(|&kind| kind != Kind::Signature);
    let mut sections: Vec<(Kind, Vec<u8>)> =
        kinds.filter_map(|kind| Some((kind, container.get(kind)?.to_vec()))).collect();
    let [version, minimum] = [version, minimum].map(u32::to_le_bytes);
    let section = [&version[..], &minimum, &key, &[0; SIGNATURE_BYTES]].concat();
    sections.push((Kind::Signature, section));
    let mut bytes = write(&sections);
    let end = bytes.len() - CHECKSUM_BYTES;
    let start = end - SIGNATURE_BYTES;
    let signature = sign(&[&CONTEXT[..], &bytes[..start]].concat());
    bytes[start..end].copy_from_slice(&signature);
    let crc = checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

#[cfg(test)]
#[cfg(feature = "alloc")]
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
