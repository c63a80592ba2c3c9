//! Consistent overhead byte stuffing: bytes without a zero among them, so that a zero can end a frame.
//!
//! Written here because both directions need no second buffer and no index that could be wrong: the
//! board's image must link no panic. Tests compare with the crate `cobs`.

/// The most bytes that encoding makes of `bytes`.
pub const fn encoded_bytes(bytes: usize) -> usize {
    bytes + bytes / 254 + 1
}

/// Hands the encoded form of `bytes` to `emit`, part by part, without zeros around it.
///
/// # Errors
/// The first of `emit`; nothing is handed over after it.
pub fn encode<E>(bytes: &[u8], mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut rest = bytes;
    loop {
        let longest = rest.get(..254).unwrap_or(rest);
        let run = longest.iter().take_while(|&&byte| byte != 0).count();
        let (now, after) = rest.split_at_checked(run).unwrap_or((rest, &[]));
        // At most 254 bytes: the code fits.
        emit(&[run as u8 + 1])?;
        emit(now)?;
        match after {
            [] => return Ok(()),
            // A full run is followed by whatever comes; a shorter one stands for the zero after it.
            _ if run == 254 => rest = after,
            [_, tail @ ..] => rest = tail,
        }
    }
}

/// Decodes in place; none if this is no encoding of anything.
pub fn decode(bytes: &mut [u8]) -> Option<&mut [u8]> {
    // Even nothing is encoded as a code of 1.
    if bytes.is_empty() {
        return None;
    }
    let (mut from, mut to) = (0, 0);
    while let Some(&code) = bytes.get(from) {
        from += 1;
        for _ in 1..code.max(1) {
            match *bytes.get(from)? {
                0 => return None,
                byte => *bytes.get_mut(to)? = byte,
            }
            (from, to) = (from + 1, to + 1);
        }
        match code {
            0 => return None,
            // A full run, or the last one, stands for no zero after it.
            255 => {}
            _ if from >= bytes.len() => {}
            _ => {
                *bytes.get_mut(to)? = 0;
                to += 1;
            }
        }
    }
    bytes.get_mut(..to)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let done: Result<(), ()> = encode(bytes, |part| {
            out.extend_from_slice(part);
            Ok(())
        });
        done.unwrap();
        out
    }

    /// Bytes with many zeros and long runs, where the cases of the encoding are.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(Vec::from([0])),
            proptest::collection::vec(any::<u8>(), 0..40),
            (250..260_usize).prop_map(|n| std::vec![7; n]),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    #[test]
    fn nothing_is_an_encoding_of_nothing_only_with_its_code() {
        assert_eq!(decode(&mut []), None);
        assert_eq!(decode(&mut [1]), Some(&mut [][..]));
    }

    proptest! {
        #[test]
        fn equals_the_crate_and_comes_back(bytes in bytes()) {
            let mut ours = encoded(&bytes);
            let mut theirs = std::vec![0; ::cobs::max_encoding_length(bytes.len()).max(1)];
            let count = ::cobs::encode(&bytes, &mut theirs);
            theirs.truncate(count);
            // A full last run: the crate may add a code of 1, which decodes to nothing more.
            if ours != theirs {
                prop_assert_eq!(&theirs[..ours.len()], &ours[..]);
                prop_assert_eq!(&theirs[ours.len()..], &[1_u8][..]);
            }
            prop_assert!(!ours.contains(&0));
            prop_assert!(ours.len() <= encoded_bytes(bytes.len()));
            prop_assert_eq!(decode(&mut ours).map(|x| x.to_vec()), Some(bytes));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused_as_the_crate_does(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            bytes.iter_mut().step_by(3).for_each(|b| *b %= 9);
            let theirs = {
                let mut out = std::vec![0; bytes.len()];
                ::cobs::decode(&bytes, &mut out).ok().map(|report| out[..report.frame_size()].to_vec())
            };
            let has_zero = bytes.contains(&0);
            let ours = decode(&mut bytes).map(|x| x.to_vec());
            // A zero ends a frame, so it never comes here; the crate stops there.
            if has_zero {
                prop_assert_eq!(ours, None);
            } else {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
