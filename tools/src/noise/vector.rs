//! A statevector with real and imaginary parts apart, and what trajectories do to it.

use crate::circuit::Op;
use crate::matrix::{Matrix, c};
use crate::statevector;
use qdllm_runtime::circuit::gate::GateKind;

/// Amplitudes, not necessarily of norm 1.
#[derive(Clone, Debug)]
pub struct Vector {
    re: Vec<f64>,
    im: Vec<f64>,
}

impl Vector {
    /// |0..0> of some qubits.
    pub fn zero(qubits: usize) -> Self {
        let mut re = vec![0.0; 1 << qubits];
        re[0] = 1.0;
        Self { im: vec![0.0; re.len()], re }
    }

    /// Squared absolute values.
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

    /// Applies a matrix to `bit`.
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

    /// Multiplies everything, or only where `bit` is 1.
    pub fn scale(&mut self, bit: Option<usize>, by: f64) {
        let half = bit.map_or(self.re.len(), |b| 1 << b);
        let all = bit.is_none();
        for part in [&mut self.re, &mut self.im] {
            for block in part.chunks_mut(2 * half) {
                let from = if all { 0 } else { half };
                block[from..].iter_mut().for_each(|x| *x *= by);
            }
        }
    }

    /// Takes |1> of `bit` to |0>, and what was |0> away.
    pub fn lower(&mut self, bit: usize) {
        let half = 1 << bit;
        for part in [&mut self.re, &mut self.im] {
            for block in part.chunks_exact_mut(2 * half) {
                let (zeros, ones) = block.split_at_mut(half);
                zeros.copy_from_slice(ones);
                ones.fill(0.0);
            }
        }
    }

    /// Applies a two-qubit gate to `bits`.
    pub fn two(&mut self, op: &Op, [a, b]: [usize; 2]) {
        if op.kind == GateKind::Cz {
            let (low, high) = (1 << a.min(b), 1 << a.max(b));
            for part in [&mut self.re, &mut self.im] {
                for block in part.chunks_exact_mut(2 * high) {
                    for inner in block[high..].chunks_exact_mut(2 * low) {
                        inner[low..].iter_mut().for_each(|x| *x = -*x);
                    }
                }
            }
            return;
        }
        let mut all: Vec<_> = self.re.iter().zip(&self.im).map(|(&x, &y)| c(x, y)).collect();
        statevector::apply(&mut all, op, a, b);
        for (i, z) in all.into_iter().enumerate() {
            (self.re[i], self.im[i]) = (z.re, z.im);
        }
    }
}
