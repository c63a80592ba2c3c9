//! Counts of one circuit, and the only place that knows the order of a bit string: its rightmost
//! character is classical bit 0.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;

/// Most classical bits of a circuit whose counts are understood.
pub const MAX_BITS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    bits: usize,
    shots: u64,
    outcomes: BTreeMap<u64, u64>,
}

impl Counts {
    /// Counts of outcomes whose bit `i` is classical bit `i`; bits from `bits` on are dropped.
    pub fn new(outcomes: impl IntoIterator<Item = (u64, u64)>, bits: usize) -> Result<Self> {
        ensure!(bits <= MAX_BITS, "{bits} classical bits; at most {MAX_BITS} are understood");
        let mask = if bits == MAX_BITS { u64::MAX } else { (1 << bits) - 1 };
        let mut all = Self { bits, ..Self::default() };
        for (outcome, count) in outcomes.into_iter().filter(|&(_, count)| count > 0) {
            all.shots =
                all.shots.checked_add(count).context("the counts add up to more than 2^64")?;
            *all.outcomes.entry(outcome & mask).or_default() += count;
        }
        Ok(all)
    }

    /// Counts as a service gives them, for a circuit of `bits` classical bits.
    pub fn from_strings(strings: &BTreeMap<String, u64>, bits: usize) -> Result<Self> {
        ensure!(bits <= MAX_BITS, "{bits} classical bits; at most {MAX_BITS} are understood");
        for key in strings.keys() {
            ensure!(
                key.bytes().all(|b| matches!(b, b'0' | b'1')),
                "bit string `{key}` holds something else than 0 and 1"
            );
            let found = key.len();
            ensure!(
                found == bits,
                "bit string `{key}` has {found} characters; the circuit has {bits} classical bits"
            );
        }
        // The leftmost character is the highest bit.
        let outcome = |key: &String| key.bytes().fold(0, |x, b| x << 1 | u64::from(b == b'1'));
        Self::new(strings.iter().map(|(key, &n)| (outcome(key), n)), bits)
    }

    pub fn to_strings(&self) -> BTreeMap<String, u64> {
        self.iter().map(|(x, n)| (key(self.bits, |bit| x >> bit & 1 == 1), n)).collect()
    }

    pub fn bits(&self) -> usize {
        self.bits
    }

    pub fn shots(&self) -> u64 {
        self.shots
    }

    /// Each outcome (bit `i` is classical bit `i`) with its count, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.outcomes.iter().map(|(&x, &n)| (x, n))
    }
}

/// The bit string of an outcome given bit by bit, for a classical register of any width.
pub fn key(bits: usize, bit: impl Fn(usize) -> bool) -> String {
    (0..bits).rev().map(|i| if bit(i) { '1' } else { '0' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
        all.iter().map(|&(k, n)| (k.to_owned(), n)).collect()
    }

    #[test]
    fn the_rightmost_character_is_bit_zero() {
        let given = strings(&[("001", 5), ("100", 2), ("110", 1)]);
        let counts = Counts::from_strings(&given, 3).unwrap();
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(0b001, 5), (0b100, 2), (0b110, 1)]);
        assert_eq!((counts.shots(), counts.bits()), (8, 3));
        assert_eq!(counts.to_strings(), given);
        assert_eq!(key(5, |i| i == 1), "00010");
    }

    #[test]
    fn strings_of_another_circuit_are_refused_by_name() {
        let refused =
            |all: &[(&str, u64)]| Counts::from_strings(&strings(all), 3).unwrap_err().to_string();
        assert!(refused(&[("000", 1), ("0000", 1)]).contains("`0000` has 4 characters"));
        assert!(refused(&[("0x1", 1)]).contains("`0x1`"));
        assert!(refused(&[("0 1", 1)]).contains("else than 0 and 1"));
        assert!(refused(&[("", 1)]).contains("has 0 characters"));
        assert!(refused(&[("000", u64::MAX), ("001", 1)]).contains("2^64"));
        assert!(Counts::from_strings(&strings(&[]), 65).is_err());
    }
}
