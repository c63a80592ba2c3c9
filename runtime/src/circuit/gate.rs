//! The gate table: what a gate is called, how many qubits and angles it takes, what undoes it and
//! what generates it.
//!
//! Simulator, gradient, fuser, QASM and drawing read this one table. Conventions: `RX(t) =
//! exp(-i t X / 2)` and likewise for every rotation; qubit 0 is the least significant bit of the
//! basis index; in a two-qubit gate `qubits[0]` is the control.

/// Kinds of gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GateKind {
    /// `exp(-i t X / 2)`
    Rx,
    /// `exp(-i t Y / 2)`
    Ry,
    /// `exp(-i t Z / 2)`
    Rz,
    /// Hadamard
    H,
    /// Pauli X
    X,
    /// Pauli Y
    Y,
    /// Pauli Z
    Z,
    /// `diag(1, i)`
    S,
    /// `diag(1, -i)`
    Sdg,
    /// `diag(1, e^{i pi/4})`
    T,
    /// `diag(1, e^{-i pi/4})`
    Tdg,
    /// `RZ(phi) RY(theta) RZ(lambda)` up to phase, angles `(theta, phi, lambda)`
    U,
    /// `diag(1, e^{i t})`
    P,
    /// Controlled X
    Cx,
    /// Controlled Z
    Cz,
    /// Exchange of two qubits
    Swap,
    /// `exp(-i t Z⊗Z / 2)`
    Rzz,
    /// `exp(-i t X⊗X / 2)`
    Rxx,
    /// `exp(-i t Y⊗Y / 2)`
    Ryy,
    /// Controlled RX
    Crx,
    /// Controlled RY
    Cry,
    /// Controlled RZ
    Crz,
    /// Controlled phase `diag(1, 1, 1, e^{i t})`
    Cp,
}

/// What undoes a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inverse {
    /// The gate itself.
    Itself,
    /// The same gate with every angle negated (for `u`: negated and the last two exchanged).
    NegatedAngles,
    /// Another gate of the table.
    Other(GateKind),
}

/// The Hermitian `G` of `exp(-i t G / 2)`, for gates with one angle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// A Pauli word on the gate's qubits, e.g. `"ZZ"`.
    Pauli(&'static str),
    /// A Pauli on the second qubit where the first is 1.
    Controlled(&'static str),
    /// The projector on all ones (times -2, up to a global phase): a phase gate.
    Phase,
    /// No single angle: the gate has none, or is a product of rotations.
    None,
}

/// One row of the gate table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateInfo {
    /// Which gate this row describes.
    pub kind: GateKind,
    /// Its name in OpenQASM 2 (`qelib1.inc`) and everywhere else.
    pub name: &'static str,
    /// How many qubits it acts on.
    pub qubits: usize,
    /// How many angles it takes.
    pub angles: usize,
    /// What undoes it.
    pub inverse: Inverse,
    /// What generates it.
    pub generator: Generator,
}

const fn row(
    kind: GateKind,
    name: &'static str,
    qubits: usize,
    angles: usize,
    inverse: Inverse,
    generator: Generator,
) -> GateInfo {
    GateInfo { kind, name, qubits, angles, inverse, generator }
}

/// The gate table, in the order of [`GateKind`].
pub const GATES: [GateInfo; 23] = {
    use Generator::{Controlled, None, Pauli, Phase};
    use Inverse::{Itself, NegatedAngles, Other};
    [
        row(GateKind::Rx, "rx", 1, 1, NegatedAngles, Pauli("X")),
        row(GateKind::Ry, "ry", 1, 1, NegatedAngles, Pauli("Y")),
        row(GateKind::Rz, "rz", 1, 1, NegatedAngles, Pauli("Z")),
        row(GateKind::H, "h", 1, 0, Itself, None),
        row(GateKind::X, "x", 1, 0, Itself, None),
        row(GateKind::Y, "y", 1, 0, Itself, None),
        row(GateKind::Z, "z", 1, 0, Itself, None),
        row(GateKind::S, "s", 1, 0, Other(GateKind::Sdg), None),
        row(GateKind::Sdg, "sdg", 1, 0, Other(GateKind::S), None),
        row(GateKind::T, "t", 1, 0, Other(GateKind::Tdg), None),
        row(GateKind::Tdg, "tdg", 1, 0, Other(GateKind::T), None),
        row(GateKind::U, "u", 1, 3, NegatedAngles, None),
        row(GateKind::P, "p", 1, 1, NegatedAngles, Phase),
        row(GateKind::Cx, "cx", 2, 0, Itself, None),
        row(GateKind::Cz, "cz", 2, 0, Itself, None),
        row(GateKind::Swap, "swap", 2, 0, Itself, None),
        row(GateKind::Rzz, "rzz", 2, 1, NegatedAngles, Pauli("ZZ")),
        row(GateKind::Rxx, "rxx", 2, 1, NegatedAngles, Pauli("XX")),
        row(GateKind::Ryy, "ryy", 2, 1, NegatedAngles, Pauli("YY")),
        row(GateKind::Crx, "crx", 2, 1, NegatedAngles, Controlled("X")),
        row(GateKind::Cry, "cry", 2, 1, NegatedAngles, Controlled("Y")),
        row(GateKind::Crz, "crz", 2, 1, NegatedAngles, Controlled("Z")),
        row(GateKind::Cp, "cp", 2, 1, NegatedAngles, Phase),
    ]
};

impl GateKind {
    /// This gate's row of the table.
    pub const fn info(self) -> &'static GateInfo {
        &GATES[self as usize]
    }
}

/// Where an angle comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Angle {
    /// A number, in radians.
    Const(f64),
    /// The encoder's input `i`, in radians.
    Input(u8),
    /// The trainable parameter `i`, in radians.
    Param(u16),
}

/// One gate of a circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Which gate.
    pub kind: GateKind,
    /// The qubits; of a one-qubit gate only the first counts.
    pub qubits: [u8; 2],
    /// The angles; only the first [`GateInfo::angles`] count.
    pub angles: [Angle; 3],
}

const NO_ANGLE: Angle = Angle::Const(0.0);

impl Gate {
    /// A one-qubit gate with one angle.
    pub const fn rotation(kind: GateKind, qubit: u8, angle: Angle) -> Self {
        Self { kind, qubits: [qubit, qubit], angles: [angle, NO_ANGLE, NO_ANGLE] }
    }

    /// A two-qubit gate with one angle.
    pub const fn coupling(kind: GateKind, a: u8, b: u8, angle: Angle) -> Self {
        Self { kind, qubits: [a, b], angles: [angle, NO_ANGLE, NO_ANGLE] }
    }

    /// A gate without angles; for a one-qubit gate give the qubit twice.
    pub const fn fixed(kind: GateKind, a: u8, b: u8) -> Self {
        Self { kind, qubits: [a, b], angles: [NO_ANGLE; 3] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_inverses_are_mutual() {
        for (i, g) in GATES.iter().enumerate() {
            assert_eq!(g.kind as usize, i);
            assert_eq!(g.kind.info().name, g.name);
            if let Inverse::Other(other) = g.inverse {
                assert_eq!(other.info().inverse, Inverse::Other(g.kind));
                assert_eq!(other.info().qubits, g.qubits);
            }
            if let Generator::Pauli(word) = g.generator {
                assert_eq!(word.len(), g.qubits);
            }
        }
    }
}
