//! From encoder angles to expectations, a sample a lane.

use super::plan::{Factor, Move, Plan, Turn};
use super::rotations::{
    Planes, line, offsets, spread, tangents, turn, turn_all, turn_all_into, unroll,
};
use super::trig::sin_cos;
use pulp::Simd;

pub(crate) const WORDS: usize = qdllm_runtime::circuit::program::MAX_OUTPUTS;
/// Qubits on which a read-out transforms in registers.
pub(crate) const LOW: usize = 4;

/// What the forward pass leaves of one factor.
pub(crate) struct FactorState {
    pub product: Planes,
    pub before: Vec<Planes>,
    pub after: Vec<Planes>,
}

impl FactorState {
    pub fn new(factor: &Factor) -> Self {
        let all = || factor.tables.iter().map(|_| Planes::new(factor.qubits)).collect();
        Self { product: Planes::new(factor.qubits), before: all(), after: all() }
    }

    /// The product state of (sine, cosine) of half angles, then phases and rotations of each bond.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, factor: &Factor, circles: &[(S::f32s, S::f32s)]) {
        let (product, _) = self.product.parts(simd);
        product[0] = simd.splat_f32s(1.0);
        for (q, &(sin, cos)) in circles.iter().enumerate() {
            for x in 0..1 << q {
                let v = product[line(x)];
                product[line(x | 1 << q)] = simd.mul_f32s(v, sin);
                product[line(x)] = simd.mul_f32s(v, cos);
            }
        }
        for (bond, table) in factor.tables.iter().enumerate() {
            let (br, bi) = self.before[bond].parts(simd);
            let (ar, ai) = self.after[bond].parts(simd);
            for (y, f) in table.iter().enumerate() {
                let v = product[line(y ^ factor.flip)];
                let at = line(y);
                (br[at], bi[at]) = (
                    simd.mul_f32s(v, simd.splat_f32s(f[0])),
                    simd.mul_f32s(v, simd.splat_f32s(f[1])),
                );
                (ar[at], ai[at]) = (br[at], bi[at]);
            }
            turn_all::<S, false>(simd, ar, factor.qubits, &factor.turns);
            turn_all::<S, false>(simd, ai, factor.qubits, &factor.turns);
        }
    }
}

/// Where a move takes its amplitudes from.
trait Source<S: Simd> {
    fn at(&self, simd: S, x: usize) -> (S::f32s, S::f32s);
}

/// The outer product of the factors: `sum_b L_b (x) R_b`.
struct Outer<S: Simd, const BONDS: usize> {
    cut: usize,
    low: Packed<S, BONDS>,
    high: Packed<S, BONDS>,
}

/// Indices of a factor: half the qubits, rounded up.
const SIDE: usize = 1 << qdllm_runtime::QUBITS.div_ceil(2);

/// A factor's vectors, those of one index side by side: (real, imaginary) of each bond.
type Packed<S, const BONDS: usize> = [[[<S as Simd>::f32s; 2]; BONDS]; SIDE];

#[inline(always)]
fn packed<S: Simd, const BONDS: usize>(simd: S, bonds: &mut [Planes]) -> Packed<S, BONDS> {
    let mut all = [[[simd.splat_f32s(0.0); 2]; BONDS]; SIDE];
    for (b, planes) in bonds.iter_mut().enumerate().take(BONDS) {
        let indices = planes.indices();
        let (re, im) = planes.parts(simd);
        for (x, to) in all.iter_mut().enumerate().take(indices) {
            to[b] = [re[line(x)], im[line(x)]];
        }
    }
    all
}

impl<S: Simd, const BONDS: usize> Source<S> for Outer<S, BONDS> {
    #[inline(always)]
    fn at(&self, simd: S, x: usize) -> (S::f32s, S::f32s) {
        let low = &self.low[x & ((1 << self.cut) - 1) & (SIDE - 1)];
        let high = &self.high[x >> self.cut & (SIDE - 1)];
        let mut sum = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
        for b in 0..BONDS {
            let ([lr, li], [hr, hi]) = (low[b], high[b]);
            if b == 0 {
                sum = (simd.mul_f32s(lr, hr), simd.mul_f32s(lr, hi));
            } else {
                sum.0 = simd.mul_add_e_f32s(lr, hr, sum.0);
                sum.1 = simd.mul_add_e_f32s(lr, hi, sum.1);
            }
            sum.0 = simd.negate_mul_add_e_f32s(li, hi, sum.0);
            sum.1 = simd.mul_add_e_f32s(li, hr, sum.1);
        }
        sum
    }
}

/// The planes of a whole state or of one bond of a factor.
struct Whole<'a, S: Simd>(&'a [S::f32s], &'a [S::f32s]);

impl<S: Simd> Source<S> for Whole<'_, S> {
    #[inline(always)]
    fn at(&self, _: S, x: usize) -> (S::f32s, S::f32s) {
        (self.0[line(x)], self.1[line(x)])
    }
}

/// The rotations of a move that are done while amplitudes are gathered (the highest qubits), and
/// those done block by block afterwards, with the qubits of a block.
#[inline(always)]
pub(crate) fn split<S: Simd>(step: &Move, qubits: usize) -> (&[Turn], &[Turn], usize) {
    let most = if S::REGISTER_COUNT >= 32 { 3 } else { 2 };
    let (low, high) = step.turns.split_at(step.turns.len().saturating_sub(most));
    let block = low.last().map_or(0, |t| t.qubit + 1).max(LOW + 2).min(qubits);
    (low, high, block)
}

#[inline(always)]
fn gather<S: Simd, F: Source<S>, const R: usize, const N: usize>(
    simd: S,
    source: &F,
    step: &Move,
    high: &[Turn],
    re: &mut [S::f32s],
    im: &mut [S::f32s],
) {
    let tangents = tangents::<S, R>(simd, high);
    let offsets = offsets::<N>(high);
    for group in 0..step.from.len() / N {
        let base = spread(group, high);
        let (mut vr, mut vi) = ([simd.splat_f32s(0.0); N], [simd.splat_f32s(0.0); N]);
        unroll!(N, k, {
            let y = base | offsets[k];
            let (sr, si) = source.at(simd, step.from[y] as usize);
            let [fr, fi] = step.factors[y];
            let (fr, fi) = (simd.splat_f32s(fr), simd.splat_f32s(fi));
            vr[k] = simd.negate_mul_add_e_f32s(si, fi, simd.mul_f32s(sr, fr));
            vi[k] = simd.mul_add_e_f32s(si, fr, simd.mul_f32s(sr, fi));
        });
        turn::<S, R, N, false>(simd, &mut vr, &tangents);
        turn::<S, R, N, false>(simd, &mut vi, &tangents);
        unroll!(N, k, {
            let at = line(base | offsets[k]);
            (re[at], im[at]) = (vr[k], vi[k]);
        });
    }
}

#[inline(always)]
fn gather_any<S: Simd, F: Source<S>>(
    simd: S,
    source: &F,
    step: &Move,
    high: &[Turn],
    (re, im): (&mut [S::f32s], &mut [S::f32s]),
) {
    match high.len() {
        0 => gather::<S, F, 0, 1>(simd, source, step, high, re, im),
        1 => gather::<S, F, 1, 2>(simd, source, step, high, re, im),
        2 => gather::<S, F, 2, 4>(simd, source, step, high, re, im),
        _ => gather::<S, F, 3, 8>(simd, source, step, high, re, im),
    }
}

/// Everything that a group of samples leaves behind for its gradient.
pub(crate) struct Tape {
    /// The sample of each lane's encoder angles, halved and turned: (sine, cosine) a qubit.
    pub low: FactorState,
    pub high: FactorState,
    /// Each move's state after its gathered rotations (`mid`) and after all of them (`end`); without
    /// a gradient only `end` is used.
    pub mid: Vec<Planes>,
    pub end: Vec<Planes>,
    /// One block on its way to the read-out.
    block: Planes,
}

impl Tape {
    /// Memory for a plan; `KEEP`s the states in between only if `gradients`.
    pub fn new(plan: &Plan, gradients: bool) -> Self {
        let states = |n: usize| (0..n).map(|_| Planes::new(plan.qubits)).collect();
        let moves = plan.moves.len();
        Self {
            low: FactorState::new(&plan.low),
            high: FactorState::new(&plan.high),
            mid: states(if gradients { moves } else { 0 }),
            end: states(if gradients { moves } else { moves.min(2) }),
            block: Planes::new(plan.qubits),
        }
    }
}

/// Runs a group of samples. `angles` holds `rows` rows of `plan.inputs` angles (radians), at most one
/// a lane; `out` receives as many rows of one expectation a word.
#[inline(always)]
pub(crate) fn expectations<S: Simd, const KEEP: bool>(
    simd: S,
    plan: &Plan,
    tape: &mut Tape,
    angles: &[f32],
    out: &mut [f32],
) {
    let mut circles = [(simd.splat_f32s(0.0), simd.splat_f32s(1.0)); qdllm_runtime::QUBITS];
    for (q, circle) in circles.iter_mut().enumerate().take(plan.inputs) {
        let mut half = simd.splat_f32s(0.0);
        let lanes: &mut [f32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut half));
        for (lane, row) in lanes.iter_mut().zip(angles.chunks_exact(plan.inputs)) {
            *lane = 0.5 * row[q];
        }
        *circle = sin_cos(simd, half);
    }
    let (low, high) = circles[..plan.qubits].split_at(plan.cut);
    tape.low.fill(simd, &plan.low, low);
    tape.high.fill(simd, &plan.high, high);
    let mut sums = [simd.splat_f32s(0.0); WORDS];
    for (i, step) in plan.moves.iter().enumerate() {
        let (below, above, block) = split::<S>(step, plan.qubits);
        // Without a gradient two states take turns.
        let (before, now) = if KEEP {
            tape.end.split_at_mut(i)
        } else if i % 2 == 0 {
            let (a, b) = tape.end.split_at_mut(1);
            (b, a)
        } else {
            tape.end.split_at_mut(1)
        };
        let target = if KEEP { tape.mid[i].parts(simd) } else { now[0].parts(simd) };
        if i == 0 {
            let (low, high) = (&mut tape.low.after, &mut tape.high.after);
            let cut = plan.cut;
            if low.len() == 2 {
                let outer = Outer::<S, 2> { cut, low: packed(simd, low), high: packed(simd, high) };
                gather_any(simd, &outer, step, above, target);
            } else {
                let outer = Outer::<S, 1> { cut, low: packed(simd, low), high: packed(simd, high) };
                gather_any(simd, &outer, step, above, target);
            }
        } else {
            let last = if KEEP { i - 1 } else { 0 };
            let (re, im) = before[last].parts(simd);
            gather_any(simd, &Whole::<S>(re, im), step, above, target);
        }
        let last = i + 1 == plan.moves.len();
        for start in (0..1 << plan.qubits).step_by(1 << block) {
            let lines = line(start)..line(start + (1 << block) - 1) + 1;
            let (er, ei) = now[0].parts(simd);
            let (er, ei) = (&mut er[lines.clone()], &mut ei[lines.clone()]);
            if KEEP {
                let (mr, mi) = tape.mid[i].parts(simd);
                er.copy_from_slice(&mr[lines.clone()]);
                ei.copy_from_slice(&mi[lines]);
            }
            if last && !KEEP {
                // Nobody needs the last state itself: its lowest turns end in the read-out.
                let (fused, before) = below.split_at(below.partition_point(|t| t.qubit < LOW));
                let (br, bi) = tape.block.parts(simd);
                let (br, bi) = (&mut br[..er.len()], &mut bi[..ei.len()]);
                turn_all_into(simd, er, br, block, before);
                turn_all_into(simd, ei, bi, block, before);
                read::<S, true>(simd, plan, start, block, br, bi, fused, &mut sums);
                continue;
            }
            turn_all::<S, false>(simd, er, block, below);
            turn_all::<S, false>(simd, ei, block, below);
            if last {
                read::<S, false>(simd, plan, start, block, er, ei, &[], &mut sums);
            }
        }
    }
    for (w, sum) in sums.iter().enumerate().take(plan.words.len()) {
        let lanes: &[f32] = bytemuck::cast_slice(std::slice::from_ref(sum));
        for (lane, row) in lanes.iter().zip(out.chunks_exact_mut(plan.words.len())) {
            row[w] = *lane;
        }
    }
}

/// Walsh transform of 16 numbers in registers.
#[inline(always)]
pub(crate) fn walsh16<S: Simd>(simd: S, v: &mut [S::f32s; 16]) {
    for r in 0..LOW {
        for k in 0..16 {
            if k >> r & 1 == 0 {
                let (a, b) = (v[k], v[k | 1 << r]);
                v[k] = simd.add_f32s(a, b);
                v[k | 1 << r] = simd.sub_f32s(a, b);
            }
        }
    }
}

/// Adds a block's part of every word's expectation to `sums`; with `TURN` after `turns`, which are on
/// qubits below [`LOW`].
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn read<S: Simd, const TURN: bool>(
    simd: S,
    plan: &Plan,
    start: usize,
    block: usize,
    re: &[S::f32s],
    im: &[S::f32s],
    turns: &[Turn],
    sums: &mut [S::f32s; WORDS],
) {
    let mut tangents = [simd.splat_f32s(0.0); LOW];
    for turn in turns {
        tangents[turn.qubit & (LOW - 1)] = simd.splat_f32s(turn.tangent);
    }
    let signs = &plan.signs[(start >> LOW) * plan.words.len()..];
    let chunks = signs.chunks_exact(plan.words.len());
    for (x, signs) in (0..1 << block).step_by(1 << LOW).zip(chunks) {
        let at = line(x);
        let (re, im) = (&re[at..at + 16], &im[at..at + 16]);
        let (mut p, mut v) = ([simd.splat_f32s(0.0); 16], [simd.splat_f32s(0.0); 16]);
        v.copy_from_slice(re);
        if TURN {
            turn::<S, LOW, 16, false>(simd, &mut v, &tangents);
        }
        for k in 0..16 {
            p[k] = simd.mul_f32s(v[k], v[k]);
        }
        v.copy_from_slice(im);
        if TURN {
            turn::<S, LOW, 16, false>(simd, &mut v, &tangents);
        }
        for k in 0..16 {
            p[k] = simd.mul_add_e_f32s(v[k], v[k], p[k]);
        }
        walsh16(simd, &mut p);
        for ((sum, &(mask, _)), &sign) in sums.iter_mut().zip(&plan.words).zip(signs) {
            *sum = simd.mul_add_e_f32s(p[mask & 15], simd.splat_f32s(sign), *sum);
        }
    }
}
