//! `qdllm distill`: labels, soft labels or both to a model file. With --teacher the teacher is asked first, its confidence
//! reported, the least sure texts listed and, by --review, shown to a person.

mod ask;

use self::ask::{AskArgs, ask, judge};
use crate::commands::print;
use crate::options::{Config, Given};
use crate::student::compact::size_search::{self, Limits};
use crate::student::run::{Outcome, check, distill};
use anyhow::Result;
use clap::Args;
use qdllm_host::files;
use qdllm_host::terminal::{Progress, note, say};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Train a student from labelled texts, a teacher's soft labels, or both
///
/// The result is one model file. Beside it are written `<out>.toml` (the resolved settings) and
/// `<out>.metrics.jsonl` (one line an epoch). A run that was interrupted goes on where it stood when
/// the same command is given again, and ends with the same bytes.
///
/// Examples:
///
///   qdllm distill --data train.tsv --rows 4096 --out model.qdm
///
///   qdllm distill --data labelled.tsv --unlabelled texts.txt --soft soft.jsonl --out model.qdm
///
///   qdllm distill --classes classes.toml --unlabelled texts.txt --teacher `URL` \
///       --endpoint-model NAME --review --out model.qdm
#[derive(Args, Debug, Clone)]
#[command(verbatim_doc_comment)]
pub struct DistillArgs {
    /// Settings file (TOML); options given here win over it
    #[arg(long, display_order = 0)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub options: Given,
    #[command(flatten)]
    pub ask: AskArgs,
    /// Where the model goes; `-` is standard output
    #[arg(long, short, help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Seconds between two checkpoints at least; 0 writes one an epoch
    #[arg(long, default_value_t = 1, help_heading = OUTPUT)]
    pub checkpoint_seconds: u64,
    /// Bytes that the whole file may take at most, as 4000 or 4KB, with the front end `compact`
    #[arg(long, value_parser = bytes, help_heading = SIZE)]
    pub budget: Option<usize>,
    /// Minutes that the search for the size of a compact model may take
    #[arg(long, default_value_t = 1.0, help_heading = SIZE)]
    pub minutes: f64,
    /// Take the sizes as they are given, or the defaults
    #[arg(long, help_heading = SIZE)]
    pub no_search: bool,
    /// Forget an earlier, unfinished run
    #[arg(long, help_heading = OUTPUT)]
    pub restart: bool,
    /// Print the result as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, help_heading = OUTPUT)]
    pub quiet: bool,
}

const OUTPUT: &str = "Output";
const SIZE: &str = "Size";

/// A number of bytes: `4000`, `4KB` (1000 bytes each), `4KiB` (1024).
fn bytes(text: &str) -> Result<usize, String> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" | "k" => 1000.0,
        "kib" => 1024.0,
        _ => return Err("give bytes, as 4000, 4KB or 4KiB".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "give bytes, as 4000 or 4KB".to_owned())?;
    Ok((number * unit) as usize)
}

/// Runs the command.
///
/// # Errors
/// With file, line and remedy; the model file is written only when it is complete.
pub fn run(args: &DistillArgs) -> Result<()> {
    let mut outcome = files::through(&args.out, "model.qdm", |out| made(args, out))?;
    outcome.model.clone_from(&args.out);
    print(&outcome, args.json)
}

fn made(args: &DistillArgs, out: &Path) -> Result<Outcome> {
    let file = args.config.as_deref().map(Config::read).transpose()?;
    let mut config = args.options.over(file.clone().unwrap_or_default());
    // All that can be wrong with what is asked for is found before a teacher is.
    check(&config, out, file.as_ref() == Some(&config))?;
    let mut progress = Progress::new(args.quiet || args.json);
    ask(&args.ask, out, &mut config)?;
    let named = args.options.over(Config::default()).sources.data.into_iter().next();
    match judge(&args.ask, out, named, &mut config)? {
        Some(unsure) if args.json => note(unsure.trim_end()),
        Some(unsure) => say(unsure)?,
        None => {}
    }
    if !args.no_search && config.is_to_be_sized() {
        let time = Duration::from_secs_f64(60.0 * args.minutes.clamp(0.0, 1e6));
        let limits = Limits { bytes: args.budget, time };
        config = size_search::choose(&config, limits, &mut progress)?;
    }
    let keep = (args.restart, Duration::from_secs(args.checkpoint_seconds));
    distill(&config, out, keep, &mut progress)
}
