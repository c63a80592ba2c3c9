//! `qdllm distill --teacher`: the teacher is asked first, its confidence reported, the least sure texts listed and, by
//! `--review`, shown to a person.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::data::review::{doubts, list_least_sure, report, review};
use crate::data::soft::SoftLabels;
use crate::options::Config;
use crate::student::run::beside;

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
    pub remote: crate::commands::teach::remote::EndpointArgs,
}

/// Makes soft labels through the code of `teach`, or takes the file that is one already.
///
/// # Errors
/// As `teach`; what was answered is kept.
pub fn ask(ask: &AskArgs, out: &Path, teacher: &str, config: &mut Config) -> Result<()> {
    let lower = teacher.to_ascii_lowercase();
    if [".jsonl", ".safetensors"].iter().any(|end| lower.ends_with(end)) {
        config.sources.soft = Some(teacher.into());
        return Ok(());
    }
    let soft = beside(out, ".soft.jsonl");
    take_up_labels(ask, out, config);
    teach(ask, teacher, &lower, config, &soft)?;
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

fn teach(ask: &AskArgs, teacher: &str, lower: &str, config: &Config, soft: &Path) -> Result<()> {
    use crate::commands::teach::{self, TeachArgs};
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
    let path = ask.classes.as_ref().map(|path| path.display().to_string());
    let asked = TeachArgs {
        #[cfg(feature = "teacher")]
        local: teach::local::LocalArgs::of(
            if endpoint || words { Vec::new() } else { vec![teacher.into()] },
            sources.data.is_some(),
        ),
        #[cfg(feature = "endpoint")]
        remote: ask.remote.clone(),
        #[cfg(feature = "endpoint")]
        endpoint: match endpoint {
            true => teacher.split(',').map(ToOwned::to_owned).collect(),
            false => Vec::new(),
        },
        tfidf: ask.tfidf || words,
        data: sources.data.clone(),
        labels_per_class: sources.labels_per_class,
        label_draw: sources.label_draw,
        unlabelled: sources.unlabelled.clone().into_iter().collect(),
        heldback: None,
        test: None,
        out: soft.to_owned(),
        cache: None,
        prompt: None,
        classes: path.into_iter().collect(),
        class_words: Vec::new(),
        bad_rows: sources.bad_rows,
        json: false,
    };
    // Its figures are for people; the result of `--json` is the student's.
    eprint!("{}", teach::label(&asked)?.text());
    Ok(())
}

/// Reports how sure the teacher is of the unlabelled texts, writes the least sure to `<out>.unsure.tsv`, and has them
/// reviewed if asked. `None` when no teacher was named and no review is wanted. `named` is the file of labels that the
/// command names, whether it is there yet or not.
///
/// # Errors
/// When a file cannot be read or written.
pub fn judge(
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
