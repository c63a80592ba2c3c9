//! `qdllm distill`: labels, soft labels or both to a model file. With --teacher the teacher is asked first, its confidence
//! reported, the least sure texts listed and, by --review, shown to a person.

use crate::commands::print;
use crate::commands::teach::{self, TeachArgs};
use crate::data::review::{doubts, list_least_sure, report, review};
use crate::data::soft::SoftLabels;
use crate::options::{Config, Given};
use crate::student::run::{beside, distill};
use anyhow::{Result, bail};
use clap::Args;
use qdllm_host::terminal::Progress;
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
    if let Some(teacher) = &args.ask.teacher {
        ask(&args.ask, &args.out, teacher, &mut config)?;
    }
    let named = args.options.over(Config::default()).sources.data;
    let unsure = judge(&args.ask, &args.out, named, &mut config)?;
    if let Some(unsure) = &unsure {
        (if args.json { eprint!("{unsure}") } else { print!("{unsure}") });
    }
    let keep = (args.restart, Duration::from_secs(args.checkpoint_seconds));
    let outcome = distill(&config, &args.out, keep, &mut progress)?;
    print(&outcome, args.json)
}

/// A teacher that is asked before the student learns.
#[derive(clap::Args, Clone, Debug)]
pub struct AskArgs {
    /// Who gives soft labels: an endpoint's address, a file of soft labels, a model's path, or `tfidf` for a regression
    /// on words fitted on the labels, which steadies a student even when every text has one
    #[arg(long, value_name = "URL|FILE|MODEL|tfidf", conflicts_with = "soft")]
    pub teacher: Option<String>,
    /// Average the teacher with a TF-IDF regression fitted on the labels
    #[arg(long, requires = "teacher")]
    pub tfidf: bool,
    /// A file that names and describes the classes (TOML), for the teacher
    #[arg(long, value_name = "FILE", requires = "teacher")]
    pub classes: Option<PathBuf>,
    /// Let a person label the texts of which the teacher is least sure, 50 unless said otherwise; labels go to the
    /// --data file, or to OUT.labels.tsv, which later runs take up
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50")]
    pub review: Option<usize>,
    /// How an endpoint is asked
    #[cfg(feature = "endpoint")]
    #[command(flatten)]
    pub remote: crate::teacher::endpoint::EndpointArgs,
}

/// Makes soft labels through the code of `teach`, or takes the file that is one already.
///
/// # Errors
/// As `teach`; what was answered is kept.
fn ask(ask: &AskArgs, out: &Path, teacher: &str, config: &mut Config) -> Result<()> {
    let lower = teacher.to_ascii_lowercase();
    if [".jsonl", ".safetensors"].iter().any(|end| lower.ends_with(end)) {
        config.sources.soft = Some(teacher.into());
        return Ok(());
    }
    let soft = beside(out, ".soft.jsonl");
    take_up_labels(ask, out, config);
    label(ask, teacher, &lower, config, &soft)?;
    config.sources.soft = Some(soft);
    Ok(())
}

/// Labels of an earlier review count where no other data is given.
fn take_up_labels(ask: &AskArgs, out: &Path, config: &mut Config) {
    let own = beside(out, ".labels.tsv");
    if config.sources.data.is_none() && own.is_file() {
        config.sources.data = Some(own);
    }
    if ask.review.is_some() && config.sources.data.as_ref().is_some_and(|d| !d.exists()) {
        config.sources.data = None;
    }
}

fn label(ask: &AskArgs, teacher: &str, lower: &str, config: &Config, soft: &Path) -> Result<()> {
    let endpoint = lower.starts_with("http://") || lower.starts_with("https://");
    let words = lower == "tfidf";
    if !cfg!(feature = "endpoint") && endpoint {
        bail!("--teacher {teacher}: endpoints need a build with `--features endpoint`");
    }
    if !cfg!(feature = "teacher") && !endpoint && !words {
        bail!(
            "--teacher {teacher}: neither an address nor a file of soft labels (.jsonl, .safetensors); local models need a build with `--features teacher`"
        );
    }
    let sources = &config.sources;
    let mut asked = TeachArgs::with_defaults(soft)?;
    #[cfg(feature = "teacher")]
    if !endpoint && !words {
        asked.local.model = vec![teacher.into()];
        if sources.data.is_none() {
            asked.local.method = teach::Method::ZeroShot;
        }
    }
    #[cfg(feature = "endpoint")]
    if endpoint {
        asked.remote = ask.remote.clone();
        asked.endpoint = teacher.split(',').map(ToOwned::to_owned).collect();
    }
    asked.tfidf = ask.tfidf || words;
    asked.data.clone_from(&sources.data);
    asked.labels_per_class = sources.labels_per_class;
    asked.label_draw = sources.label_draw;
    asked.unlabelled.extend(sources.unlabelled.clone());
    asked.classes.extend(ask.classes.as_ref().map(|path| path.display().to_string()));
    asked.bad_rows = sources.bad_rows;
    // Its figures are for people; the result of `--json` is the student's.
    eprint!("{}", teach::label(&asked)?);
    Ok(())
}

/// Reports how sure the teacher is of the unlabelled texts, writes the least sure to `<out>.unsure.tsv`, and has them
/// reviewed if asked. `None` when no teacher was named and no review is wanted. `named` is the file of labels that the
/// command names, whether it is there yet or not.
fn judge(
    ask: &AskArgs,
    out: &Path,
    named: Option<PathBuf>,
    config: &mut Config,
) -> Result<Option<String>> {
    if ask.teacher.is_none() && ask.review.is_none() {
        return Ok(None);
    }
    let Some(path) = &config.sources.soft else {
        bail!("--review shows what a teacher is unsure of: give --teacher or --soft");
    };
    let Some(texts) = &config.sources.unlabelled else {
        if ask.review.is_none() {
            return Ok(None);
        }
        bail!("the texts are missing: give --unlabelled");
    };
    let soft = SoftLabels::open(path, &config.sources)?;
    let mut doubts = doubts(&soft, texts, config.sources.bad_rows)?;
    if doubts.is_empty() {
        bail!("{}: holds no soft label of a text in {}", path.display(), texts.display());
    }
    let report = report(&soft.classes, &doubts);
    doubts.sort_by(|a, b| a.confidence().total_cmp(&b.confidence()));
    let list = beside(out, ".unsure.tsv");
    let listed = list_least_sure(&soft.classes, &doubts, &list)?;
    if let Some(most) = ask.review {
        let labels = config.sources.data.clone().or(named);
        let labels = labels.unwrap_or_else(|| beside(out, ".labels.tsv"));
        let (mut input, mut output) = (std::io::stdin().lock(), std::io::stderr().lock());
        review(&doubts, &soft.classes, most, &labels, &mut input, &mut output)?;
        if labels.metadata().is_ok_and(|m| m.len() > 0) {
            config.sources.data = Some(labels);
        }
    } else {
        take_up_labels(ask, out, config);
    }
    Ok(Some(format!("{report}least sure   {listed} texts listed in {}\n", list.display())))
}
