//! A folder with texts, `qdllm teach` run on it, and the scorer behind the test server: a small student distilled once
//! from the shipped commands.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use qdllm_runtime::{Model, Scratch};
use qdllm_trainer::data::soft::SoftLabels;

/// Texts in a folder of their own.
pub struct Bench {
    folder: tempfile::TempDir,
    pub texts: Vec<String>,
}

impl Bench {
    pub fn new(n: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let texts = Student::texts(n);
        std::fs::write(folder.path().join("texts.txt"), texts.join("\n") + "\n").unwrap();
        Self { folder, texts }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `qdllm teach` with the student's classes on the texts, quick to try again.
    pub fn command(&self, urls: &str, extra: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qdllm"));
        command
            .current_dir(self.folder.path())
            .env_remove("QDLLM_API_KEY")
            .args(["teach", "--endpoint", urls, "--endpoint-model", "student", "--json"])
            .args(["--unlabelled", "texts.txt", "--out", "soft.jsonl", "--backoff", "5"])
            .args(extra);
        if !extra.contains(&"--classes") {
            command.args(["--classes", &Student::get().classes().join(",")]);
        }
        command
    }

    pub fn run(&self, urls: &str, extra: &[&str]) -> Output {
        self.command(urls, extra).output().unwrap()
    }

    pub fn spawn(&self, urls: &str, extra: &[&str]) -> Child {
        self.command(urls, extra).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs and expects success.
    pub fn good(&self, urls: &str, extra: &[&str]) -> Output {
        let output = self.run(urls, extra);
        assert!(output.status.success(), "{extra:?}: {}", said(&output));
        output
    }

    /// Runs, expects failure and gives the message.
    pub fn bad(&self, urls: &str, extra: &[&str]) -> String {
        let output = self.run(urls, extra);
        let message = said(&output);
        assert_eq!(output.status.code(), Some(1), "{extra:?}: {message}");
        assert!(message.contains("error: ") && !message.contains("panicked"), "{message}");
        message
    }

    /// The rows of the result: each text once, in any order.
    pub fn labels(&self) -> SoftLabels {
        let soft = SoftLabels::read(&self.path("soft.jsonl")).unwrap();
        let rows = std::fs::read_to_string(self.path("soft.jsonl")).unwrap().lines().count() - 1;
        assert_eq!((rows, soft.texts()), (self.texts.len(), self.texts.len()), "each text once");
        soft
    }

    /// The largest difference between a soft label's and the student's log-probabilities, less their means.
    pub fn largest_gap(&self) -> f32 {
        let (soft, student) = (self.labels(), Student::get());
        let mut largest = 0.0_f32;
        for text in &self.texts {
            let mine = soft.get(text).unwrap();
            let theirs: Vec<f32> = student.probabilities(text).iter().map(|p| p.ln()).collect();
            let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
            let (a, b) = (mean(mine), mean(&theirs));
            for (x, y) in mine.iter().zip(&theirs) {
                largest = largest.max((x - a - y + b).abs());
            }
        }
        largest
    }
}

/// What a run wrote to standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");

/// A model file's bytes.
pub struct Student(Vec<u8>);

impl Student {
    /// The student; trained at the first call.
    pub fn get() -> &'static Self {
        static STUDENT: OnceLock<Student> = OnceLock::new();
        STUDENT.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let out: PathBuf = folder.path().join("student.qdm");
            let output = Command::new(env!("CARGO_BIN_EXE_qdllm"))
                .args(["distill", "--data", TRAIN, "--rows", "256", "--epochs", "3", "--quiet"])
                .args(["--least-steps", "200", "--labels-per-class", "100", "--out"])
                .arg(&out)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Self(std::fs::read(out).unwrap())
        })
    }

    /// Class names.
    pub fn classes(&self) -> Vec<String> {
        let model = Model::parse(&self.0).unwrap();
        (0..model.classes()).map(|c| model.label(c).to_owned()).collect()
    }

    /// Probabilities of a text's classes.
    pub fn probabilities(&self, text: &str) -> Vec<f32> {
        let model = Model::parse(&self.0).unwrap();
        let mut scratch = Box::new(Scratch::new());
        model.classify(text, &mut scratch).unwrap().probabilities().to_vec()
    }

    /// The first `n` different texts of the shipped set.
    pub fn texts(n: usize) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let rows = std::fs::read_to_string(TRAIN).unwrap();
        let texts = rows.lines().map(|l| l.split_once('\t').unwrap().1.to_owned());
        let texts: Vec<String> = texts.filter(|t| seen.insert(t.clone())).take(n).collect();
        assert_eq!(texts.len(), n);
        texts
    }
}
