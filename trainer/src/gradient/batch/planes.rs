//! Memory of a batch: planes of amplitudes, one cache line of samples an index.

use pulp::Simd;

/// Samples in the widest register, and in one line of memory.
pub const WIDTH: usize = 16;

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
