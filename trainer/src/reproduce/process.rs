//! One run: a child process of our own executable, so that its peak memory is its own and its end ends nothing else.
//! The parent writes a lesson, files of texts and settings; the child makes a teacher's soft labels or a model of them
//! and prints its figures.

use super::journal::{Outcome, Run, VERSION};
use super::method::{Learner, Method, Supervision};
use super::options::ReproduceArgs;
use super::task::{ROUNDS, Row, Task, folder};
use crate::controls::{Control, ControlsArgs, measure};
use crate::data::corpus::Corpus;
use crate::data::labelled::{read_labelled, read_texts};
use crate::data::soft::SoftWriter;
use crate::data::{BadRows, RowOptions};
use crate::evaluation::{evaluate, evaluate_vectors};
use crate::metrics::Report;
use crate::options::{Config, OverDefaults};
use crate::resource_usage::{machine, microseconds_a_text, peak_memory_bytes};
use crate::student::run::distill;
use crate::student::vocabulary::Counter;
use crate::teacher::Teacher;
use crate::teacher::committee::{Committee, Member};
use crate::teacher::features::{Features, VectorFile};
use crate::teacher::probe::{Options, ProbeTeacher};
use anyhow::{Context, Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::terminal::Progress;
use qdllm_host::{dates, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
        sources.data = vec![self.path("labelled.jsonl")];
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
        let mut counter = Counter::new(corpus.classes.len(), rows, kinds);
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
    ensure!(
        cfg!(feature = "teacher"),
        "--model: this build runs no local models; build with `--features teacher`, or give --vectors"
    );
    let place = out.join("vectors");
    std::fs::create_dir_all(&place).of_file(&place)?;
    let fewest = args.shares.iter().min().copied().unwrap_or(100) as usize;
    let layer = args.layer.map(|layer| layer.to_string());
    let numbered = || args.model.iter().enumerate();
    for (name, (i, model)) in args.tasks.iter().flat_map(|name| numbered().map(move |m| (name, m)))
    {
        let base = folder(name);
        let number = if i == 0 { String::new() } else { format!(".{i}") };
        let path = place.join(format!("{base}{number}.safetensors"));
        if path.is_file() {
            continue;
        }
        progress.say(&format!("hidden states of {base} by {}", model.display()));
        let task = Task::read(data, base, None)?;
        let work = tempfile::tempdir_in(&place)?;
        let file = |name: &str| work.path().join(name);
        write_rows(&file("train.jsonl"), &task.train, true)?;
        write_rows(&file("valid.jsonl"), &task.valid, true)?;
        let labels = (fewest * task.train.len() / 100 / task.about.classes.len()).max(2);
        let mut command = own("teach")?;
        command.args(["--method", "probe", "--labels-per-class", &labels.to_string()]);
        command.arg("--model").arg(model).arg("--cache").arg(place.join("features"));
        command.arg("--data").arg(file("train.jsonl")).arg("--test").arg(file("valid.jsonl"));
        command.arg("--export-vectors").arg(file("vectors.safetensors"));
        command.arg("--out").arg(file("soft.jsonl")).stdout(Stdio::null());
        if let Some(layer) = &layer {
            command.args(["--layers", layer, "--export-layer", layer]);
        }
        let made = command.status()?.success();
        ensure!(made, "{}: gave no hidden states of {base}", model.display());
        std::fs::rename(file("vectors.safetensors"), &path).of_file(&path)?;
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

/// What a run reads and writes; models and features may be put into the folder.
#[derive(Default, Serialize, Deserialize)]
struct Lesson {
    method: String,
    /// Settings with their seed and files; a teacher writes the file of soft labels that it names.
    config: Config,
    valid: PathBuf,
    classes: Vec<String>,
    folder: PathBuf,
}

/// The child: runs the lesson of a file; returns its figures as JSON.
pub fn run_lesson(path: &Path) -> Result<String> {
    let lesson: Lesson = serde_json::from_slice(&files::read(path)?).of_file(path)?;
    lesson.config.check()?;
    let method = Method::named(&lesson.method).context("a lesson of no method")?;
    let mut outcome = match method.learner {
        Learner::Teacher => lesson.teacher()?,
        Learner::Control(control) => lesson.control(control)?,
        Learner::Edge(_) | Learner::Dense(_) => lesson.student()?,
    };
    outcome.rows = method.rows().map(|_| lesson.config.student.rows);
    outcome.peak_memory_bytes = peak_memory_bytes();
    Ok(serde_json::to_string(&outcome)?)
}

/// What each kind of lesson comes to, less what is the same for all: rows and peak memory.
impl Lesson {
    fn student(&self) -> Result<Outcome> {
        let (model, vectors) = (self.folder.join("student.qdm"), &self.config.sources.vectors);
        let keep = (true, Duration::from_secs(1));
        // What is compared here is what a teacher does, good or bad.
        let mut config = self.config.clone();
        config.training.keep_teacher = true;
        let trained = distill(&config, &model, keep, &mut Progress::new(true))?;
        let (report, microseconds) = if vectors.is_empty() {
            let judged = evaluate(&model, &[&self.valid], BadRows::Refuse, None, true)?;
            (judged.student, judged.microseconds_per_text)
        } else {
            let judged = evaluate_vectors(&model, &self.valid, vectors, &RowOptions::default())?;
            (judged.report, judged.microseconds_per_text)
        };
        Ok(Outcome {
            accuracy: report.accuracy,
            weighted: report.weighted_avg,
            parameters: Some(trained.parameters),
            bytes: Some(trained.bytes),
            train_seconds: trained.train_seconds,
            microseconds_per_text: Some(microseconds),
            ..Outcome::default()
        })
    }

    fn control(&self, control: Control) -> Result<Outcome> {
        let settings = self.folder.join("control.toml");
        files::write(&settings, self.config.to_toml())?;
        let summary = measure(&ControlsArgs {
            data: self.config.sources.data.first().cloned().unwrap_or_default(),
            test: self.valid.clone(),
            json: true,
            config: control.heart().map(|_| settings),
            seed: self.config.training.seed,
            only: Some(control),
            rows: OverDefaults::default(),
        })?;
        let found = summary.controls.first().context("no control in the report")?;
        let measured = &found.measured;
        Ok(Outcome {
            accuracy: found.accuracy,
            weighted: found.weighted_avg,
            parameters: Some(measured.parameters),
            bytes: Some(measured.bytes),
            train_seconds: measured.train_seconds,
            microseconds_per_text: Some(measured.microseconds_per_text),
            ..Outcome::default()
        })
    }

    /// From a few labelled texts, others without labels and, where there are any, vectors of all of them, to a file of
    /// soft labels.
    fn teacher(&self) -> Result<Outcome> {
        let sources = &self.config.sources;
        let soft = sources.soft.as_deref().context("a lesson without files")?;
        let (texts, labels) = read_labelled(&sources.data, BadRows::Refuse, &self.classes)?;
        let unlabelled = match &sources.unlabelled {
            Some(path) => read_texts(path, BadRows::Refuse, &mut 0)?,
            None => Vec::new(),
        };
        let (valid, truth) = read_labelled(&[&self.valid], BadRows::Refuse, &self.classes)?;
        let [texts, unlabelled, valid] = [&texts, &unlabelled, &valid]
            .map(|of| of.iter().map(String::as_str).collect::<Vec<_>>());

        let start = Instant::now();
        let (mut teacher, held_out) = self.fit((&texts, &labels), &unlabelled)?;
        let train_seconds = start.elapsed().as_secs_f64();
        let report = Report::of_logits(&self.classes, &truth, &ask(&mut teacher, &valid)?);
        // The language model in front of vectors has run long ago: its time is not known here.
        let microseconds_per_text = sources.vectors.is_empty().then(|| {
            microseconds_a_text(&valid, |text| ask(&mut teacher, &[*text]).map(|rows| rows.len()))
        });

        let partial = self.folder.join("soft.jsonl");
        let info = teacher.about().info(String::new());
        let header = (&self.classes[..], &info);
        let known = texts.iter().copied().zip(&held_out);
        SoftWriter::whole([&*partial, soft], header, known, &unlabelled, |texts| {
            ask(&mut teacher, texts)
        })?;
        let (parameters, bytes) = teacher.size().unzip();
        Ok(Outcome {
            accuracy: report.accuracy,
            weighted: report.weighted_avg,
            parameters,
            bytes,
            train_seconds,
            microseconds_per_text,
            ..Outcome::default()
        })
    }

    /// A regression on TF-IDF, averaged with probes where there are vectors; returns the teacher, and logits of the
    /// labelled texts by models that did not see their labels, as those of other texts do: a student that learns from
    /// both should not be told that the teacher is surer than it is.
    fn fit(
        &self,
        labelled: (&[&str], &[usize]),
        unlabelled: &[&str],
    ) -> Result<(Committee, Vec<Vec<f32>>)> {
        let (vectors, seed) = (&self.config.sources.vectors, self.config.training.seed);
        let mut probes = None;
        if !vectors.is_empty() {
            let all = [labelled.0, unlabelled].concat();
            let mut sources = Vec::new();
            for path in vectors {
                let cache = self.folder.join("features");
                let mut source = Features::open(Box::new(VectorFile::read(path)?), &cache)?;
                source.prepare(&all, &mut |_, _| {})?;
                sources.push(source);
            }
            let options = Options { rounds: 3, seed };
            let (teacher, findings) =
                ProbeTeacher::fit(sources, labelled, unlabelled, &self.classes, options)?;
            probes = Some(Member { teacher: Box::new(teacher), held_out: findings.labelled });
        }
        let options = Options { rounds: ROUNDS, seed };
        let (teacher, findings) =
            Committee::fit(probes, labelled, unlabelled, &self.classes, options)?;
        Ok((teacher, findings.labelled))
    }
}

fn ask(teacher: &mut Committee, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    teacher.prepare(texts, &mut |_, _| {})?;
    teacher.logits(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::argmax;

    #[test]
    fn unlabelled_texts_teach_words_that_no_label_has() {
        // `gale` stands beside words of the class `storm` only in texts without a label.
        let words = [["sun", "warm", "beach", "sand"], ["storm", "thunder", "lightning", "rain"]];
        let texts: Vec<(usize, String)> = (0..48)
            .map(|i| {
                let of = words[i % 2];
                (i % 2, format!("{} {} {}", of[i / 2 % 4], of[i / 8 % 4], of[i / 5 % 4]))
            })
            .collect();
        let (labels, texts): (Vec<usize>, Vec<&str>) =
            texts.iter().map(|(c, t)| (*c, t.as_str())).unzip();
        let unlabelled: Vec<String> = (0..60)
            .map(|i| match i % 2 {
                0 => format!("storm thunder lightning gale {i}"),
                _ => format!("sun warm beach breeze {i}"),
            })
            .collect();
        let unlabelled: Vec<&str> = unlabelled.iter().map(String::as_str).collect();
        let classes = vec!["calm".to_owned(), "storm".to_owned()];
        let lesson = Lesson { classes, ..Lesson::default() };
        let (mut teacher, held_out) = lesson.fit((&texts, &labels), &unlabelled).unwrap();
        assert_eq!(held_out.len(), texts.len());
        let asked = ask(&mut teacher, &["gale", "breeze", "beach"]).unwrap();
        assert_eq!(asked.iter().map(|row| argmax(row)).collect::<Vec<_>>(), [1, 0, 0]);
        for row in &asked {
            let sum: f32 = row.iter().map(|v| v.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-4, "log-probabilities: {row:?}");
        }
    }

    #[test]
    fn a_labelled_text_is_not_told_its_own_label() {
        // Labels that the texts say nothing of: a teacher that had seen them would know them all.
        let texts: Vec<String> = (0..80).map(|i| format!("w{} v{}", i * 37 % 80, i % 7)).collect();
        let labels: Vec<usize> = (0..80).map(|i| (i * i / 3) % 2).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let mut lesson = Lesson { classes, ..Lesson::default() };
        lesson.config.training.seed = 1;
        let (_, held_out) = lesson.fit((&texts, &labels), &[]).unwrap();
        let right = labels.iter().zip(&held_out).filter(|(label, row)| argmax(row) == **label);
        assert!(right.count() < 60);
    }
}
