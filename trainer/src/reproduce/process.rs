//! One run: a child process of our own executable, so that its peak memory is its own and its end ends nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::{dates, files};
use serde_json::Value;

use super::journal::{Run, VERSION};
use super::method::{Method, TeacherKind};
use super::options::{Plan, ReproduceArgs};
use super::task::{Row, Task, folder};
use super::teacher::Lesson;
use crate::controls::Control;
use crate::data::corpus::Corpus;
use crate::options::Config;
use crate::student::vocabulary::Counter;
use qdllm_host::terminal::Progress;

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
    pub fn new(
        task: &'a Task,
        share: u32,
        seed: u64,
        base: &'a Config,
        out: &Path,
    ) -> Result<Self> {
        let (labelled, unlabelled) = task.share(share, seed);
        let work = out.join("work");
        let prefix = format!("{}-{share}-{seed}-", task.name);
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&work).of_file(&work)?;
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
    pub fn soft(&self, teacher: TeacherKind) -> PathBuf {
        let (task, inputs) = (self.task, &self.task.inputs);
        let made_of = Method::Teacher(teacher).settings(task, self.seed, &Config::default());
        let vectors = inputs.vectors.as_deref().unwrap_or("");
        self.answers.join(format!(
            "{}-{}-{}-{made_of}-{}{}{vectors}.jsonl",
            task.name, self.share, self.seed, inputs.train, inputs.valid
        ))
    }

    /// Runs one method; an error has the last words of the process that failed.
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
        files::write_whole(&path, serde_json::to_vec(&lesson)?).of_file(&path)?;
        let told = ask(own(&["reproduce"], &[("--lesson", &path)])?)?;
        self.record(Method::Teacher(teacher), None, &told, &told)
    }

    fn control(&self, control: Control, method: Method) -> Result<Run> {
        let seed = self.seed.to_string();
        let (data, test) = (self.path("labelled.jsonl"), self.path("valid.jsonl"));
        let mut command = own(
            &["controls", "--json", "--only", control.name(), "--seed", &seed],
            &[("--data", &data), ("--test", &test)],
        )?;
        let mut rows = None;
        if control.heart().is_some() {
            let settings = self.path("control.toml");
            rows = Some(self.settings(method, &settings)?.student.rows);
            command.arg("--config").arg(settings);
        }
        let told = ask(command)?;
        let figures = told["controls"].get(0).context("no control in the report")?;
        let mut run = self.record(method, rows, figures, figures)?;
        run.peak_memory_bytes = told["peak_memory_bytes"].as_u64();
        Ok(run)
    }

    fn student(&self, method: Method) -> Result<Run> {
        let (settings, model) = (self.path("student.toml"), self.path("student.qdm"));
        let config = self.settings(method, &settings)?;
        let files = [("--config", settings.as_path()), ("--out", &model)];
        let trained = ask(own(&["distill", "--json", "--restart"], &files)?)?;
        let mut eval = own(&["eval", "--json"], &[("--data", &self.path("valid.jsonl"))])?;
        eval.arg(&model).args((!method.dense()).then_some("--no-control"));
        for path in &config.sources.vectors {
            eval.arg("--vectors").arg(path);
        }
        let judged = ask(eval)?;
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
        files::write_whole(path, config.to_toml()).of_file(path)?;
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
            version: VERSION.to_owned(),
            commit: COMMIT.map(str::to_owned),
            machine: machine(),
            finished: dates::now_s(),
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

/// Makes `OUT/vectors/TASK.safetensors` (and `TASK.1.safetensors` for a second model) by `qdllm teach` unless they are
/// there; `None` without a model.
pub fn hidden_states(
    args: &ReproduceArgs,
    plan: &Plan,
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
    let fewest = plan.shares.iter().min().copied().unwrap_or(100) as usize;
    for base in plan.tasks.iter().map(|name| folder(name)) {
        for (i, model) in args.model.iter().enumerate() {
            let number = if i == 0 { String::new() } else { format!(".{i}") };
            let path = place.join(format!("{base}{number}.safetensors"));
            if !path.is_file() {
                progress.say(&format!("hidden states of {base} by {}", model.display()));
                let task = Task::read(data, base, None)?;
                let labels = (fewest * task.train.len() / 100 / task.classes.len()).max(2);
                states_of(&task, model, labels, args.layer, &path)?;
            }
        }
    }
    Ok(Some(place))
}

fn states_of(
    task: &Task,
    model: &Path,
    labels: usize,
    layer: Option<usize>,
    path: &Path,
) -> Result<()> {
    let place = path.parent().unwrap_or(Path::new("."));
    let work = tempfile::tempdir_in(place)?;
    let [train, valid, partial, soft] =
        ["train.jsonl", "valid.jsonl", "vectors.safetensors", "soft.jsonl"]
            .map(|name| work.path().join(name));
    write_rows(&train, &task.train, true)?;
    write_rows(&valid, &task.valid, true)?;
    let mut command = own(
        &["teach", "--method", "probe", "--labels-per-class", &labels.to_string()],
        &[
            ("--model", model),
            ("--data", &train),
            ("--test", &valid),
            ("--export-vectors", &partial),
            ("--cache", &place.join("features")),
            ("--out", &soft),
        ],
    )?;
    if let Some(layer) = layer.map(|layer| layer.to_string()) {
        command.args(["--layers", &layer, "--export-layer", &layer]);
    }
    let status = command.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{}: gave no hidden states of {}", model.display(), task.name);
    std::fs::rename(&partial, path).of_file(path)
}

/// A command of our own executable with options that name files, reading nothing.
fn own(args: &[&str], files: &[(&str, &Path)]) -> Result<Command> {
    let own = std::env::current_exe().context("the executable's own path is unknown")?;
    let mut command = Command::new(own);
    command.args(args).stdin(Stdio::null());
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    Ok(command)
}

/// Runs a command and reads the JSON object it prints.
fn ask(mut command: Command) -> Result<Value> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        bail!("{} ({})", last.trim_start_matches("error: "), output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
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

/// Processor, cores and memory in a line; what the system does not tell is left out.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kibibytes = memory.and_then(|m| m.strip_suffix("kB")?.trim().parse::<f64>().ok());
    let mut parts = vec![processor.unwrap_or_else(|| std::env::consts::ARCH.into())];
    parts.push(format!("{cores} cores"));
    parts.extend(kibibytes.map(|k| format!("{:.1} GiB", k / 1024.0 / 1024.0)));
    parts.push(std::env::consts::OS.to_owned());
    parts.join(", ")
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        assert_eq!(field("a\t: 1\nmodel name\t: Some CPU\n", "model name").unwrap(), "Some CPU");
        assert_eq!(field("", "model name"), None);
        assert!(machine().contains("cores"));
    }
}
