//! Rotations in tangent form, several qubits at a time while the amplitudes are in registers, and the
//! overlaps that are their derivatives.

use crate::gradient::batch::plan::Turn;
use crate::gradient::batch::planes::line;
use pulp::Simd;

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

#[inline(always)]
fn turn_pass<S: Simd, const R: usize, const N: usize, const BACK: bool>(
    simd: S,
    plane: &mut [S::f32s],
    qubits: usize,
    turns: &[Turn],
) {
    let offsets = offsets::<N>(turns).map(line);
    let tangents = tangents::<S, R>(simd, turns);
    for group in 0..1 << (qubits - R) {
        let lines = &mut plane[line(spread(group, turns))..];
        let mut v = [simd.splat_f32s(0.0); N];
        for k in 0..N {
            v[k] = lines[offsets[k]];
        }
        turn::<S, R, N, BACK>(simd, &mut v, &tangents);
        for k in 0..N {
            lines[offsets[k]] = v[k];
        }
    }
}

/// As [`turn_pass`], from one plane into another.
#[inline(always)]
fn turn_into<S: Simd, const R: usize, const N: usize>(
    simd: S,
    from: &[S::f32s],
    to: &mut [S::f32s],
    qubits: usize,
    turns: &[Turn],
) {
    let offsets = offsets::<N>(turns).map(line);
    let tangents = tangents::<S, R>(simd, turns);
    for group in 0..1 << (qubits - R) {
        let start = line(spread(group, turns));
        let (from, to) = (&from[start..], &mut to[start..]);
        let mut v = [simd.splat_f32s(0.0); N];
        for k in 0..N {
            v[k] = from[offsets[k]];
        }
        turn::<S, R, N, false>(simd, &mut v, &tangents);
        for k in 0..N {
            to[offsets[k]] = v[k];
        }
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
        match now.len() {
            1 => turn_pass::<S, 1, 2, BACK>(simd, plane, qubits, now),
            2 => turn_pass::<S, 2, 4, BACK>(simd, plane, qubits, now),
            3 => turn_pass::<S, 3, 8, BACK>(simd, plane, qubits, now),
            _ => turn_pass::<S, 4, 16, BACK>(simd, plane, qubits, now),
        }
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
    match now.len() {
        0 => to.copy_from_slice(from),
        1 => turn_into::<S, 1, 2>(simd, from, to, qubits, now),
        2 => turn_into::<S, 2, 4>(simd, from, to, qubits, now),
        3 => turn_into::<S, 3, 8>(simd, from, to, qubits, now),
        _ => turn_into::<S, 4, 16>(simd, from, to, qubits, now),
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
