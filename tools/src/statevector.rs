//! A plain f64 statevector of any size: the judge of every compiled circuit.
//!
//! Each gate is applied from its definition, with none of the identities that compilation uses.
//! Qubit 0 is the least significant bit of the index.

use crate::circuit::{Circuit, Op};
use crate::matrix::{C, Matrix, c};
use qdllm_runtime::circuit::gate::GateKind;

/// Most qubits that a check simulates: 2^20 amplitudes are 16 MiB.
pub const MAX_SIMULATED: usize = 20;

/// The amplitudes after `circuit` on |0..0>, over its used qubits only: bit `i` of the index is the
/// `i`-th of `used`. `None` beyond [`MAX_SIMULATED`] qubits.
pub fn simulate(circuit: &Circuit, used: &[u8]) -> Option<Vec<C>> {
    if used.len() > MAX_SIMULATED {
        return None;
    }
    let mut place = [0_usize; 256];
    for (i, &q) in used.iter().enumerate() {
        place[q as usize] = i;
    }
    let mut state = vec![C::default(); 1 << used.len()];
    state[0] = c(1.0, 0.0);
    for op in &circuit.ops {
        apply(&mut state, op, place[op.qubits[0] as usize], place[op.qubits[1] as usize]);
    }
    Some(state)
}

/// Applies a gate to bits `a` and `b` of the index; `b` counts only for gates of two qubits.
pub fn apply(state: &mut [C], op: &Op, a: usize, b: usize) {
    use GateKind as K;
    let t = op.angles_rad[0];
    let controlled = |kind| Matrix::rotation(kind, t);
    let (za, zb) = (1 << a, 1 << b);
    match op.kind {
        K::Cx => pairs(state, b, za, &Matrix::rotation(K::X, 0.0)),
        K::Cz => phases(state, |x| (x & za != 0 && x & zb != 0).then_some(c(-1.0, 0.0))),
        K::Cp => {
            let turn = C::turn(t);
            phases(state, |x| (x & za != 0 && x & zb != 0).then_some(turn));
        }
        K::Rzz => {
            let turns = [C::turn(-t / 2.0), C::turn(t / 2.0)];
            phases(state, |x| Some(turns[usize::from((x & za != 0) != (x & zb != 0))]));
        }
        K::Crx => pairs(state, b, za, &controlled(K::Rx)),
        K::Cry => pairs(state, b, za, &controlled(K::Ry)),
        K::Crz => pairs(state, b, za, &controlled(K::Rz)),
        K::Swap => {
            for x in 0..state.len() {
                if x & za != 0 && x & zb == 0 {
                    state.swap(x, x ^ za ^ zb);
                }
            }
        }
        K::Rxx | K::Ryy => {
            let (sin, cos) = (t / 2.0).sin_cos();
            for x in (0..state.len()).filter(|x| x & za == 0) {
                let y = x ^ za ^ zb;
                // Y⊗Y |x> = -|y> where the bits are equal, |y> where they differ.
                let sign = if op.kind == K::Ryy && x & zb == 0 { -1.0 } else { 1.0 };
                let (p, q) = (state[x], state[y]);
                state[x] = p.times(cos) + c(0.0, -sin * sign) * q;
                state[y] = q.times(cos) + c(0.0, -sin * sign) * p;
            }
        }
        kind => {
            if let Some(matrix) = Matrix::of(kind, op.angles_rad) {
                pairs(state, a, 0, &matrix);
            }
        }
    }
}

/// Applies `matrix` to bit `target` where all bits of `controls` are set.
fn pairs(state: &mut [C], target: usize, controls: usize, matrix: &Matrix) {
    let bit = 1 << target;
    let m = &matrix.0;
    for (i, block) in state.chunks_exact_mut(2 * bit).enumerate() {
        let (zeros, ones) = block.split_at_mut(bit);
        for (j, (p, q)) in zeros.iter_mut().zip(ones).enumerate() {
            if (i * 2 * bit + j) & controls == controls {
                (*p, *q) = (m[0][0] * *p + m[0][1] * *q, m[1][0] * *p + m[1][1] * *q);
            }
        }
    }
}

fn phases(state: &mut [C], factor: impl Fn(usize) -> Option<C>) {
    for (x, amplitude) in state.iter_mut().enumerate() {
        if let Some(f) = factor(x) {
            *amplitude = *amplitude * f;
        }
    }
}
