//! `qdllm bench`: microseconds a sample on this machine, beside what its arithmetic could do at best.

use crate::commands::print;
use crate::gradient::benchmark::Bench;
use anyhow::Result;
use clap::Args;
use qdllm_host::values::{above_zero, within};

/// Measure inference and gradient of the `paper` circuit on this machine
///
/// A sample is 11 encoder angles to 11 expectations; a gradient adds the slopes by 144 parameters
/// and 11 angles. Filling in the parameters is included in every batch's time. The fraction is of
/// the multiply-adds a second that the same threads reach on nothing else, measured now.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Samples in a batch of inference
    #[arg(long, default_value_t = 1000, value_parser = within(1_usize..))]
    pub batch: usize,
    /// Samples in a batch of gradients
    #[arg(long, default_value_t = 64, value_parser = within(1_usize..))]
    pub gradient_batch: usize,
    /// Seconds each figure is measured for
    #[arg(long, default_value_t = 2.0, value_parser = within(above_zero(3600.0)))]
    pub seconds: f64,
    /// Threads of the figures with several; 0 takes all cores
    #[arg(long, default_value_t = 0, value_parser = within(0..=1024_usize))]
    pub threads: usize,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &BenchArgs) -> Result<()> {
    let batches = [args.batch, args.gradient_batch];
    print(&Bench::measure(batches, args.seconds, args.threads)?, args.json)
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
            let (best, median, share) = (x.best_us, x.median_us, x.peak_fraction * 100.0);
            write!(f, "{:9}  {:>7}  {:>5}  ", x.work, x.threads, x.batch)?;
            writeln!(f, "{best:>7.2}  {median:>9.2}  {:>10}  {share:>6.0}%", x.operations)?;
        }
        Ok(())
    }
}
