//! `qdllm distill`: labels, soft labels or both to a model file. With --teacher the teacher is asked first, its confidence
//! reported, the least sure texts listed and, by --review, shown to a person.

mod ask;

use self::ask::{AskArgs, ask, judge};
use crate::commands::print;
use crate::options::{Config, Given};
use crate::student::run::distill;
use anyhow::Result;
use clap::Args;
use qdllm_host::terminal::Progress;
use std::path::PathBuf;
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
    /// Where the model goes
    #[arg(long, short, display_order = 16)]
    pub out: PathBuf,
    /// Settings file (TOML); options given here win over it
    #[arg(long, display_order = 17)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub options: Given,
    /// Seconds between two checkpoints at least; 0 writes one an epoch
    #[arg(long, default_value_t = 1, display_order = 90)]
    pub checkpoint_seconds: u64,
    /// Forget an earlier, unfinished run
    #[arg(long, display_order = 91)]
    pub restart: bool,
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// With file, line and remedy; the model file is written only when it is complete.
pub fn run(args: &DistillArgs) -> Result<()> {
    let file = args.config.as_deref().map(Config::read).transpose()?;
    let mut config = args.options.over(file.unwrap_or_default());
    config.check()?;
    let mut progress = Progress::new(args.quiet || args.json);
    ask(&args.ask, &args.out, &mut config)?;
    let named = args.options.over(Config::default()).sources.data;
    let unsure = judge(&args.ask, &args.out, named, &mut config)?;
    if let Some(unsure) = &unsure {
        (if args.json { eprint!("{unsure}") } else { print!("{unsure}") });
    }
    let keep = (args.restart, Duration::from_secs(args.checkpoint_seconds));
    let outcome = distill(&config, &args.out, keep, &mut progress)?;
    print(&outcome, args.json)
}
