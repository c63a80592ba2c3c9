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
    pub lanes: usize,
    /// Multiply-adds a second of one thread, and of all, in 10^9.
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
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pools = [pool(1)?, pool(threads)?];
        let peak = |pool: &rayon::ThreadPool| {
            pool.broadcast(|_| fma_per_second()).iter().sum::<f64>() / 1e9
        };
        let peaks = pools.each_ref().map(peak);
        let mut figures = Vec::new();
        for (pool, peak) in pools.iter().zip(peaks) {
            for (gradients, batch) in [(false, batches[0]), (true, batches[1])] {
                figures.push(measure(batch, seconds, pool, peak, gradients));
            }
        }
        let lanes = Batch::new(&paper_circuit(), &[0.0; PAPER_ANGLES]).lanes();
        let [peak_one_giga, peak_all_giga] = peaks;
        Ok(Self { lanes, peak_one_giga, peak_all_giga, figures })
    }
}

/// Angles from a fixed sequence (Weyl, golden ratio) in -3..3.
fn sequence(count: usize) -> impl Iterator<Item = f64> {
    (1..=count).map(|i| ((i as f64 * 0.618_033_988_749_894_9).fract() - 0.5) * 6.0)
}

fn measure(
    batch: usize,
    seconds: f64,
    pool: &rayon::ThreadPool,
    peak: f64,
    gradients: bool,
) -> Figure {
    let circuit = paper_circuit();
    let mut parameters: Vec<f64> = sequence(PAPER_ANGLES).collect();
    let angles: Vec<f32> = sequence(batch * QUBITS).map(|x| x as f32).collect();
    let mut times = Vec::new();
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    pool.install(|| {
        while times.is_empty() || Instant::now() < until {
            // Training moves the angles between batches.
            parameters[times.len() % PAPER_ANGLES] += 1e-3;
            let start = Instant::now();
            let bound = Batch::new(&circuit, &parameters);
            match gradients {
                true => drop(std::hint::black_box(gradient(&bound, &angles))),
                false => drop(std::hint::black_box(bound.run(&angles))),
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

fn gradient(batch: &Batch, angles: &[f32]) -> (Vec<f64>, Vec<f32>) {
    let (inputs, outputs, lanes) = (batch.inputs(), batch.outputs(), batch.lanes());
    let mut by_input = vec![0.0; angles.len()];
    let groups = angles.par_chunks(lanes * inputs).zip(by_input.par_chunks_mut(lanes * inputs));
    let run = |work: &mut _, (angles, by_input): (&[f32], &mut [f32])| {
        let (mut out, mut sums) = (vec![0.0; angles.len() / inputs * outputs], batch.sums());
        batch.expectations(work, angles, &mut out);
        batch.gradient(work, &vec![1.0; out.len()], by_input, &mut sums);
        sums
    };
    let groups: Vec<_> = groups.map_init(|| batch.work(true), run).collect();
    let mut total = batch.sums();
    groups.iter().for_each(|sums| total.add(sums));
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

/// Multiply-adds of `f32` a second on this thread: the best of 200 short runs.
fn fma_per_second() -> f64 {
    let arch = Arch::new();
    let run = |_| {
        let start = Instant::now();
        let (value, count) = arch.dispatch(Spin(std::hint::black_box(0.5)));
        std::hint::black_box(value);
        count as f64 / start.elapsed().as_secs_f64()
    };
    (0..200).map(run).fold(0.0, f64::max)
}
