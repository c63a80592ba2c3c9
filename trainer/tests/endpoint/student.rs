//! The scorer behind the test server: a small student distilled once from the shipped commands.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use qdllm_runtime::{Model, Scratch};

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
