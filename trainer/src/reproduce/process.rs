//! One run: a child process of our own executable, so that its peak memory is its own and its end ends nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::environment;
use super::journal::Run;
use super::label_source::Tutor;
use super::method::Method;
use super::task::{Row, Task};
use super::teacher;
use super::teacher_process::Spec;
use crate::commands::controls::Control;
use crate::data::corpus::Corpus;
use crate::options::Config;
use crate::progress::Progress;
use crate::student::checkpoint::write_whole;
use crate::student::vocabulary::Counter;

/// The files of one task, share and seed, all its methods.
pub struct Group<'t> {
    task: &'t Task,
    share: u32,
    seed: u64,
    folder: tempfile::TempDir,
    labels: usize,
    unlabelled: usize,
    /// Where the teachers' soft labels are kept over runs.
    answers: PathBuf,
}

impl<'t> Group<'t> {
    /// Writes the labelled, unlabelled and validation texts into a folder of their own below `out`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn new(task: &'t Task, share: u32, seed: u64, out: &Path) -> Result<Self> {
        let (labelled, unlabelled) = task.share(share, seed);
        let work = out.join("work");
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}-{share}-{seed}-", task.name))
            .tempdir_in(&work)
            .with_context(|| work.display().to_string())?;
        let group = Self {
            task,
            share,
            seed,
            folder,
            labels: labelled.len(),
            unlabelled: unlabelled.len(),
            answers: out.join("soft"),
        };
        write(&group.path("labelled.jsonl"), &labelled, true)?;
        write(&group.path("unlabelled.jsonl"), &unlabelled, false)?;
        write(&group.path("valid.jsonl"), &task.valid.iter().collect::<Vec<_>>(), true)?;
        Ok(group)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of a teacher's soft labels; its name says what they are made of.
    fn soft(&self, tutor: Tutor) -> PathBuf {
        let (task, inputs) = (self.task, &self.task.inputs);
        let made_of = Method::Teacher(tutor).settings(task, self.seed, &Config::default());
        let vectors = inputs.vectors.as_deref().unwrap_or("");
        self.answers.join(format!(
            "{}-{}-{}-{made_of}-{}{}{vectors}.jsonl",
            task.name, self.share, self.seed, inputs.train, inputs.valid
        ))
    }

    /// Whether a teacher's soft labels are there.
    pub fn has_answers(&self, tutor: Tutor) -> bool {
        self.soft(tutor).is_file()
    }

    /// Runs one method.
    ///
    /// # Errors
    /// With the last words of the process that failed.
    pub fn run(&self, method: Method, base: &Config) -> Result<Run> {
        match method {
            Method::Teacher(tutor) => self.teacher(tutor, base),
            Method::Control(control, _) => self.control(control, method, base),
            Method::Edge(..) | Method::Dense(..) => self.student(method, base),
        }
    }

    fn teacher(&self, tutor: Tutor, base: &Config) -> Result<Run> {
        let spec = Spec {
            labelled: self.path("labelled.jsonl"),
            unlabelled: (self.unlabelled > 0).then(|| self.path("unlabelled.jsonl")),
            valid: self.path("valid.jsonl"),
            classes: self.task.classes.clone(),
            seed: self.seed,
            vectors: tutor.vectors(self.task).to_vec(),
            cache: self.path("features"),
            soft: self.soft(tutor),
        };
        let path = self.path("lesson.json");
        write_whole(&path, &serde_json::to_vec(&spec)?)
            .with_context(|| path.display().to_string())?;
        let told = ask([OsStr::new("reproduce"), "--lesson".as_ref(), path.as_os_str()])?;
        self.record(Method::Teacher(tutor), base, None, &told, &told)
    }

    fn control(&self, control: Control, method: Method, base: &Config) -> Result<Run> {
        let (data, test) = (self.path("labelled.jsonl"), self.path("valid.jsonl"));
        let seed = self.seed.to_string();
        let mut args: Vec<&OsStr> = vec![
            "controls".as_ref(),
            "--json".as_ref(),
            "--only".as_ref(),
            control.name().as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
            "--test".as_ref(),
            test.as_os_str(),
            "--seed".as_ref(),
            seed.as_ref(),
        ];
        let mut rows = None;
        let settings = self.path("control.toml");
        if control.heart().is_some() {
            rows = Some(self.settings(method, base, &settings)?.student.rows);
            args.extend([OsStr::new("--config"), settings.as_os_str()]);
        }
        let told = ask(args)?;
        let figures = told["controls"].get(0).context("no control in the report")?;
        let mut run = self.record(method, base, rows, figures, figures)?;
        run.peak_memory_bytes = told["peak_memory_bytes"].as_u64();
        Ok(run)
    }

    fn student(&self, method: Method, base: &Config) -> Result<Run> {
        let (settings, model) = (self.path("student.toml"), self.path("student.qdm"));
        let config = self.settings(method, base, &settings)?;
        let trained = ask([
            OsStr::new("distill"),
            "--json".as_ref(),
            "--restart".as_ref(),
            "--config".as_ref(),
            settings.as_os_str(),
            "--out".as_ref(),
            model.as_os_str(),
        ])?;
        let valid = self.path("valid.jsonl");
        let mut args: Vec<&OsStr> = vec![
            "eval".as_ref(),
            model.as_os_str(),
            "--json".as_ref(),
            "--data".as_ref(),
            valid.as_os_str(),
        ];
        if !method.dense() {
            args.push("--no-control".as_ref());
        }
        for path in &config.sources.vectors {
            args.extend([OsStr::new("--vectors"), path.as_os_str()]);
        }
        let judged = ask(args)?;
        let figures = if method.dense() { &judged } else { &judged["student"] };
        let rows = (!method.dense()).then_some(config.student.rows);
        let mut run = self.record(method, base, rows, figures, &trained)?;
        run.microseconds_per_text = judged["microseconds_per_text"].as_f64();
        Ok(run)
    }

    /// Writes a student's settings, its vocabulary no larger than the texts allow.
    fn settings(&self, method: Method, base: &Config, path: &Path) -> Result<Config> {
        let mut config = method.config(&self.task.name, self.seed, base);
        config.sources.data = Some(self.path("labelled.jsonl"));
        if let Some(tutor) = method.taught() {
            config.sources.soft = Some(self.soft(tutor));
            config.sources.unlabelled =
                (self.unlabelled > 0).then(|| self.path("unlabelled.jsonl"));
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
        base: &Config,
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
            settings: method.settings(self.task, self.seed, base),
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

    /// What the teacher of this group is, for the report.
    pub fn teacher_is(task: &Task) -> String {
        teacher::describe(!task.vectors.is_empty())
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

/// Runs our own executable and reads the JSON object it prints.
fn ask<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Value> {
    let own = std::env::current_exe().context("the executable's own path is unknown")?;
    let output = Command::new(own).args(args).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        bail!("{} ({})", last.trim_start_matches("error: "), output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    text: &'a str,
}

fn write(path: &Path, rows: &[&Row], labels: bool) -> Result<()> {
    let mut lines = Vec::new();
    for (label, text) in rows {
        serde_json::to_writer(&mut lines, &Line { label: labels.then_some(label), text })?;
        lines.push(b'\n');
    }
    std::fs::write(path, lines).with_context(|| path.display().to_string())
}
