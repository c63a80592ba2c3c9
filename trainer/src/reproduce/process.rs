//! One run: a child process of our own executable, so that its peak memory is its own and its end ends nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::terminal::Progress;
use qdllm_host::{dates, files};

use super::journal::{Run, VERSION};
use super::lesson::Lesson;
use super::method::{Learner, Method, Supervision};
use super::options::ReproduceArgs;
use super::task::{Row, Task, folder};
use crate::data::corpus::Corpus;
use crate::options::Config;
use crate::resource_usage::machine;
use crate::student::vocabulary::Counter;

/// The commit that the program was built from, where the builder set `QDLLM_COMMIT`.
const COMMIT: Option<&str> = option_env!("QDLLM_COMMIT");

/// The files of one task, share and seed, for all its methods.
pub struct Group<'a> {
    task: &'a Task,
    share: u32,
    seed: u64,
    base: &'a Config,
    folder: tempfile::TempDir,
    labels: usize,
    unlabelled: usize,
    /// Where the teachers' soft labels are kept over runs.
    answers: PathBuf,
}

impl<'a> Group<'a> {
    /// Writes the labelled, unlabelled and validation texts into a folder of their own below `out`.
    pub fn new(place: (&'a Task, u32, u64), base: &'a Config, out: &Path) -> Result<Self> {
        let (task, share, seed) = place;
        let (labelled, unlabelled) = task.share(share, seed);
        let work = out.join("work");
        let prefix = format!("{}-{share}-{seed}-", task.about.name);
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&work).of_file(&work)?;
        write_rows(&folder.path().join("labelled.jsonl"), labelled.iter().copied(), true)?;
        write_rows(&folder.path().join("unlabelled.jsonl"), unlabelled.iter().copied(), false)?;
        write_rows(&folder.path().join("valid.jsonl"), &task.valid, true)?;
        let (labels, unlabelled, answers) = (labelled.len(), unlabelled.len(), out.join("soft"));
        Ok(Self { task, share, seed, base, folder, labels, unlabelled, answers })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of a teacher's soft labels; its name says what they are made of.
    pub fn soft(&self, teacher: &Method) -> PathBuf {
        let (task, inputs) = (self.task, &self.task.inputs);
        let made_of = teacher.settings(task, self.seed, &Config::default());
        let vectors = inputs.vectors.as_deref().unwrap_or("");
        self.answers.join(format!(
            "{}-{}-{}-{made_of}-{}{}{vectors}.jsonl",
            task.about.name, self.share, self.seed, inputs.train, inputs.valid
        ))
    }

    /// Runs one method; an error has the last words of the process that failed.
    pub fn run(&self, method: &Method) -> Result<Run> {
        let (task, share, seed) = (self.task, self.share, self.seed);
        let lesson = Lesson {
            method: method.name.clone(),
            config: self.config(method)?,
            valid: self.path("valid.jsonl"),
            classes: task.about.classes.clone(),
            folder: self.folder.path().to_owned(),
        };
        let path = self.path("lesson.json");
        files::write(&path, serde_json::to_vec(&lesson)?)?;
        let output = own("reproduce")?.arg("--lesson").arg(path).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            let last = last.unwrap_or("it said nothing").trim_start_matches("error: ");
            bail!("{last} ({})", output.status);
        }
        Ok(Run {
            task: task.about.name.clone(),
            share,
            seed,
            method: method.name.clone(),
            inputs: task.inputs.clone(),
            settings: method.settings(task, seed, self.base),
            version: VERSION.to_owned(),
            commit: COMMIT.map(str::to_owned),
            machine: machine(),
            finished: dates::now_s(),
            labels: self.labels,
            unlabelled: self.unlabelled,
            test_texts: task.valid.len(),
            outcome: serde_json::from_slice(&output.stdout)?,
        })
    }

    /// A run's settings and files, a student's vocabulary no larger than the texts allow.
    fn config(&self, method: &Method) -> Result<Config> {
        let mut config = method.config(&self.task.about.name, self.seed, self.base);
        let sources = &mut config.sources;
        sources.data = Some(self.path("labelled.jsonl"));
        let teacher = (method.learner == Learner::Teacher).then_some(method);
        if let Some(teacher) = teacher.or(method.taught()) {
            sources.soft = Some(self.soft(teacher));
            sources.unlabelled = (self.unlabelled > 0).then(|| self.path("unlabelled.jsonl"));
        }
        match method.learner {
            Learner::Teacher if method.by == Supervision::Model => {
                sources.vectors.clone_from(&self.task.vectors);
            }
            Learner::Dense(_) => sources.vectors = self.task.vectors[..1].to_vec(),
            _ => {}
        }
        if method.rows().is_some() {
            fit_rows(&mut config)?;
        }
        Ok(config)
    }
}

/// As many rows as the training texts hold n-grams, at most those asked for. Fewer rows have shorter keys, which merge
/// n-grams: hence the loop.
fn fit_rows(config: &mut Config) -> Result<()> {
    let mut progress = Progress::new(true);
    loop {
        let corpus = Corpus::open(&config.sources, &mut progress)?;
        let (rows, kinds) = (config.student.rows, config.student.kinds());
        let mut counter = Counter::new(corpus.classes().len(), rows, kinds);
        corpus.each("counting", &mut progress, |text| counter.add(&text))?;
        let found = counter.candidates().len();
        if found >= rows || found == 0 {
            return Ok(());
        }
        config.student.rows = found;
    }
}

/// Makes `OUT/vectors/TASK.safetensors` (and `TASK.1.safetensors` for a second model) by `qdllm teach` unless they are
/// there; `None` without a model.
pub fn hidden_states(
    args: &ReproduceArgs,
    data: &Path,
    out: &Path,
    progress: &Progress,
) -> Result<Option<PathBuf>> {
    if args.model.is_empty() {
        return Ok(None);
    }
    if !cfg!(feature = "teacher") {
        bail!(
            "--model: this build runs no local models; build with `--features teacher`, or give --vectors"
        );
    }
    let place = out.join("vectors");
    std::fs::create_dir_all(&place).of_file(&place)?;
    let fewest = args.shares.iter().min().copied().unwrap_or(100) as usize;
    for base in args.tasks.iter().map(|name| folder(name)) {
        for (i, model) in args.model.iter().enumerate() {
            let number = if i == 0 { String::new() } else { format!(".{i}") };
            let path = place.join(format!("{base}{number}.safetensors"));
            if path.is_file() {
                continue;
            }
            progress.say(&format!("hidden states of {base} by {}", model.display()));
            let task = Task::read(data, base, None)?;
            let work = tempfile::tempdir_in(&place)?;
            let [train, valid, partial, soft] =
                ["train.jsonl", "valid.jsonl", "vectors.safetensors", "soft.jsonl"]
                    .map(|name| work.path().join(name));
            write_rows(&train, &task.train, true)?;
            write_rows(&valid, &task.valid, true)?;
            let labels = (fewest * task.train.len() / 100 / task.about.classes.len()).max(2);
            let mut command = own("teach")?;
            command.args(["--method", "probe", "--labels-per-class", &labels.to_string()]);
            for (option, file) in [
                ("--model", model),
                ("--data", &train),
                ("--test", &valid),
                ("--export-vectors", &partial),
                ("--cache", &place.join("features")),
                ("--out", &soft),
            ] {
                command.arg(option).arg(file);
            }
            if let Some(layer) = args.layer.map(|layer| layer.to_string()) {
                command.args(["--layers", &layer, "--export-layer", &layer]);
            }
            let status = command.stdout(Stdio::null()).status()?;
            ensure!(status.success(), "{}: gave no hidden states of {base}", model.display());
            std::fs::rename(&partial, &path).of_file(&path)?;
        }
    }
    Ok(Some(place))
}

/// A command of our own executable, reading nothing.
fn own(command: &str) -> Result<Command> {
    let own = std::env::current_exe().context("the executable's own path is unknown")?;
    let mut process = Command::new(own);
    process.arg(command).stdin(Stdio::null());
    Ok(process)
}

/// Writes texts as JSON lines, with or without their labels.
fn write_rows<'a>(
    path: &Path,
    rows: impl IntoIterator<Item = &'a Row>,
    labels: bool,
) -> Result<()> {
    let line = |(label, text): &Row| match labels {
        true => serde_json::json!({ "label": label, "text": text }),
        false => serde_json::json!({ "text": text }),
    };
    let lines: String = rows.into_iter().map(|row| line(row).to_string() + "\n").collect();
    std::fs::write(path, lines).of_file(path)
}
