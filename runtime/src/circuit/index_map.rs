//! Index maps of CX, SWAP and X blocks: `x -> A x + c` over the bits of the basis index.

use crate::circuit::QUBITS;

/// An invertible affine map of basis indices over GF(2); qubit 0 is the least significant bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexMap {
    /// `columns[j]` is the image of basis bit `j` under the linear part.
    pub columns: [u16; QUBITS],
    /// What is added: the image of index 0.
    pub offset: u16,
}

impl IndexMap {
    /// The map that changes nothing.
    pub const IDENTITY: Self = {
        let mut columns = [0; QUBITS];
        let mut j = 0;
        while j < QUBITS {
            columns[j] = 1 << j;
            j += 1;
        }
        Self { columns, offset: 0 }
    };

    /// The image of an index.
    pub fn apply(&self, index: u16) -> u16 {
        self.without_offset(index) ^ self.offset
    }

    /// The image under the linear part alone.
    pub fn without_offset(&self, index: u16) -> u16 {
        self.columns
            .iter()
            .enumerate()
            .fold(0, |y, (j, column)| if index >> j & 1 == 1 { y ^ column } else { y })
    }

    /// The mask `m'` with `parity(m & A x) = parity(m' & x)` for every `x`, and whether the offset
    /// flips the parity: how a Z word moves to the other side of the map.
    pub fn pull_mask(&self, mask: u16) -> (u16, bool) {
        let mut pulled = 0;
        for (j, column) in self.columns.iter().enumerate() {
            if parity(column & mask) {
                pulled |= 1 << j;
            }
        }
        (pulled, parity(self.offset & mask))
    }

    /// This map, then `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self {
            columns: self.columns.map(|c| next.without_offset(c)),
            offset: next.apply(self.offset),
        }
    }

    /// The inverse, or `None` where two indices share an image.
    pub fn inverse(&self) -> Option<Self> {
        let mut rows = self.columns;
        let mut inverse = Self::IDENTITY.columns;
        // Gauss-Jordan on columns: afterwards `inverse[j]` is what maps to bit j.
        for bit in 0..QUBITS {
            let pivot = (bit..QUBITS).find(|&j| rows[j] >> bit & 1 == 1)?;
            rows.swap(bit, pivot);
            inverse.swap(bit, pivot);
            for j in 0..QUBITS {
                if j != bit && rows[j] >> bit & 1 == 1 {
                    rows[j] ^= rows[bit];
                    inverse[j] ^= inverse[bit];
                }
            }
        }
        let inverse = Self { columns: inverse, offset: 0 };
        Some(Self { offset: inverse.without_offset(self.offset), ..inverse })
    }

    /// The map of CX with control `c` and target `t`.
    pub fn cx(c: u8, t: u8) -> Self {
        let mut map = Self::IDENTITY;
        map.columns[c as usize] |= 1 << t;
        map
    }

    /// The map of SWAP.
    pub fn swap(a: u8, b: u8) -> Self {
        let mut map = Self::IDENTITY;
        map.columns.swap(a as usize, b as usize);
        map
    }

    /// The map of X.
    pub fn x(q: u8) -> Self {
        Self { offset: 1 << q, ..Self::IDENTITY }
    }
}

/// Whether an odd number of bits is set.
pub fn parity(x: u16) -> bool {
    // Cortex-M has no population count: two folds and a 16-entry table in a constant.
    let x = x ^ (x >> 8);
    let x = x ^ (x >> 4);
    0x6996_u16 >> (x & 15) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A map made of random CX and X steps.
    fn map_of(steps: &[(u8, u8)]) -> IndexMap {
        steps.iter().fold(IndexMap::IDENTITY, |m, &(a, b)| {
            m.then(&if a == b { IndexMap::x(a) } else { IndexMap::cx(a, b) })
        })
    }

    proptest! {
        #[test]
        fn inverse_pull_and_composition_agree_with_the_definition(
            steps in prop::collection::vec((0u8..11, 0u8..11), 0..40),
            more in prop::collection::vec((0u8..11, 0u8..11), 0..40),
            x in 0u16..2048,
            mask in 0u16..2048,
        ) {
            let (f, g) = (map_of(&steps), map_of(&more));
            prop_assert_eq!(f.then(&g).apply(x), g.apply(f.apply(x)));
            prop_assert_eq!(f.inverse().unwrap().apply(f.apply(x)), x);
            let (pulled, flip) = f.pull_mask(mask);
            prop_assert_eq!(parity(mask & f.apply(x)), parity(pulled & x) ^ flip);
        }
    }

    #[test]
    fn a_singular_map_has_no_inverse() {
        let mut f = IndexMap::IDENTITY;
        f.columns[3] = f.columns[4];
        assert_eq!(f.inverse(), None);
    }

    #[test]
    fn parity_counts_bits() {
        for x in 0..=u16::MAX {
            assert_eq!(parity(x), x.count_ones() % 2 == 1);
        }
    }
}
