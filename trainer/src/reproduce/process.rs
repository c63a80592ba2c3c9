//! One run: a child process of our own executable, so that its peak memory is its own and its end ends nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::environment;
use super::journal::Run;
use super::method::{Method, TeacherKind};
use super::task::{Row, Task};
use super::teacher::Lesson;
use crate::controls::Control;
use crate::data::corpus::Corpus;
use crate::options::Config;
use crate::student::vocabulary::Counter;
use qdllm_host::files::write_whole;
use qdllm_host::terminal::Progress;

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
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn new(
        task: &'a Task,
        share: u32,
        seed: u64,
        base: &'a Config,
        out: &Path,
    ) -> Result<Self> {
        let (labelled, unlabelled) = task.share(share, seed);
        let work = out.join("work");
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}-{share}-{seed}-", task.name))
            .tempdir_in(&work)
            .with_context(|| work.display().to_string())?;
        let (labels, without, answers) = (labelled.len(), unlabelled.len(), out.join("soft"));
        let group = Self { task, share, seed, base, folder, labels, unlabelled: without, answers };
        write_rows(&group.path("labelled.jsonl"), labelled, true)?;
        write_rows(&group.path("unlabelled.jsonl"), unlabelled, false)?;
        write_rows(&group.path("valid.jsonl"), &task.valid, true)?;
        Ok(group)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn unlabelled(&self) -> Option<PathBuf> {
        (self.unlabelled > 0).then(|| self.path("unlabelled.jsonl"))
    }

    /// The file of a teacher's soft labels; its name says what they are made of.
    fn soft(&self, teacher: TeacherKind) -> PathBuf {
        let (task, inputs) = (self.task, &self.task.inputs);
        let made_of = Method::Teacher(teacher).settings(task, self.seed, &Config::default());
        let vectors = inputs.vectors.as_deref().unwrap_or("");
        self.answers.join(format!(
            "{}-{}-{}-{made_of}-{}{}{vectors}.jsonl",
            task.name, self.share, self.seed, inputs.train, inputs.valid
        ))
    }

    /// Whether a teacher's soft labels are there.
    pub fn has_answers(&self, teacher: TeacherKind) -> bool {
        self.soft(teacher).is_file()
    }

    /// Runs one method.
    ///
    /// # Errors
    /// With the last words of the process that failed.
    pub fn run(&self, method: Method) -> Result<Run> {
        match method {
            Method::Teacher(teacher) => self.teacher(teacher),
            Method::Control(control, _) => self.control(control, method),
            Method::Edge(..) | Method::Dense(..) => self.student(method),
        }
    }

    fn teacher(&self, teacher: TeacherKind) -> Result<Run> {
        let lesson = Lesson {
            labelled: self.path("labelled.jsonl"),
            unlabelled: self.unlabelled(),
            valid: self.path("valid.jsonl"),
            classes: self.task.classes.clone(),
            seed: self.seed,
            vectors: teacher.vectors(self.task).to_vec(),
            cache: self.path("features"),
            soft: self.soft(teacher),
        };
        let path = self.path("lesson.json");
        write_whole(&path, &serde_json::to_vec(&lesson)?)
            .with_context(|| path.display().to_string())?;
        let told = ask(own(&["reproduce", "--lesson"])?.arg(&path))?;
        self.record(Method::Teacher(teacher), None, &told, &told)
    }

    fn control(&self, control: Control, method: Method) -> Result<Run> {
        let seed = self.seed.to_string();
        let mut command = own(&["controls", "--json", "--only", control.name(), "--seed", &seed])?;
        command.arg("--data").arg(self.path("labelled.jsonl"));
        command.arg("--test").arg(self.path("valid.jsonl"));
        let mut rows = None;
        if control.heart().is_some() {
            let settings = self.path("control.toml");
            rows = Some(self.settings(method, &settings)?.student.rows);
            command.arg("--config").arg(settings);
        }
        let told = ask(&mut command)?;
        let figures = told["controls"].get(0).context("no control in the report")?;
        let mut run = self.record(method, rows, figures, figures)?;
        run.peak_memory_bytes = told["peak_memory_bytes"].as_u64();
        Ok(run)
    }

    fn student(&self, method: Method) -> Result<Run> {
        let (settings, model) = (self.path("student.toml"), self.path("student.qdm"));
        let config = self.settings(method, &settings)?;
        let mut distill = own(&["distill", "--json", "--restart", "--config"])?;
        let trained = ask(distill.arg(&settings).arg("--out").arg(&model))?;
        let mut eval = own(&["eval", "--json", "--data"])?;
        eval.arg(self.path("valid.jsonl")).arg(&model);
        eval.args((!method.dense()).then_some("--no-control"));
        for path in &config.sources.vectors {
            eval.arg("--vectors").arg(path);
        }
        let judged = ask(&mut eval)?;
        let figures = if method.dense() { &judged } else { &judged["student"] };
        let rows = (!method.dense()).then_some(config.student.rows);
        let mut run = self.record(method, rows, figures, &trained)?;
        run.microseconds_per_text = judged["microseconds_per_text"].as_f64();
        Ok(run)
    }

    /// Writes a student's settings, its vocabulary no larger than the texts allow.
    fn settings(&self, method: Method, path: &Path) -> Result<Config> {
        let mut config = method.config(&self.task.name, self.seed, self.base);
        config.sources.data = Some(self.path("labelled.jsonl"));
        if let Some(teacher) = method.taught() {
            config.sources.soft = Some(self.soft(teacher));
            config.sources.unlabelled = self.unlabelled();
        }
        if method.dense() {
            config.sources.vectors = self.task.vectors.first().cloned().into_iter().collect();
        } else {
            fit_rows(&mut config)?;
        }
        write_whole(path, config.to_toml().as_bytes())
            .with_context(|| path.display().to_string())?;
        Ok(config)
    }

    /// A run from the figures of a test and of a training.
    fn record(
        &self,
        method: Method,
        rows: Option<usize>,
        tested: &Value,
        trained: &Value,
    ) -> Result<Run> {
        let figure = |of: &Value, name: &str| {
            of[name].as_f64().with_context(|| format!("a report without `{name}`"))
        };
        let weighted = &tested["weighted_avg"];
        Ok(Run {
            task: self.task.name.clone(),
            share: self.share,
            seed: self.seed,
            method: method.to_string(),
            inputs: self.task.inputs.clone(),
            settings: method.settings(self.task, self.seed, self.base),
            version: environment::VERSION.to_owned(),
            commit: environment::COMMIT.map(str::to_owned),
            machine: environment::machine(),
            finished: environment::now(),
            labels: self.labels,
            unlabelled: self.unlabelled,
            test_texts: self.task.valid.len(),
            rows,
            accuracy: figure(tested, "accuracy")?,
            precision: figure(weighted, "precision")?,
            recall: figure(weighted, "recall")?,
            f1: figure(weighted, "f1")?,
            parameters: trained["parameters"].as_u64(),
            bytes: trained["bytes"].as_u64(),
            peak_memory_bytes: trained["peak_memory_bytes"].as_u64(),
            train_seconds: figure(trained, "train_seconds")?,
            microseconds_per_text: tested["microseconds_per_text"].as_f64(),
        })
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

/// A command of our own executable, reading nothing.
pub fn own(args: &[&str]) -> Result<Command> {
    let own = std::env::current_exe().context("the executable's own path is unknown")?;
    let mut command = Command::new(own);
    command.args(args).stdin(Stdio::null());
    Ok(command)
}

/// Runs a command and reads the JSON object it prints.
fn ask(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        bail!("{} ({})", last.trim_start_matches("error: "), output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Writes texts as JSON lines, with or without their labels.
pub fn write_rows<'a>(
    path: &Path,
    rows: impl IntoIterator<Item = &'a Row>,
    labels: bool,
) -> Result<()> {
    let line = |(label, text): &Row| match labels {
        true => serde_json::json!({ "label": label, "text": text }),
        false => serde_json::json!({ "text": text }),
    };
    let lines: String = rows.into_iter().map(|row| line(row).to_string() + "\n").collect();
    std::fs::write(path, lines).with_context(|| path.display().to_string())
}
