//! The teacher that `qdllm distill` asks before the student learns, and what is said and reviewed of its answers.

use crate::commands::teach::{self, TeachArgs};
use crate::data::review;
use crate::options::{Config, OverDefaults};
use crate::student::run::beside;
use anyhow::{Result, bail};
use qdllm_host::errors::wrong_use;
use qdllm_host::guard;
use qdllm_host::terminal::note;
use qdllm_host::values::within;
use std::path::{Path, PathBuf};

/// A teacher that is asked before the student learns.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Teacher")]
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
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50", value_parser = within(1_usize..))]
    pub review: Option<usize>,
    /// How an endpoint is asked
    #[cfg(feature = "endpoint")]
    #[command(flatten)]
    pub remote: crate::teacher::endpoint::EndpointArgs,
}

/// Makes soft labels through the code of `teach` where a teacher is named, or takes the file that is one already; what
/// was answered before an error is kept.
pub fn ask(args: &AskArgs, out: &Path, config: &mut Config) -> Result<()> {
    let Some(teacher) = &args.teacher else { return Ok(()) };
    let lower = teacher.to_ascii_lowercase();
    if [".jsonl", ".safetensors"].iter().any(|end| lower.ends_with(end)) {
        config.sources.soft = Some(teacher.into());
        return Ok(());
    }
    let soft = beside(out, ".soft.jsonl");
    guard::writes(&[&soft, &beside(out, ".unsure.tsv")])?;
    take_up_labels(args, out, config);
    label(args, teacher, &lower, config, &soft)?;
    config.sources.soft = Some(soft);
    Ok(())
}

/// Labels of an earlier review count where no other data is given.
fn take_up_labels(args: &AskArgs, out: &Path, config: &mut Config) {
    let own = beside(out, ".labels.tsv");
    let data = &mut config.sources.data;
    if data.is_empty() && own.is_file() {
        data.push(own);
    }
    if args.review.is_some() {
        data.retain(|path| path.exists());
    }
}

fn label(args: &AskArgs, teacher: &str, lower: &str, config: &Config, soft: &Path) -> Result<()> {
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
        if sources.data.is_empty() {
            asked.local.method = teach::Method::ZeroShot;
        }
    }
    #[cfg(feature = "endpoint")]
    if endpoint {
        asked.remote = args.remote.clone();
        asked.endpoint = teacher.split(',').map(ToOwned::to_owned).collect();
    }
    asked.tfidf = args.tfidf || words;
    asked.data.clone_from(&sources.data);
    asked.labels_per_class = sources.labels_per_class;
    asked.label_draw = sources.label_draw;
    asked.unlabelled.extend(sources.unlabelled.clone());
    asked.classes.extend(args.classes.as_ref().map(|path| path.display().to_string()));
    asked.rows = OverDefaults(sources.rows.clone());
    asked.conflicts = sources.conflicts;
    // Its figures are for people; the result of `--json` is the student's.
    note(teach::label(&asked)?.to_string().trim_end());
    Ok(())
}

/// Reports how sure the teacher is of the unlabelled texts, writes the least sure to `<out>.unsure.tsv`, and has them
/// reviewed if asked. `None` when no teacher was named and no review is wanted. `named` is the file of labels that the
/// command names, whether it is there yet or not.
pub fn judge(
    args: &AskArgs,
    out: &Path,
    named: Option<PathBuf>,
    config: &mut Config,
) -> Result<Option<String>> {
    let sources = &config.sources;
    let (soft, texts) = match (&sources.soft, &sources.unlabelled) {
        _ if args.teacher.is_none() && args.review.is_none() => return Ok(None),
        (Some(soft), Some(texts)) => (soft, texts),
        (Some(_), None) if args.review.is_none() => return Ok(None),
        (Some(_), None) => return Err(wrong_use("the texts are missing: give --unlabelled")),
        (None, _) => {
            let what = "--review shows what a teacher is unsure of: give --teacher or --soft";
            return Err(wrong_use(what));
        }
    };
    let labels = sources.data.first().cloned().or(named);
    let labels = labels.unwrap_or_else(|| beside(out, ".labels.tsv"));
    let review = args.review.map(|most| (most, labels.as_path()));
    let said = review::judge(soft, texts, sources, &beside(out, ".unsure.tsv"), review)?;
    if args.review.is_none() {
        take_up_labels(args, out, config);
    } else if labels.metadata().is_ok_and(|m| m.len() > 0) {
        config.sources.data.retain(|path| *path != labels);
        config.sources.data.push(labels);
    }
    Ok(Some(said))
}
