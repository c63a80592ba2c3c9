//! Planes of amplitudes, one cache line of samples an index, and what turns them: rotations in tangent form, several
//! qubits at a time while the amplitudes are in registers, and the overlaps that are their derivatives.

use super::plan::Turn;
use pulp::Simd;

/// Samples in the widest register, and in one line of memory.
const WIDTH: usize = 16;

/// One index of one plane: a sample a lane.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([f32; WIDTH]);

/// Where index `x` lies. Every 32nd index is followed by a spare line: otherwise indices that differ
/// in a high bit would compete for the same few places of the cache.
///
/// `line(a | b) = line(a) + line(b)` where `a` and `b` share no bit.
#[inline(always)]
pub(crate) const fn line(x: usize) -> usize {
    x + (x >> 5)
}

pub(crate) struct Planes {
    lines: Vec<Line>,
    half: usize,
    indices: usize,
}

impl Planes {
    pub fn new(qubits: usize) -> Self {
        let half = line((1 << qubits) - 1) + 1;
        Self { lines: vec![Line([0.0; WIDTH]); 2 * half], half, indices: 1 << qubits }
    }

    pub fn indices(&self) -> usize {
        self.indices
    }

    /// (real, imaginary). Narrow registers use the front of the memory only.
    #[inline(always)]
    pub fn parts<S: Simd>(&mut self, _: S) -> (&mut [S::f32s], &mut [S::f32s]) {
        let all: &mut [S::f32s] = bytemuck::cast_slice_mut(&mut self.lines);
        let (re, rest) = all.split_at_mut(self.half);
        (re, &mut rest[..self.half])
    }
}

/// Repeats a block for `$k` in `0..$n`, `$n` at most 8, as straight code: arrays indexed by `$k` then
/// live in registers, which a loop with a long body does not achieve.
macro_rules! unroll {
    ($n:expr, $k:ident, $body:block) => {
        unroll!(@ $n, $k, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $n:expr, $k:ident, $body:block, $($value:literal)*) => {
        $(if $n > $value {
            let $k: usize = $value;
            $body
        })*
    };
}
pub(crate) use unroll;

/// `index` with a zero bit put in at each of the (rising) qubits.
#[inline(always)]
pub(crate) fn spread(index: usize, turns: &[Turn]) -> usize {
    let mut x = index;
    for turn in turns {
        let below = (1 << turn.qubit) - 1;
        x = (x & below) | (x & !below) << 1;
    }
    x
}

/// The bits of `k` put at the qubits.
#[inline(always)]
pub(crate) fn deposit(k: usize, turns: &[Turn]) -> usize {
    let mut x = 0;
    for (r, turn) in turns.iter().enumerate() {
        x |= (k >> r & 1) << turn.qubit;
    }
    x
}

/// Turns `N = 2^R` amplitudes in registers; `BACK` undoes the turn up to its scale.
#[inline(always)]
pub(crate) fn turn<S: Simd, const R: usize, const N: usize, const BACK: bool>(
    simd: S,
    v: &mut [S::f32s; N],
    tangents: &[S::f32s; R],
) {
    for r in 0..R {
        for k in 0..N {
            if k >> r & 1 == 0 {
                let (a, b) = (v[k], v[k | 1 << r]);
                if BACK {
                    v[k] = simd.mul_add_e_f32s(tangents[r], b, a);
                    v[k | 1 << r] = simd.negate_mul_add_e_f32s(tangents[r], a, b);
                } else {
                    v[k] = simd.negate_mul_add_e_f32s(tangents[r], b, a);
                    v[k | 1 << r] = simd.mul_add_e_f32s(tangents[r], a, b);
                }
            }
        }
    }
}

/// Adds `sum l1 p0 - l0 p1` of each of the `R` qubits to `sums`.
#[inline(always)]
pub(crate) fn overlap<S: Simd, const R: usize, const N: usize>(
    simd: S,
    l: &[S::f32s; N],
    p: &[S::f32s; N],
    sums: &mut [S::f32s; R],
) {
    for r in 0..R {
        for k in 0..N {
            if k >> r & 1 == 0 {
                sums[r] = simd.mul_add_e_f32s(l[k | 1 << r], p[k], sums[r]);
                sums[r] = simd.negate_mul_add_e_f32s(l[k], p[k | 1 << r], sums[r]);
            }
        }
    }
}

/// The tangents of `R` turns in every lane.
#[inline(always)]
pub(crate) fn tangents<S: Simd, const R: usize>(simd: S, turns: &[Turn]) -> [S::f32s; R] {
    let mut out = [simd.splat_f32s(0.0); R];
    for (t, turn) in out.iter_mut().zip(turns) {
        *t = simd.splat_f32s(turn.tangent);
    }
    out
}

/// The indices of `N` amplitudes that turns mix, from the one where all their bits are clear.
#[inline(always)]
pub(crate) fn offsets<const N: usize>(turns: &[Turn]) -> [usize; N] {
    let mut out = [0; N];
    for (k, o) in out.iter_mut().enumerate() {
        *o = deposit(k, turns);
    }
    out
}

/// Turns a plane, from another one where it is given.
#[inline(always)]
fn turn_pass<S: Simd, const R: usize, const N: usize, const BACK: bool>(
    simd: S,
    from: Option<&[S::f32s]>,
    to: &mut [S::f32s],
    qubits: usize,
    turns: &[Turn],
) {
    let offsets = offsets::<N>(turns).map(line);
    let tangents = tangents::<S, R>(simd, turns);
    for group in 0..1 << (qubits - R) {
        let start = line(spread(group, turns));
        let to = &mut to[start..];
        let mut v = [simd.splat_f32s(0.0); N];
        match from {
            Some(from) => {
                let from = &from[start..];
                for k in 0..N {
                    v[k] = from[offsets[k]];
                }
            }
            None => {
                for k in 0..N {
                    v[k] = to[offsets[k]];
                }
            }
        }
        turn::<S, R, N, BACK>(simd, &mut v, &tangents);
        for k in 0..N {
            to[offsets[k]] = v[k];
        }
    }
}

/// One to four turns in one pass.
#[inline(always)]
fn turn_some<S: Simd, const BACK: bool>(
    simd: S,
    from: Option<&[S::f32s]>,
    to: &mut [S::f32s],
    qubits: usize,
    turns: &[Turn],
) {
    match turns.len() {
        1 => turn_pass::<S, 1, 2, BACK>(simd, from, to, qubits, turns),
        2 => turn_pass::<S, 2, 4, BACK>(simd, from, to, qubits, turns),
        3 => turn_pass::<S, 3, 8, BACK>(simd, from, to, qubits, turns),
        _ => turn_pass::<S, 4, 16, BACK>(simd, from, to, qubits, turns),
    }
}

#[inline(always)]
fn overlap_pass<S: Simd, const R: usize, const N: usize>(
    simd: S,
    l: &[S::f32s],
    p: &[S::f32s],
    qubits: usize,
    turns: &[Turn],
    sums: &mut [S::f32s],
) {
    let offsets = offsets::<N>(turns).map(line);
    let mut own = [simd.splat_f32s(0.0); R];
    for group in 0..1 << (qubits - R) {
        let at = line(spread(group, turns));
        let (l, p) = (&l[at..], &p[at..]);
        let (mut lv, mut pv) = ([simd.splat_f32s(0.0); N], [simd.splat_f32s(0.0); N]);
        for k in 0..N {
            (lv[k], pv[k]) = (l[offsets[k]], p[offsets[k]]);
        }
        overlap::<S, R, N>(simd, &lv, &pv, &mut own);
    }
    for (sum, own) in sums.iter_mut().zip(own) {
        *sum = simd.add_f32s(*sum, own);
    }
}

/// How many of the `left` turns the next pass takes: as even as the register count allows.
#[inline(always)]
fn share(left: usize, most: usize) -> usize {
    let passes = left.div_ceil(most);
    left.div_ceil(passes.max(1))
}

/// Applies turns to a plane of `qubits` qubits; `BACK` undoes them up to their scale.
#[inline(always)]
pub(crate) fn turn_all<S: Simd, const BACK: bool>(
    simd: S,
    plane: &mut [S::f32s],
    qubits: usize,
    mut turns: &[Turn],
) {
    let most = if S::REGISTER_COUNT >= 32 { 4 } else { 3 };
    while !turns.is_empty() {
        let (now, rest) = turns.split_at(share(turns.len(), most));
        turn_some::<S, BACK>(simd, None, plane, qubits, now);
        turns = rest;
    }
}

/// As [`turn_all`], from one plane into another, which need not hold more than `qubits` qubits: what is
/// not written back to a large state need not leave the nearest cache.
#[inline(always)]
pub(crate) fn turn_all_into<S: Simd>(
    simd: S,
    from: &[S::f32s],
    to: &mut [S::f32s],
    qubits: usize,
    turns: &[Turn],
) {
    let most = if S::REGISTER_COUNT >= 32 { 4 } else { 3 };
    let (now, rest) = turns.split_at(share(turns.len(), most));
    if now.is_empty() {
        to.copy_from_slice(from);
    } else {
        turn_some::<S, false>(simd, Some(from), to, qubits, now);
    }
    turn_all::<S, false>(simd, to, qubits, rest);
}

/// Adds the overlap of each turn's qubit to `sums`, for one plane.
#[inline(always)]
pub(crate) fn overlap_all<S: Simd>(
    simd: S,
    l: &[S::f32s],
    p: &[S::f32s],
    qubits: usize,
    mut turns: &[Turn],
    mut sums: &mut [S::f32s],
) {
    let most = if S::REGISTER_COUNT >= 32 { 3 } else { 2 };
    while !turns.is_empty() {
        let (now, rest) = turns.split_at(share(turns.len(), most));
        let (own, others) = sums.split_at_mut(now.len());
        match now.len() {
            1 => overlap_pass::<S, 1, 2>(simd, l, p, qubits, now, own),
            2 => overlap_pass::<S, 2, 4>(simd, l, p, qubits, now, own),
            _ => overlap_pass::<S, 3, 8>(simd, l, p, qubits, now, own),
        }
        (turns, sums) = (rest, others);
    }
}
