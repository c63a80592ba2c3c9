//! `qdllm-hw status`: batches and jobs in the store, and what the platform says of them.

use crate::commands::{Access, states, states_text, work_text};
use crate::quafu::Progress;
use crate::quafu::jobs::run::alone;
use crate::quafu::jobs::{Batch, Job, State, Store};
use anyhow::{Error, Result, bail, ensure};
use clap::Args;
use qdllm_host::dates;
use qdllm_host::terminal::say;
use serde_json::{Value, json};

/// Show batches and jobs
///
/// Reads the store; only --live asks the platform. States: ready (not sent), sending (the program ended
/// while it was sent, or the answer named no task: `submit --resume` finds out), submitted, finished
/// (counts are in the job file), failed, cancelled.
///
/// Examples:
///   qdllm-hw status
///   qdllm-hw status model-3f2a --live
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct StatusArgs {
    /// Show this batch's jobs; the beginning of its name will do
    pub batch: Option<String>,
    /// Ask the platform how far the submitted jobs are
    #[arg(long, requires = "batch")]
    pub live: bool,
    #[command(flatten)]
    pub store: Store,
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &StatusArgs) -> Result<()> {
    let store = &args.store;
    let Some(wanted) = &args.batch else {
        let ((batches, mut damaged), mut rows) = (store.batches()?, Vec::new());
        for batch in batches {
            store.read(&batch.id).map_or_else(|why| damaged.push(why), |whole| rows.push(whole));
        }
        let described = |(batch, jobs): &(Batch, Vec<Job>)| {
            let made = dates::utc(batch.created_ms / 1000);
            let (all, what) = (states_text(jobs), work_text(&batch.work));
            format!("{}  {made} UTC  {}: {all}  ({what})\n", batch.id, batch.chip)
        };
        if args.json {
            say(format_args!("{:#}", rows.iter().map(|(b, j)| summary(b, j)).collect::<Value>()))
        } else if rows.is_empty() {
            say(format_args!("{} holds no batch", store.folder.display()))
        } else {
            say(rows.iter().map(described).collect::<String>())
        }?;
        // A batch that cannot be read hides no other.
        let why: Vec<String> = damaged.iter().map(|why| format!("{why:#}")).collect();
        let remedy = "put the file back as it was, or move its folder away";
        ensure!(why.is_empty(), "{}; {remedy}", why.join("\n"));
        return Ok(());
    };
    let (batch, jobs) = store.read(&store.find(Some(wanted))?)?;
    let platform =
        args.live.then(|| args.access.connect(batch.platform, &batch.url)).transpose()?;
    let (mut failed, mut silent, mut gone) = (0, 0, false);
    let said = |job: &Job| {
        let (Some(platform), State::Submitted { task, .. }) = (&platform, &job.state) else {
            return None;
        };
        if gone {
            return Some("not asked".into());
        }
        Some(match platform.status(task) {
            Ok(Progress::Waiting(word)) => word,
            Ok(Progress::Finished) => "Finished; fetch it".into(),
            Ok(Progress::Failed) => "Failed; fetch it".into(),
            Ok(Progress::Cancelled) => "Cancelled".into(),
            Err(why) => {
                let why = Error::from(why);
                failed += 1;
                gone = !alone(&why, &mut silent);
                format!("not known: {why}")
            }
        })
    };
    let said: Vec<Option<String>> = jobs.iter().map(said).collect();
    let all_said =
        move || if failed > 0 { bail!("{failed} jobs could not be asked about") } else { Ok(()) };
    if args.json {
        let mut result = summary(&batch, &jobs);
        let row = |(job, said): (&Job, &Option<String>)| {
            json!({"number": job.number, "name": job.name, "state": job.state.name(),
                   "task": job.state.task(), "platform": said})
        };
        result["detail"] = jobs.iter().zip(&said).map(row).collect();
        say(format_args!("{result:#}"))?;
        return all_said();
    }
    let mut lines = format!("{}: {}, {}\n", batch.id, states_text(&jobs), work_text(&batch.work));
    lines += &format!("{} shots on {}, {}\n", batch.shots, batch.chip, batch.url);
    for (job, said) in jobs.iter().zip(&said) {
        let task = job.state.task().unwrap_or("-");
        let said = said.as_ref().map_or(String::new(), |s| format!("  {s}"));
        let error = match &job.state {
            State::Failed { error, .. } | State::Sending { answer: Some(error), .. } => {
                format!("  {error}")
            }
            _ => String::new(),
        };
        let (number, state, name) = (job.number, job.state.name(), &job.name);
        lines += &format!("{number:5}  {state:9}  {name}  {task}{said}{error}\n");
    }
    say(lines)?;
    all_said()
}

fn summary(batch: &Batch, jobs: &[Job]) -> Value {
    json!({
        "batch": batch.id, "created": dates::utc(batch.created_ms / 1000),
        "platform": batch.platform, "url": batch.url, "chip": batch.chip, "shots": batch.shots,
        "jobs": batch.jobs, "states": states(jobs),
    })
}
