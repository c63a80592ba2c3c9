//! `qdllm teach`: a language model gives every text of some files a soft label.

mod committee;
#[cfg(feature = "teacher")]
pub(super) mod local;
mod options;
mod plan;
mod report;
mod texts;

#[cfg(feature = "teacher")]
pub use self::options::Method;
pub use self::options::TeachArgs;
use self::report::{Outcome, Taught};
use self::texts::{Texts, apart};
use crate::commands::print_in_line;
use crate::data::soft::{SoftWriter, TeacherInfo};
use crate::metrics::Report;
use crate::student::run::beside;
use crate::teacher::Teacher;
#[cfg(feature = "endpoint")]
use crate::teacher::endpoint::EndpointTeacher;
use anyhow::{Result, bail};
use qdllm_host::errors::wrong_use;
use qdllm_host::guard::is_standard;
use qdllm_host::terminal::note;
use qdllm_host::{files, guard};

/// Texts with which it is tried at most what an endpoint offers.
#[cfg(feature = "endpoint")]
const MOST_SAMPLES: usize = 4;
const SOURCES: &str = if cfg!(feature = "teacher") {
    "--model PATH, --endpoint URL or --tfidf"
} else {
    "--endpoint URL or --tfidf (local models need a build with `--features teacher`)"
};

/// Runs the command. The cache keeps what was computed before an error, so the same command goes on there.
pub fn run(args: &TeachArgs) -> Result<()> {
    if args.dry_run {
        return print_in_line(&plan::Plan::of(args, &Texts::read(args)?)?, args.json);
    }
    // The cache stays where the soft labels do not.
    let here = || is_standard(&args.out).then(|| "teacher-cache".into());
    let args = TeachArgs { cache: args.cache.clone().or_else(here), ..args.clone() };
    let made = files::through(&args.out, "soft.jsonl", |out| {
        label(&TeachArgs { out: out.to_owned(), ..args.clone() })
    });
    print_in_line(&made?, args.json)
}

pub fn label(args: &TeachArgs) -> Result<Outcome> {
    guard::writes(&[&args.out, &beside(&args.out, ".partial")])?;
    let mut texts = Texts::read(args)?;
    if texts.to_label().is_empty() {
        bail!("no text is left to label: give --data or --unlabelled, or another --conflicts");
    }
    let (mut teacher, findings, speeds) = match ask(args, &mut texts)? {
        taught if args.tfidf => committee::join(args, &texts, taught)?,
        Some(taught) => taught,
        None => return Err(wrong_use(format_args!("no teacher is named: give {SOURCES}"))),
    };
    let info = teacher.about().info(report::command());
    let mut judged = |rows: &[(String, usize)]| -> Result<Option<Report>> {
        if rows.is_empty() {
            return Ok(None);
        }
        let (of, truth) = apart(rows);
        let logits = teacher.logits(&of)?;
        Ok(Some(Report::of_logits(&teacher.about().classes, &truth, &logits)))
    };
    let unfitted = if findings.is_some() { &[][..] } else { &texts.known };
    let (test, set_aside) = (judged(&texts.test)?, judged(&texts.hidden)?);
    let outcome = Outcome {
        test,
        set_aside,
        labelled: judged(unfitted)?,
        info: TeacherInfo { refused: texts.refused.clone(), ..info },
        texts: texts.to_label().len(),
        labels: texts.known.len(),
        skipped_rows: texts.skipped,
        findings,
        speeds,
    };
    write(args, &texts, teacher.as_mut(), &outcome)?;
    if let Some(path) = &args.suspects {
        committee::suspects(path, &texts, teacher.as_mut(), &outcome)?;
    }
    note(format_args!("wrote {} ({} texts)", args.out.display(), outcome.texts));
    Ok(outcome)
}

/// What a model says, where one is named.
fn ask(args: &TeachArgs, texts: &mut Texts) -> Result<Option<Taught>> {
    #[cfg(feature = "endpoint")]
    if !args.endpoint.is_empty() {
        let (classes, mut samples) = (args.classes(&texts.classes)?, texts.to_label());
        samples.truncate(MOST_SAMPLES);
        let asked = (args.prompt.as_deref(), &samples[..]);
        let mut teacher =
            EndpointTeacher::open(&args.remote, &args.endpoint, &classes, asked, &args.cache())?;
        let speeds = report::prepare(&mut teacher, &texts.every())?;
        texts.set_aside(&teacher.refused(), &teacher.client.ledger().path);
        let (requests, tokens) = teacher.client.spent();
        note(format_args!(
            "{requests} requests and {tokens} tokens so far, over all runs of this question"
        ));
        return Ok(Some((Box::new(teacher), None, speeds)));
    }
    #[cfg(feature = "teacher")]
    if !args.local.model.is_empty() {
        return local::ask(args, texts).map(Some);
    }
    let _ = (args, texts);
    Ok(None)
}

fn write(
    args: &TeachArgs,
    texts: &Texts,
    teacher: &mut dyn Teacher,
    outcome: &Outcome,
) -> Result<()> {
    let classes = teacher.about().classes.clone();
    let known = outcome.findings.iter().flat_map(|found| &found.labelled);
    let known = texts.known.iter().map(|(text, _)| text.as_str()).zip(known);
    let files = [&*beside(&args.out, ".partial"), &args.out];
    let header = (&classes[..], &outcome.info);
    SoftWriter::whole(files, header, known, &texts.to_label(), |texts| teacher.logits(texts))
}
