//! Pauli words on up to 16 qubits, what quarter turns about one make of another, and frames of them.

use crate::transpile::ir::Axis;

/// `i^phase X^x Z^z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub x: u16,
    pub z: u16,
    phase: u8,
}

impl Word {
    pub const fn z(mask: u16) -> Self {
        Self { x: 0, z: mask, phase: 0 }
    }

    pub const fn on(q: u8, axis: Axis) -> Self {
        let bit = 1 << q;
        match axis {
            Axis::X => Self { x: bit, z: 0, phase: 0 },
            Axis::Y => Self { x: bit, z: bit, phase: 1 },
            Axis::Z | Axis::Other => Self::z(bit),
        }
    }

    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        let swaps = 2 * (self.z & other.x).count_ones() as u8;
        let phase = (self.phase + other.phase + swaps) % 4;
        Self { x: self.x ^ other.x, z: self.z ^ other.z, phase }
    }

    pub const fn commutes(self, other: Self) -> bool {
        (self.x & other.z).count_ones() % 2 == (self.z & other.x).count_ones() % 2
    }

    /// Whether it is minus a product of X, Y and Z.
    pub const fn negative(self) -> bool {
        (self.phase as u32 + 3 * (self.x & self.z).count_ones()) % 4 == 2
    }

    #[must_use]
    pub const fn negated(self) -> Self {
        Self { phase: (self.phase + 2) % 4, ..self }
    }

    pub fn qubits(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |&q| (self.x | self.z) >> q & 1 == 1)
    }

    pub const fn weight(self) -> u32 {
        (self.x | self.z).count_ones()
    }

    /// What it is on a qubit of its own.
    pub const fn axis(self, q: u8) -> Axis {
        match (self.x >> q & 1, self.z >> q & 1) {
            (1, 1) => Axis::Y,
            (1, _) => Axis::X,
            _ => Axis::Z,
        }
    }

    /// `R word R^dagger` for `R = exp(-i quarters pi/4 by)`.
    #[must_use]
    pub const fn turned(self, by: Self, quarters: u8) -> Self {
        if self.commutes(by) {
            return self;
        }
        // R^2 word, and R^2 = cos - i sin by.
        let product = by.times(self);
        match quarters % 4 {
            0 => self,
            1 => Self { phase: (product.phase + 3) % 4, ..product },
            2 => self.negated(),
            _ => Self { phase: (product.phase + 1) % 4, ..product },
        }
    }
}

/// A controlled Pauli: where `first` is -1, `second`; the two commute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controlled {
    pub first: Word,
    pub second: Word,
}

impl Controlled {
    pub const fn of(self, word: Word) -> Word {
        let both = self.first.times(self.second);
        word.turned(self.first, 1).turned(self.second, 1).turned(both, 3)
    }
}

/// What has become of X and Z on each qubit.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    x: [Word; 16],
    z: [Word; 16],
}

impl Default for Frame {
    fn default() -> Self {
        let words = |axis| std::array::from_fn(|q| Word::on(q as u8, axis));
        Self { x: words(Axis::X), z: words(Axis::Z) }
    }
}

impl Frame {
    pub fn of(&self, word: Word) -> Word {
        let start = Word { phase: word.phase, ..Word::default() };
        let on = |mask: u16| (0..16).filter(move |q| mask >> q & 1 == 1);
        let turned = on(word.x).fold(start, |all, q| all.times(self.x[q]));
        on(word.z).fold(turned, |all, q| all.times(self.z[q]))
    }

    pub fn map(&mut self, of: impl Fn(Word) -> Word) {
        self.x.iter_mut().chain(&mut self.z).for_each(|word| *word = of(*word));
    }

    /// Of words behind one more CX, what they are before all.
    pub fn cx(&mut self, c: u8, t: u8) {
        let (c, t) = (c as usize, t as usize);
        self.x[c] = self.x[c].times(self.x[t]);
        self.z[t] = self.z[c].times(self.z[t]);
    }

    pub fn flip(&mut self, q: u8) {
        self.z[q as usize] = self.z[q as usize].negated();
    }

    pub fn exchange(&mut self, a: u8, b: u8) {
        self.x.swap(a.into(), b.into());
        self.z.swap(a.into(), b.into());
    }
}
