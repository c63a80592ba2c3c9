//! The gate table: what a gate is called, how many qubits and angles it takes and what generates it.
//!
//! Lowering, simulator, QASM and drawing read this one table. Conventions: `RX(t) =
//! exp(-i t X / 2)` and likewise for every rotation; qubit 0 is the least significant bit of the
//! basis index; in a two-qubit gate `qubits[0]` is the control.

use core::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

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

/// The axis of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Pauli X
    X,
    /// Pauli Y
    Y,
    /// Pauli Z
    Z,
}

/// What a gate with the angle `t` is, up to a global phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// `exp(-i t G / 2)`, `G` this Pauli on every qubit of the gate.
    Pauli(Axis),
    /// `exp(-i t G / 2)`, `G` this Pauli on the second qubit, where the first is 1.
    Controlled(Axis),
    /// `e^{i t}` where every qubit of the gate is 1.
    Phase,
    /// No single angle: an index map or a product of rotations.
    None,
}

/// One row of the gate table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateInfo {
    /// Which gate this row describes.
    pub kind: GateKind,
    /// Its name in OpenQASM 2 (`qelib1.inc`) and everywhere else.
    pub name: &'static str,
    /// How many qubits it acts on.
    pub qubits: usize,
    /// How many angles it takes.
    pub angles: usize,
    /// What generates it.
    pub generator: Generator,
    /// The angle, in radians, of a gate that has a generator and takes none.
    pub turn: f64,
}

const fn row(
    kind: GateKind,
    name: &'static str,
    [qubits, angles]: [usize; 2],
    generator: Generator,
    turn: f64,
) -> GateInfo {
    GateInfo { kind, name, qubits, angles, generator, turn }
}

/// The gate table, in the order of [`GateKind`].
pub const GATES: [GateInfo; 23] = {
    use Axis::{X, Y, Z};
    use GateKind as K;
    use Generator::{Controlled, None, Pauli, Phase};
    [
        row(K::Rx, "rx", [1, 1], Pauli(X), 0.0),
        row(K::Ry, "ry", [1, 1], Pauli(Y), 0.0),
        row(K::Rz, "rz", [1, 1], Pauli(Z), 0.0),
        row(K::H, "h", [1, 0], None, 0.0),
        row(K::X, "x", [1, 0], None, 0.0),
        row(K::Y, "y", [1, 0], None, 0.0),
        row(K::Z, "z", [1, 0], Phase, PI),
        row(K::S, "s", [1, 0], Phase, FRAC_PI_2),
        row(K::Sdg, "sdg", [1, 0], Phase, -FRAC_PI_2),
        row(K::T, "t", [1, 0], Phase, FRAC_PI_4),
        row(K::Tdg, "tdg", [1, 0], Phase, -FRAC_PI_4),
        row(K::U, "u", [1, 3], None, 0.0),
        row(K::P, "p", [1, 1], Phase, 0.0),
        row(K::Cx, "cx", [2, 0], None, 0.0),
        row(K::Cz, "cz", [2, 0], Phase, PI),
        row(K::Swap, "swap", [2, 0], None, 0.0),
        row(K::Rzz, "rzz", [2, 1], Pauli(Z), 0.0),
        row(K::Rxx, "rxx", [2, 1], Pauli(X), 0.0),
        row(K::Ryy, "ryy", [2, 1], Pauli(Y), 0.0),
        row(K::Crx, "crx", [2, 1], Controlled(X), 0.0),
        row(K::Cry, "cry", [2, 1], Controlled(Y), 0.0),
        row(K::Crz, "crz", [2, 1], Controlled(Z), 0.0),
        row(K::Cp, "cp", [2, 1], Phase, 0.0),
    ]
};

impl GateKind {
    /// This gate's row of the table.
    pub const fn info(self) -> &'static GateInfo {
        &GATES[self as usize]
    }

    /// The gate of this name.
    pub fn named(name: &str) -> Option<Self> {
        GATES.iter().find(|gate| gate.name == name).map(|gate| gate.kind)
    }

    /// The gate that undoes this one, angles negated; those of [`U`](Self::U) change places besides.
    pub const fn inverse(self) -> Self {
        match self {
            Self::S => Self::Sdg,
            Self::Sdg => Self::S,
            Self::T => Self::Tdg,
            Self::Tdg => Self::T,
            other => other,
        }
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

    /// The qubits that count.
    pub fn on(&self) -> &[u8] {
        &self.qubits[..self.kind.info().qubits]
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
            assert_eq!(g.turn != 0.0, g.generator == Generator::Phase && g.angles == 0);
        }
        for (gate, inverse) in [(GateKind::S, GateKind::Sdg), (GateKind::T, GateKind::Tdg)] {
            assert_eq!(gate.info().turn, -inverse.info().turn);
            assert_eq!((gate.inverse(), inverse.inverse()), (inverse, gate));
        }
    }
}
