//! Microseconds a sample of the `paper` circuit on this machine, beside what its arithmetic could do at best.

use super::batch::Batch;
use super::paper_circuit;
use pulp::{Arch, Simd, WithSimd};
use qdllm_runtime::circuit::{PAPER_ANGLES, QUBITS};
use rayon::prelude::*;
use serde::Serialize;
use std::time::{Duration, Instant};

#[derive(Debug, Serialize)]
pub struct Figure {
    pub work: &'static str,
    pub threads: usize,
    pub batch: usize,
    pub best_us: f64,
    /// Microseconds a sample, the batch in the middle.
    pub median_us: f64,
    pub operations: usize,
    /// Share of the multiply-add peak of the same threads, by the fastest batch.
    pub peak_fraction: f64,
}

#[derive(Debug, Serialize)]
pub struct Bench {
    /// Samples side by side in one register.
    pub lanes: usize,
    /// Multiply-adds a second of one thread, in 10^9.
    pub peak_one_giga: f64,
    pub peak_all_giga: f64,
    pub figures: Vec<Figure>,
}

impl Bench {
    /// Measures inference in batches of `batches[0]` and gradients in batches of `batches[1]`, on one thread and on
    /// `threads` (0: all cores), each figure for `seconds`.
    pub fn measure(
        batches: [usize; 2],
        seconds: f64,
        threads: usize,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        let mut bench = Self {
            lanes: Batch::new(&paper_circuit(), &parameters()).lanes(),
            peak_one_giga: peak(&one),
            peak_all_giga: peak(&pool),
            figures: Vec::new(),
        };
        for (threads, peak) in [(&one, bench.peak_one_giga), (&pool, bench.peak_all_giga)] {
            for (gradients, batch) in [(false, batches[0]), (true, batches[1])] {
                bench.figures.push(measure(batch, seconds, threads, peak, gradients));
            }
        }
        Ok(bench)
    }
}

/// Angles from a fixed sequence (Weyl, golden ratio) in -3..3.
fn sequence(count: usize) -> impl Iterator<Item = f64> {
    (1..=count).map(|i| ((i as f64 * 0.618_033_988_749_894_9).fract() - 0.5) * 6.0)
}

fn parameters() -> Vec<f64> {
    sequence(PAPER_ANGLES).collect()
}

/// Multiply-adds a second of a pool, in 10^9.
fn peak(pool: &rayon::ThreadPool) -> f64 {
    pool.broadcast(|_| fma_per_second(200)).iter().sum::<f64>() / 1e9
}

fn measure(
    batch: usize,
    seconds: f64,
    pool: &rayon::ThreadPool,
    peak: f64,
    gradients: bool,
) -> Figure {
    let circuit = paper_circuit();
    let mut parameters = parameters();
    let angles: Vec<f32> = sequence(batch * QUBITS).map(|x| x as f32).collect();
    let mut times = Vec::new();
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    pool.install(|| {
        while times.is_empty() || Instant::now() < until {
            // Training moves the angles between batches.
            parameters[times.len() % PAPER_ANGLES] += 1e-3;
            let start = Instant::now();
            let bound = Batch::new(&circuit, &parameters);
            if gradients {
                std::hint::black_box(gradient(&bound, &angles));
            } else {
                std::hint::black_box(bound.run(&angles));
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / batch as f64);
        }
    });
    times.sort_by(f64::total_cmp);
    let operations = Batch::new(&circuit, &parameters).operations(gradients);
    Figure {
        work: if gradients { "gradient" } else { "inference" },
        threads: pool.current_num_threads(),
        batch,
        best_us: times[0],
        median_us: times[times.len() / 2],
        operations,
        peak_fraction: operations as f64 / times[0] / 1e3 / peak,
    }
}

/// Slopes of a batch for the sum of all expectations.
fn gradient(batch: &Batch, angles: &[f32]) -> (Vec<f64>, Vec<f32>) {
    let (inputs, outputs, lanes) = (batch.inputs(), batch.outputs(), batch.lanes());
    let cotangent = vec![1.0_f32; lanes * outputs];
    let groups: Vec<_> = angles
        .par_chunks(lanes * inputs)
        .map_init(
            || batch.work(true),
            |work, angles| {
                let rows = angles.len() / inputs;
                let (mut out, mut by_input) = (vec![0.0; rows * outputs], vec![0.0; angles.len()]);
                let mut sums = batch.sums();
                batch.expectations(work, angles, &mut out);
                batch.gradient(work, &cotangent[..rows * outputs], &mut by_input, &mut sums);
                (sums, by_input)
            },
        )
        .collect();
    let (mut total, mut by_input) = (batch.sums(), Vec::new());
    for (sums, rows) in groups {
        total.add(&sums);
        by_input.extend(rows);
    }
    (batch.slopes(total), by_input)
}

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
fn fma_per_second(tries: usize) -> f64 {
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
