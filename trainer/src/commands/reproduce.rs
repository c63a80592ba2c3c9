//! `qdllm reproduce`: the paper's tasks, every method beside every other, in one resumable command.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::progress::Progress;
use crate::reproduce::journal::{Journal, Run, Wanted};
use crate::reproduce::method::{Method, Size};
use crate::reproduce::plan::Plan;
use crate::reproduce::task::Task;
use crate::reproduce::{environment, hidden_states, report, run as runs_of, teacher_process};

/// Reproduce arXiv 2505.13205 on one page: students, teachers and controls, by task, seed and share of labels
///
/// For every task, seed and share of the training labels are trained: the paper's student and the dense student on
/// hidden states, the edge student of 1k, 4k and 16k rows without and with a teacher that knows those labels only, its
/// linear, cosine and tanh controls, fastText, TF-IDF with logistic regression, and the teacher. Beside a teacher that
/// reads hidden states stands one of TF-IDF alone (edge-4k+tfidf learns from it): the rest is what the model gave. All
/// are judged on valid, which nothing is trained on or chosen by.
///
/// OUT/runs.jsonl gets a line a run, on disk before the next one begins. The same command goes on where it stopped, and
/// with more seeds, shares or tasks it adds to what is there. Other data, settings or another version are refused. At
/// the end OUT/report.md, report.json, accuracy-bytes.svg and accuracy-labels.svg are written.
///
/// Examples:
///
///   qdllm reproduce --data DATA --out OUT --quick
///
///   qdllm reproduce --data DATA --out OUT --vectors STATES      # hours
///
///   qdllm reproduce --out OUT --report-only
///
/// DATA holds a folder a task: senti, stega, topic, each with train.tsv and valid.tsv (label TAB text; .csv and .jsonl
/// do too). STATES holds TASK.safetensors, as `teach --export-vectors` writes it; TASK.*.safetensors add models or
/// layers that the teacher reads too.
#[derive(clap::Args, Clone, Debug)]
#[command(verbatim_doc_comment)]
pub struct ReproduceArgs {
    /// The folder with a folder a task
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["report_only", "lesson"])]
    pub data: Option<PathBuf>,
    /// The folder for runs, soft labels and report
    #[arg(long, value_name = "FOLDER", required_unless_present = "lesson")]
    pub out: Option<PathBuf>,
    /// One seed, shares 100 and 10, sizes 1k and 4k, three tasks: minutes instead of hours
    #[arg(long, conflicts_with_all = ["seeds", "shares", "sizes"])]
    pub quick: bool,
    /// Tasks; NAME-groups splits NAME by near-duplicate group [default: senti,stega,topic,topic-groups]
    #[arg(long, value_delimiter = ',', value_name = "TASK,..")]
    pub tasks: Vec<String>,
    /// Seeds 0 to N-1: of the label draw and of training
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Percentages of the training labels that are known
    #[arg(long, value_delimiter = ',', default_value = "100,25,10,5", value_name = "P,..", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub shares: Vec<u32>,
    /// Rows of the edge student's vocabulary
    #[arg(long, value_delimiter = ',', default_value = "1k,4k,16k", value_name = "K,..")]
    pub sizes: Vec<Size>,
    /// Methods, by the names that runs.jsonl has [default: all]
    #[arg(long, value_delimiter = ',', value_name = "METHOD,..", value_parser = method)]
    pub methods: Vec<Method>,
    /// A folder of hidden states: TASK.safetensors or TASK.jsonl
    #[arg(long, value_name = "FOLDER")]
    pub vectors: Option<PathBuf>,
    /// A local model that makes the hidden states first; again for a second (feature `teacher`)
    #[arg(long, value_name = "PATH", conflicts_with = "vectors")]
    pub model: Vec<PathBuf>,
    /// The layer whose states are taken [default: chosen on as few labels as the smallest share has]
    #[arg(long, value_name = "L", requires = "model")]
    pub layer: Option<usize>,
    /// Settings beneath every student's (TOML, as `distill` takes them)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Forget all runs of the folder
    #[arg(long)]
    pub restart: bool,
    /// Write the report of the runs that are there, and run nothing
    #[arg(long, conflicts_with_all = ["restart", "quick"])]
    pub report_only: bool,
    /// Print report.json at the end
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
    /// One teacher's lesson: what this command runs as a child process
    #[arg(long, hide = true)]
    pub lesson: Option<PathBuf>,
}

fn method(name: &str) -> Result<Method, String> {
    let names = || Method::all().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Method::named(name).ok_or_else(|| format!("the methods are {}", names()))
}

/// Runs the command.
///
/// # Errors
/// When a file is missing or refused, runs of other data are in the folder, or a run failed; what was run is kept.
pub fn run(args: &ReproduceArgs) -> Result<()> {
    if let Some(lesson) = &args.lesson {
        return teacher_process::run(lesson);
    }
    let out = args.out.as_deref().context("--out is missing")?;
    let failed = if args.report_only { Vec::new() } else { fill(args, out)? };
    let runs = Journal::read(&out.join("runs.jsonl"))?;
    ensure!(!runs.is_empty(), "{}: holds no run", out.join("runs.jsonl").display());
    let report = report::write(out, &runs)?;
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

/// Runs what is missing; returns what failed.
fn fill(args: &ReproduceArgs, out: &Path) -> Result<Vec<String>> {
    let plan = Plan::new(args)?;
    let data = args.data.as_deref().context("--data is missing")?;
    ensure!(
        data.is_dir(),
        "{}: not a folder; --data names one with TASK/train.tsv",
        data.display()
    );
    for folder in [out.to_owned(), out.join("soft")] {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut journal = Journal::open(&out.join("runs.jsonl"))?;
    let mut progress = Progress::new(args.quiet || args.json);
    let made = hidden_states::make(args, &plan.tasks, &plan.shares, data, out, &progress)?;
    let folder = args.vectors.as_deref().or(made.as_deref());
    let read = |name: &String| Task::read(data, name, folder);
    let tasks: Vec<Task> = plan.tasks.iter().map(read).collect::<Result<_>>()?;
    if args.restart {
        journal.restart()?;
        std::fs::remove_file(out.join("settings.json")).ok();
    }
    journal.check(environment::VERSION, |run| wanted(run, &plan, &tasks))?;
    // What a run that was ended left behind; the journal's lock says that nobody works there but, for a moment more, a
    // process of that run, which may still write: what cannot be removed now is removed at the end.
    let work = out.join("work");
    std::fs::remove_dir_all(&work).ok();
    std::fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    plan.note(&tasks, out)?;
    let failed = runs_of::work_off(&plan, &tasks, out, &mut journal, &mut progress)?;
    std::fs::remove_dir_all(&work).ok();
    Ok(failed)
}

/// What a run of the journal would be made from today.
fn wanted(run: &Run, plan: &Plan, tasks: &[Task]) -> Option<Wanted> {
    let task = tasks.iter().find(|task| task.name == run.task)?;
    let settings = |m: Method| m.settings(task, run.seed, &plan.base);
    let settings = Method::named(&run.method).map(settings);
    Some(Wanted { inputs: task.inputs.clone(), settings })
}
