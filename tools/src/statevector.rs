//! A statevector in f64 of any size: the judge of every compiled circuit, and the state of noisy
//! trajectories.
//!
//! Each gate is applied as its matrix, with none of the identities that compilation uses. Qubit 0 is
//! the least significant bit of the index. Real and imaginary parts stand apart, for the compiler to
//! vectorise.

use crate::circuit::{Circuit, angles_rad};
use crate::matrix::{Matrix, Matrix4};
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::{Gate, GateKind};

/// Most qubits that a check simulates: 2^20 amplitudes are 16 MiB.
pub const MAX_SIMULATED: usize = 20;

#[derive(Clone, Debug)]
pub struct StateVector {
    re: Vec<f64>,
    im: Vec<f64>,
}

impl StateVector {
    pub fn zero(qubits: usize) -> Self {
        let mut re = vec![0.0; 1 << qubits];
        re[0] = 1.0;
        Self { im: vec![0.0; re.len()], re }
    }

    /// The state after `circuit` on |0..0>, over its used qubits only: bit `i` of the index is the
    /// `i`-th of `used`. `None` beyond [`MAX_SIMULATED`] qubits.
    pub fn after(circuit: &Circuit, used: &[u8]) -> Option<Self> {
        if used.len() > MAX_SIMULATED {
            return None;
        }
        let mut place = [0_usize; 256];
        for (i, &q) in used.iter().enumerate() {
            place[q as usize] = i;
        }
        let mut state = Self::zero(used.len());
        circuit.gates.iter().for_each(|g| state.gate(g, g.qubits.map(|q| place[q as usize])));
        Some(state)
    }

    /// Applies a gate to `bits`; the second counts only for gates of two qubits.
    pub fn gate(&mut self, gate: &Gate, bits: [usize; 2]) {
        let angles = angles_rad(gate);
        if gate.kind == GateKind::Cz {
            self.cz(bits);
        } else if let Some(matrix) = Matrix::of(gate.kind, angles) {
            self.apply(bits[0], &matrix);
        } else if let Some(matrix) = Matrix4::of_two(gate.kind, angles[0]) {
            self.apply_two(bits, &matrix);
        }
    }

    pub fn weights(&self) -> impl Iterator<Item = f64> + '_ {
        self.re.iter().zip(&self.im).map(|(x, y)| x * x + y * y)
    }

    /// The part of the squared norm where `bit` is 1.
    pub fn ones(&self, bit: usize) -> f64 {
        let half = 1 << bit;
        let square = |v: &[f64]| -> f64 {
            // Four sums, so that additions need not wait for each other.
            v.chunks_exact(2 * half)
                .map(|block| {
                    let ones = &block[half..];
                    let mut sums = [0.0; 4];
                    let mut quads = ones.chunks_exact(4);
                    for quad in &mut quads {
                        sums.iter_mut().zip(quad).for_each(|(s, x)| *s += x * x);
                    }
                    let rest: f64 = quads.remainder().iter().map(|x| x * x).sum();
                    sums.iter().sum::<f64>() + rest
                })
                .sum()
        };
        square(&self.re) + square(&self.im)
    }

    pub fn apply(&mut self, bit: usize, m: &Matrix) {
        let m = &m.0;
        let half = 1 << bit;
        let blocks = self.re.chunks_exact_mut(2 * half).zip(self.im.chunks_exact_mut(2 * half));
        for (re, im) in blocks {
            let ((r0, r1), (i0, i1)) = (re.split_at_mut(half), im.split_at_mut(half));
            for (((r0, i0), r1), i1) in r0.iter_mut().zip(i0).zip(r1).zip(i1) {
                let (a, b, p, q) = (*r0, *i0, *r1, *i1);
                *r0 = m[0][0].re * a - m[0][0].im * b + m[0][1].re * p - m[0][1].im * q;
                *i0 = m[0][0].re * b + m[0][0].im * a + m[0][1].re * q + m[0][1].im * p;
                *r1 = m[1][0].re * a - m[1][0].im * b + m[1][1].re * p - m[1][1].im * q;
                *i1 = m[1][0].re * b + m[1][0].im * a + m[1][1].re * q + m[1][1].im * p;
            }
        }
    }

    /// Calls with the parts of the amplitudes where `bit` is 0 and where it is 1.
    fn halves(&mut self, bit: usize, mut each: impl FnMut(&mut [f64], &mut [f64])) {
        for part in [&mut self.re, &mut self.im] {
            for block in part.chunks_exact_mut(2 << bit) {
                let (zeros, ones) = block.split_at_mut(1 << bit);
                each(zeros, ones);
            }
        }
    }

    pub fn scale(&mut self, by: f64) {
        self.re.iter_mut().chain(&mut self.im).for_each(|x| *x *= by);
    }

    /// Multiplies where `bit` is 1.
    pub fn scale_ones(&mut self, bit: usize, by: f64) {
        self.halves(bit, |_, ones| ones.iter_mut().for_each(|x| *x *= by));
    }

    /// Takes |1> of `bit` to |0>, and what was |0> away.
    pub fn lower(&mut self, bit: usize) {
        self.halves(bit, |zeros, ones| {
            zeros.copy_from_slice(ones);
            ones.fill(0.0);
        });
    }

    fn apply_two(&mut self, [a, b]: [usize; 2], matrix: &Matrix4) {
        let (za, zb) = (1 << a, 1 << b);
        for x in (0..self.re.len()).filter(|x| x & (za | zb) == 0) {
            let at = [x, x | za, x | zb, x | za | zb];
            let old = at.map(|i| C::new(self.re[i], self.im[i]));
            for (row, i) in matrix.0.iter().zip(at) {
                // At least half of the entries of every gate's matrix are zero.
                let terms = row.iter().zip(old).filter(|(f, _)| f.re != 0.0 || f.im != 0.0);
                let sum: C = terms.map(|(f, z)| f * z).sum();
                (self.re[i], self.im[i]) = (sum.re, sum.im);
            }
        }
    }

    fn cz(&mut self, [a, b]: [usize; 2]) {
        let low = 1 << a.min(b);
        self.halves(a.max(b), |_, ones| {
            for block in ones.chunks_exact_mut(2 * low) {
                block[low..].iter_mut().for_each(|x| *x = -*x);
            }
        });
    }
}
