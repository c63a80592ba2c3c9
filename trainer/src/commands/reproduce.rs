//! `qdllm reproduce`: the paper's tasks, every method beside every other, in one resumable command.

use anyhow::{Context, Result, ensure};

pub use crate::reproduce::options::ReproduceArgs;
use crate::reproduce::{self, process};

/// Runs the command.
///
/// # Errors
/// When a file is missing or refused, runs of other data are in the folder, or a run failed; what was run is kept.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    if let Some(path) = &args.lesson {
        println!("{}", process::run_lesson(path)?);
        return Ok(());
    }
    let out = args.out.as_deref().context("--out is missing")?;
    let failed = if args.report_only { Vec::new() } else { reproduce::run_missing(args, out)? };
    let report = reproduce::report(out)?;
    if args.json {
        println!("{report}");
    } else {
        eprintln!("wrote {}", out.join("report.md").display());
    }
    ensure!(
        failed.is_empty(),
        "{} runs failed; the same command tries them again:\n  {}",
        failed.len(),
        failed.join("\n  ")
    );
    Ok(())
}
