//! A plain f64 statevector simulator, gate by gate from the definition: slow, and kept only to
//! judge everything else.

use num_complex::Complex64;
use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_4};

/// A small square matrix, row by row.
pub type Matrix = Vec<Vec<Complex64>>;

const ZERO: Complex64 = Complex64::new(0.0, 0.0);
const ONE: Complex64 = Complex64::new(1.0, 0.0);
const I: Complex64 = Complex64::new(0.0, 1.0);

/// The amplitudes of `|0...0>` on `qubits` qubits after `gates`; index bit `q` is qubit `q`.
pub fn simulate(
    gates: impl Iterator<Item = Gate>,
    qubits: usize,
    inputs: &[f64],
    parameters: &[f64],
) -> Vec<Complex64> {
    let mut state = vec![ZERO; 1 << qubits];
    state[0] = ONE;
    for gate in gates {
        let angles = gate.angles.map(|a| match a {
            Angle::Const(x) => x,
            Angle::Input(i) => inputs[i as usize],
            Angle::Param(p) => parameters[p as usize],
        });
        let matrix = matrix(gate.kind, angles);
        let targets = &gate.qubits[..gate.kind.info().qubits];
        state = apply(&state, &matrix, targets);
    }
    state
}

/// The expectation of the product of Z over the bits of `mask`.
pub fn expectation(state: &[Complex64], mask: u16) -> f64 {
    state
        .iter()
        .enumerate()
        .map(|(x, a)| {
            if (x as u16 & mask).count_ones().is_multiple_of(2) {
                a.norm_sqr()
            } else {
                -a.norm_sqr()
            }
        })
        .sum()
}

/// A state after a matrix; bit `i` of its rows is qubit `targets[i]`.
pub fn apply(state: &[Complex64], matrix: &Matrix, targets: &[u8]) -> Vec<Complex64> {
    let local =
        |x: usize| targets.iter().enumerate().fold(0, |row, (i, &t)| row | (x >> t & 1) << i);
    let clear = targets.iter().fold(!0_usize, |m, &t| m & !(1 << t));
    (0..state.len())
        .map(|x| {
            (0..matrix.len())
                .map(|column| {
                    let from = targets
                        .iter()
                        .enumerate()
                        .fold(x & clear, |y, (i, &t)| y | (column >> i & 1) << t);
                    matrix[local(x)][column] * state[from]
                })
                .sum()
        })
        .collect()
}

/// The matrix of a gate; of two qubits, bit 0 of the row is `qubits[0]`, the control.
pub fn matrix(kind: GateKind, [t, phi, lambda]: [f64; 3]) -> Matrix {
    use GateKind as K;
    let (c, s) = ((t / 2.0).cos(), (t / 2.0).sin());
    let real = |x: f64| Complex64::new(x, 0.0);
    let two = |a, b, c, d| vec![vec![a, b], vec![c, d]];
    let diagonal = |d: Vec<Complex64>| -> Matrix {
        (0..d.len())
            .map(|i| (0..d.len()).map(|j| if i == j { d[i] } else { ZERO }).collect())
            .collect()
    };
    let (x, y, z) = (two(ZERO, ONE, ONE, ZERO), two(ZERO, -I, I, ZERO), diagonal(vec![ONE, -ONE]));
    let e = |angle: f64| Complex64::from_polar(1.0, angle);
    match kind {
        K::Rx => two(real(c), -I * s, -I * s, real(c)),
        K::Ry => two(real(c), real(-s), real(s), real(c)),
        K::Rz => diagonal(vec![e(-t / 2.0), e(t / 2.0)]),
        K::H => {
            let h = real(FRAC_1_SQRT_2);
            two(h, h, h, -h)
        }
        K::X => x,
        K::Y => y,
        K::Z => z,
        K::S => diagonal(vec![ONE, I]),
        K::Sdg => diagonal(vec![ONE, -I]),
        K::T => diagonal(vec![ONE, e(FRAC_PI_4)]),
        K::Tdg => diagonal(vec![ONE, e(-FRAC_PI_4)]),
        K::P => diagonal(vec![ONE, e(t)]),
        K::U => two(real(c), -e(lambda) * s, e(phi) * s, e(phi + lambda) * c),
        K::Cx => controlled(&x),
        K::Cz => controlled(&z),
        K::Cp => controlled(&diagonal(vec![ONE, e(t)])),
        K::Crx => controlled(&matrix(K::Rx, [t, 0.0, 0.0])),
        K::Cry => controlled(&matrix(K::Ry, [t, 0.0, 0.0])),
        K::Crz => controlled(&matrix(K::Rz, [t, 0.0, 0.0])),
        K::Swap => {
            let mut m = diagonal(vec![ONE, ZERO, ZERO, ONE]);
            (m[1][2], m[2][1]) = (ONE, ONE);
            m
        }
        K::Rzz => exponential(&z, t),
        K::Rxx => exponential(&x, t),
        K::Ryy => exponential(&y, t),
    }
}

/// `gate` on the second qubit (bit 1) where the first (bit 0) is 1.
fn controlled(gate: &Matrix) -> Matrix {
    let mut m = vec![vec![ZERO; 4]; 4];
    (m[0][0], m[2][2]) = (ONE, ONE);
    for row in 0..2 {
        for column in 0..2 {
            m[2 * row + 1][2 * column + 1] = gate[row][column];
        }
    }
    m
}

/// `exp(-i t P⊗P / 2) = cos(t/2) - i sin(t/2) P⊗P`.
fn exponential(pauli: &Matrix, t: f64) -> Matrix {
    let (c, s) = ((t / 2.0).cos(), (t / 2.0).sin());
    (0..4)
        .map(|row| {
            (0..4)
                .map(|column| {
                    let product = pauli[row & 1][column & 1] * pauli[row >> 1][column >> 1];
                    let identity = if row == column { c } else { 0.0 };
                    Complex64::new(identity, 0.0) - I * s * product
                })
                .collect()
        })
        .collect()
}
