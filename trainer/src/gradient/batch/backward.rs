//! From slopes by expectations back to slopes by angles: the adjoint method (arXiv 2009.02823), with
//! the states that the forward pass kept instead of undoing it.
//!
//! With `|l>` the weighted read-outs applied to the state and carried back, a rotation's slope is
//! `Re <l| -iY |p>` at any point between its neighbours of other qubits, and a phase's is
//! `sum_x (-1)^parity(m & x) Im(conj(l_x) p_x)`: those products are summed over the samples first, so
//! that one Walsh transform a diagonal and batch gives all its phases. The factors' slopes come from
//! contracting `|l>` with the other factor.

use super::forward::{FactorState, LOW, Tape, WORDS, split, walsh16};
use super::plan::{Factor, Move, Plan, Turn};
use super::rotations::{
    Planes, line, offsets, overlap, overlap_all, spread, tangents, turn, turn_all, unroll,
};
use pulp::Simd;

/// Memory of the backward pass beside the tape.
pub(crate) struct Back {
    /// `|l>` before the move that is being undone, on its source indices.
    carry: Planes,
    block: Planes,
    /// `|l>` contracted to each bond of each factor.
    low: Vec<Planes>,
    high: Vec<Planes>,
    slope: Planes,
}

impl Back {
    pub fn new(plan: &Plan) -> Self {
        let of = |factor: &Factor| {
            factor.tables.iter().map(|_| Planes::new(factor.qubits)).collect::<Vec<_>>()
        };
        Self {
            carry: Planes::new(plan.qubits),
            block: Planes::new(plan.qubits),
            low: of(&plan.low),
            high: of(&plan.high),
            slope: Planes::new(plan.cut),
        }
    }
}

/// What [`Batch::gradient`](super::Batch::gradient) adds up over samples;
/// [`Batch::slopes`](super::Batch::slopes) turns it into slopes.
#[derive(Clone, Debug)]
pub struct Sums {
    turns: Vec<f64>,
    /// By move, then by source index: `Im(conj(l) p)`.
    moves: Vec<Vec<f64>>,
    /// The same on the low factor's indices (one list: its phases do not tell the bonds apart), and on the high
    /// factor's for each bond.
    low: [Vec<f64>; 1],
    high: Vec<Vec<f64>>,
}

impl Sums {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            turns: vec![0.0; plan.angles],
            moves: plan.moves.iter().map(|m| vec![0.0; m.from.len()]).collect(),
            low: [vec![0.0; 1 << plan.low.qubits]],
            high: plan.high.tables.iter().map(|t| vec![0.0; t.len()]).collect(),
        }
    }

    pub fn add(&mut self, other: &Self) {
        let (low, high) =
            (self.low.iter_mut().zip(&other.low), self.high.iter_mut().zip(&other.high));
        let turns = std::iter::once((&mut self.turns, &other.turns));
        let all = turns.chain(self.moves.iter_mut().zip(&other.moves)).chain(low).chain(high);
        all.flat_map(|(to, from)| to.iter_mut().zip(from)).for_each(|(a, b)| *a += b);
    }

    /// Slopes by every angle of the fused circuit.
    pub(super) fn slopes(mut self, plan: &Plan) -> Vec<f64> {
        use qdllm_runtime::state::kernels::walsh;
        let mut out = self.turns;
        for (step, sums) in plan.moves.iter().zip(&mut self.moves) {
            if !step.terms.is_empty() {
                walsh(sums);
            }
            for t in &step.terms {
                out[t.slot] += if t.negated { -sums[t.mask] } else { sums[t.mask] };
            }
        }
        let [low] = &mut self.low;
        walsh(low);
        plan.low.terms.iter().for_each(|t| out[t.slot] += low[t.mask]);
        for (bond, sums) in self.high.iter_mut().enumerate() {
            walsh(sums);
            plan.high.terms.iter().for_each(|t| out[t.slot] += sums[t.mask]);
            let sign = if bond == 1 { -1.0 } else { 1.0 };
            plan.crossing.iter().for_each(|t| out[t.slot] += sign * sums[t.mask]);
        }
        out
    }
}

/// Carries `cotangent` (rows of one slope a word, at most one row a lane) back through what `expectations` left in
/// `tape`; slopes by encoder angles go to the rows of `inputs`, sums over the rows to `sums`.
#[inline(always)]
pub(crate) fn gradient<S: Simd>(
    simd: S,
    plan: &Plan,
    tape: &mut Tape,
    back: &mut Back,
    cotangent: &[f32],
    inputs: &mut [f32],
    sums: &mut Sums,
) {
    let mut weights = [simd.splat_f32s(0.0); WORDS];
    for (w, weight) in weights.iter_mut().enumerate().take(plan.words.len()) {
        let lanes: &mut [f32] = bytemuck::cast_slice_mut(std::slice::from_mut(weight));
        for (lane, row) in lanes.iter_mut().zip(cotangent.chunks_exact(plan.words.len())) {
            *lane = row[w];
        }
    }
    for (i, step) in plan.moves.iter().enumerate().rev() {
        let (below, above, block) = split::<S>(step, plan.qubits);
        let mut overlaps = [simd.splat_f32s(0.0); qdllm_runtime::QUBITS];
        let last = i + 1 == plan.moves.len();
        for start in (0..1 << plan.qubits).step_by(1 << block) {
            let lines = line(start)..line(start + (1 << block) - 1) + 1;
            let (er, ei) = tape.end[i].parts(simd);
            let (er, ei) = (&mut er[lines.clone()], &mut ei[lines.clone()]);
            let (lr, li) = back.block.parts(simd);
            let (lr, li) = (&mut lr[..lines.len()], &mut li[..lines.len()]);
            if last {
                observe(simd, plan, start, block, &weights, (er, ei), (lr, li));
            } else {
                let (cr, ci) = back.carry.parts(simd);
                lr.copy_from_slice(&cr[lines.clone()]);
                li.copy_from_slice(&ci[lines]);
            }
            overlap_all(simd, lr, er, block, below, &mut overlaps);
            overlap_all(simd, li, ei, block, below, &mut overlaps);
            turn_all::<S, true>(simd, lr, block, below);
            turn_all::<S, true>(simd, li, block, below);
            // The state at this point is not needed again: its memory takes the other one.
            er.copy_from_slice(lr);
            ei.copy_from_slice(li);
        }
        for (t, o) in below.iter().zip(overlaps) {
            sums.turns[t.slot] += f64::from(simd.reduce_sum_f32s(o));
        }
        let (l, p) = (tape.end[i].parts(simd), tape.mid[i].parts(simd));
        let carry = back.carry.parts(simd);
        let by_index = &mut sums.moves[i];
        match above.len() {
            0 => ungather::<S, 0, 1>(simd, step, above, l, p, carry, by_index, &mut sums.turns),
            1 => ungather::<S, 1, 2>(simd, step, above, l, p, carry, by_index, &mut sums.turns),
            2 => ungather::<S, 2, 4>(simd, step, above, l, p, carry, by_index, &mut sums.turns),
            _ => ungather::<S, 3, 8>(simd, step, above, l, p, carry, by_index, &mut sums.turns),
        }
    }
    contract(simd, plan, tape, back);
    let Back { low, high, slope, .. } = back;
    let Sums { turns, low: low_sums, high: high_sums, .. } = sums;
    factor(simd, plan, (&plan.low, 0), &mut tape.low, low, slope, low_sums, turns, inputs);
    factor(
        simd,
        plan,
        (&plan.high, plan.cut),
        &mut tape.high,
        high,
        slope,
        high_sums,
        turns,
        inputs,
    );
}

/// `l = O p` on a block, `O` the weighted sum of the words.
#[inline(always)]
fn observe<S: Simd>(
    simd: S,
    plan: &Plan,
    start: usize,
    block: usize,
    weights: &[S::f32s; WORDS],
    (pr, pi): (&[S::f32s], &[S::f32s]),
    (lr, li): (&mut [S::f32s], &mut [S::f32s]),
) {
    for x in (0..1 << block).step_by(1 << LOW) {
        let mut w = [simd.splat_f32s(0.0); 16];
        let signs = &plan.signs[((start | x) >> LOW) * plan.words.len()..];
        for ((&weight, &(mask, _)), &sign) in weights.iter().zip(&plan.words).zip(signs) {
            let at = &mut w[mask & 15];
            *at = simd.mul_add_e_f32s(weight, simd.splat_f32s(sign), *at);
        }
        walsh16(simd, &mut w);
        let at = line(x);
        let (pr, pi) = (&pr[at..at + 16], &pi[at..at + 16]);
        let (lr, li) = (&mut lr[at..at + 16], &mut li[at..at + 16]);
        for k in 0..16 {
            lr[k] = simd.mul_f32s(w[k], pr[k]);
            li[k] = simd.mul_f32s(w[k], pi[k]);
        }
    }
}

/// Undoes a move: overlaps of its gathered rotations, the products that its phases need, and `l` before it.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn ungather<S: Simd, const R: usize, const N: usize>(
    simd: S,
    step: &Move,
    turns: &[Turn],
    (lr, li): (&mut [S::f32s], &mut [S::f32s]),
    (pr, pi): (&mut [S::f32s], &mut [S::f32s]),
    (cr, ci): (&mut [S::f32s], &mut [S::f32s]),
    by_index: &mut [f64],
    by_slot: &mut [f64],
) {
    let tangents = tangents::<S, R>(simd, turns);
    let phases = !step.terms.is_empty();
    // Undoing a turn in tangent form multiplies by 1 + t^2.
    let scale =
        turns.iter().fold(1.0, |s, t| s / (1.0 + f64::from(t.tangent) * f64::from(t.tangent)));
    let mut overlaps = [simd.splat_f32s(0.0); R];
    let offsets = offsets::<N>(turns);
    for group in 0..step.from.len() / N {
        let base = spread(group, turns);
        let zero = [simd.splat_f32s(0.0); N];
        let (mut lrs, mut lis, mut prs, mut pis) = (zero, zero, zero, zero);
        unroll!(N, k, {
            let at = line(base | offsets[k]);
            (lrs[k], prs[k]) = (lr[at], pr[at]);
        });
        overlap::<S, R, N>(simd, &lrs, &prs, &mut overlaps);
        turn::<S, R, N, true>(simd, &mut lrs, &tangents);
        unroll!(N, k, {
            let at = line(base | offsets[k]);
            (lis[k], pis[k]) = (li[at], pi[at]);
        });
        overlap::<S, R, N>(simd, &lis, &pis, &mut overlaps);
        turn::<S, R, N, true>(simd, &mut lis, &tangents);
        if phases {
            turn::<S, R, N, true>(simd, &mut prs, &tangents);
            turn::<S, R, N, true>(simd, &mut pis, &tangents);
        }
        unroll!(N, k, {
            let y = base | offsets[k];
            let x = step.from[y] as usize;
            if phases {
                let product =
                    simd.negate_mul_add_e_f32s(lis[k], prs[k], simd.mul_f32s(lrs[k], pis[k]));
                by_index[x] += scale * f64::from(simd.reduce_sum_f32s(product));
            }
            let [fr, fi] = step.factors[y];
            let (fr, fi) = (simd.splat_f32s(fr), simd.splat_f32s(fi));
            let at = line(x);
            cr[at] = simd.mul_add_e_f32s(lis[k], fi, simd.mul_f32s(lrs[k], fr));
            ci[at] = simd.negate_mul_add_e_f32s(lrs[k], fi, simd.mul_f32s(lis[k], fr));
        });
    }
    for (turn, o) in turns.iter().zip(overlaps) {
        by_slot[turn.slot] += f64::from(simd.reduce_sum_f32s(o));
    }
}

/// `l` contracted with the high factor's conjugate gives the low factor's, and the other way round.
#[inline(always)]
fn contract<S: Simd>(simd: S, plan: &Plan, tape: &mut Tape, back: &mut Back) {
    let (cr, ci) = back.carry.parts(simd);
    for bond in 0..plan.low.tables.len() {
        let (ar, ai) = tape.low.after[bond].parts(simd);
        let (br, bi) = tape.high.after[bond].parts(simd);
        let (lr, li) = back.low[bond].parts(simd);
        let (hr, hi) = back.high[bond].parts(simd);
        lr.fill(simd.splat_f32s(0.0));
        li.fill(simd.splat_f32s(0.0));
        for above in 0..1 << plan.high.qubits {
            let at = line(above);
            let (fr, fi) = (br[at], bi[at]);
            let (mut sr, mut si) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            for below in 0..1 << plan.cut {
                let (x, b) = (line(below | above << plan.cut), line(below));
                let (vr, vi) = (cr[x], ci[x]);
                // conj(f) * l for the low factor, conj(a) * l for the high one.
                lr[b] = simd.mul_add_e_f32s(fi, vi, simd.mul_add_e_f32s(fr, vr, lr[b]));
                li[b] = simd.negate_mul_add_e_f32s(fi, vr, simd.mul_add_e_f32s(fr, vi, li[b]));
                sr = simd.mul_add_e_f32s(ai[b], vi, simd.mul_add_e_f32s(ar[b], vr, sr));
                si = simd.negate_mul_add_e_f32s(ai[b], vr, simd.mul_add_e_f32s(ar[b], vi, si));
            }
            (hr[at], hi[at]) = (sr, si);
        }
    }
}

/// Slopes of one factor: rotations, phases, and the encoder angles of its qubits, which begin at `first`.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn factor<S: Simd>(
    simd: S,
    plan: &Plan,
    (factor, first): (&Factor, usize),
    state: &mut FactorState,
    bonds: &mut [Planes],
    slope: &mut Planes,
    by_bond: &mut [Vec<f64>],
    by_slot: &mut [f64],
    inputs: &mut [f32],
) {
    let (slope, _) = slope.parts(simd);
    slope.fill(simd.splat_f32s(0.0));
    let mut overlaps = [simd.splat_f32s(0.0); qdllm_runtime::QUBITS];
    for (bond, table) in factor.tables.iter().enumerate() {
        let (lr, li) = bonds[bond].parts(simd);
        let (ar, ai) = state.after[bond].parts(simd);
        overlap_all(simd, lr, ar, factor.qubits, &factor.turns, &mut overlaps);
        overlap_all(simd, li, ai, factor.qubits, &factor.turns, &mut overlaps);
        turn_all::<S, true>(simd, lr, factor.qubits, &factor.turns);
        turn_all::<S, true>(simd, li, factor.qubits, &factor.turns);
        let (br, bi) = state.before[bond].parts(simd);
        let list = bond.min(by_bond.len() - 1);
        for (y, f) in table.iter().enumerate() {
            let at = line(y);
            let product = simd.negate_mul_add_e_f32s(li[at], br[at], simd.mul_f32s(lr[at], bi[at]));
            by_bond[list][y ^ factor.flip] += f64::from(simd.reduce_sum_f32s(product));
            let to = line(y ^ factor.flip);
            let part = simd.mul_add_e_f32s(lr[at], simd.splat_f32s(f[0]), slope[to]);
            slope[to] = simd.mul_add_e_f32s(li[at], simd.splat_f32s(f[1]), part);
        }
    }
    for (turn, o) in factor.turns.iter().zip(overlaps) {
        by_slot[turn.slot] += f64::from(simd.reduce_sum_f32s(o));
    }
    // Half an RX angle turns (cos, sin) as an RY does.
    let (product, _) = state.product.parts(simd);
    let all: [Turn; qdllm_runtime::QUBITS] =
        std::array::from_fn(|qubit| Turn { qubit, tangent: 0.0, slot: 0 });
    let own = factor.qubits.min(plan.inputs.saturating_sub(first));
    let mut turned = [simd.splat_f32s(0.0); qdllm_runtime::QUBITS];
    overlap_all(simd, slope, product, factor.qubits, &all[..own], &mut turned);
    for (q, turned) in turned.iter().enumerate().take(own) {
        let lanes: &[f32] = bytemuck::cast_slice(std::slice::from_ref(turned));
        for (lane, row) in lanes.iter().zip(inputs.chunks_exact_mut(plan.inputs)) {
            row[first + q] = *lane;
        }
    }
}
