//! `qdllm bench`: microseconds a sample on this machine, beside what its arithmetic could do at best.

use crate::gradient::batch::{Batch, fma_per_second};
use anyhow::{Result, bail};
use clap::Args;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::{PAPER_ANGLES, QUBITS, paper};
use rayon::prelude::*;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Measure inference and gradient of the `paper` circuit on this machine
///
/// A sample is 11 encoder angles to 11 expectations; a gradient adds the slopes by 144 parameters
/// and 11 angles. Filling in the parameters is included in every batch's time. The fraction is of
/// the multiply-adds a second that the same threads reach on nothing else, measured now.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Samples in a batch of inference
    #[arg(long, default_value_t = 1000)]
    pub batch: usize,
    /// Samples in a batch of gradients
    #[arg(long, default_value_t = 64)]
    pub gradient_batch: usize,
    /// Seconds each figure is measured for
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Threads of the figures with several; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// One measured figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// `inference` or `gradient`.
    pub work: &'static str,
    /// Threads used.
    pub threads: usize,
    /// Samples in a batch.
    pub batch: usize,
    /// Microseconds a sample, the fastest batch.
    pub best_us: f64,
    /// Microseconds a sample, the batch in the middle.
    pub median_us: f64,
    /// Arithmetic instructions a sample.
    pub operations: usize,
    /// Share of the multiply-add peak of the same threads, by the fastest batch.
    pub peak_fraction: f64,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Bench {
    /// Samples side by side in one register.
    pub lanes: usize,
    /// Multiply-adds a second of one thread, in 10^9.
    pub peak_one_giga: f64,
    /// And of all threads together.
    pub peak_all_giga: f64,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// Runs the command.
///
/// # Errors
/// On a batch of no samples or a time that is not positive.
pub fn run(args: &BenchArgs) -> Result<()> {
    if args.batch == 0 || args.gradient_batch == 0 {
        bail!("a batch needs at least one sample");
    }
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        bail!("--seconds is {}; give more than 0, at most 3600", args.seconds);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut bench = Bench {
        lanes: Batch::new(&circuit(), &parameters()).lanes(),
        peak_one_giga: peak(&one),
        peak_all_giga: peak(&pool),
        figures: Vec::new(),
    };
    for (threads, peak) in [(&one, bench.peak_one_giga), (&pool, bench.peak_all_giga)] {
        for gradients in [false, true] {
            bench.figures.push(measure(args, threads, peak, gradients));
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&bench)?);
    } else {
        print!("{bench}");
    }
    Ok(())
}

fn circuit() -> Fused {
    let readouts: Vec<u16> = (0..QUBITS).map(|q| 1 << q).collect();
    // The preset names only its own qubits and begins with its encoder.
    Fused::new(paper(), QUBITS as u8, &readouts).expect("the preset fuses")
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

fn measure(args: &BenchArgs, pool: &rayon::ThreadPool, peak: f64, gradients: bool) -> Figure {
    let batch = if gradients { args.gradient_batch } else { args.batch };
    let circuit = circuit();
    let mut parameters = parameters();
    #[allow(clippy::cast_possible_truncation)]
    let angles: Vec<f32> = sequence(batch * QUBITS).map(|x| x as f32).collect();
    let mut times = Vec::new();
    let until = Instant::now() + Duration::from_secs_f64(args.seconds);
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

impl std::fmt::Display for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} samples in a register; multiply-add peak {:.1} G/s on one thread, {:.1} G/s on all\n",
            self.lanes, self.peak_one_giga, self.peak_all_giga
        )?;
        writeln!(f, "work       threads  batch  best us  median us  operations  of peak")?;
        for x in &self.figures {
            writeln!(
                f,
                "{:9}  {:>7}  {:>5}  {:>7.2}  {:>9.2}  {:>10}  {:>6.0}%",
                x.work,
                x.threads,
                x.batch,
                x.best_us,
                x.median_us,
                x.operations,
                x.peak_fraction * 100.0
            )?;
        }
        Ok(())
    }
}
