//! Bytes as lower-case hexadecimal.

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from `2 N` digits of either case.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let good = text.len() == 2 * N && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap_or_default();
    good.then(|| std::array::from_fn(byte))
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
