//! Bytes as lower-case hexadecimal.

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from `2 N` digits of either case.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_other_texts_do_not() {
        assert_eq!(encode([0, 0xa5, 0xff]), "00a5ff");
        assert_eq!(decode("00A5ff"), Some([0, 0xa5, 0xff]));
        for bad in ["00a5f", "00a5fff0", "00a5fg", "+0a5ff", "\u{e9}a5ff"] {
            assert_eq!(decode::<3>(bad), None, "{bad}");
        }
    }
}
