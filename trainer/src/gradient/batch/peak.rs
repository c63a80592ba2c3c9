//! What the machine can do at best: fused multiply-adds a second, measured.

use pulp::{Arch, Simd, WithSimd};
use std::time::Instant;

/// Enough independent sums to fill the pipelines: 2 a cycle with a latency of 4 or 5.
const CHAINS: usize = 12;
const ROUNDS: usize = 20_000;

struct Spin(f32);

impl WithSimd for Spin {
    type Output = (f32, usize);
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, usize) {
        let factor = simd.splat_f32s(self.0);
        let mut sums = [factor; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, factor);
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += simd.reduce_sum_f32s(sum);
        }
        (total, ROUNDS * CHAINS * S::F32_LANES)
    }
}

/// Multiply-adds of `f32` a second on this thread: the best of `tries` short runs.
pub fn fma_per_second(tries: usize) -> f64 {
    let arch = Arch::new();
    let mut best = 0.0_f64;
    for _ in 0..tries {
        let start = Instant::now();
        let (value, count) = arch.dispatch(Spin(std::hint::black_box(0.5)));
        std::hint::black_box(value);
        best = best.max(count as f64 / start.elapsed().as_secs_f64());
    }
    best
}
