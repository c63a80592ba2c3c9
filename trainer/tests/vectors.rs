//! `distill --vectors`, `eval --vectors`, `classify --vectors`: a model that takes vectors, from files to answers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use qdllm_trainer::data::tensors::Table;
use qdllm_trainer::data::text_digest;

const WIDTH: usize = 24;

/// A folder with labelled texts and vectors of three classes: a class moves two inputs, the others are noise, and the
/// inputs have scales from 0.01 to 100 as hidden states do.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let mut state = 7_u64;
        let mut noise = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        for (name, n) in [("train", 600), ("valid", 300)] {
            let (mut rows, mut values, mut digests) = (String::new(), Vec::new(), Vec::new());
            for i in 0..n {
                let (class, text) = (i % 3, format!("{name} text {i}"));
                let _ = writeln!(rows, "{}\t{text}", ["a", "b", "c"][class]);
                for j in 0..WIDTH {
                    let sign = if j % 3 == class && j < 6 { 1.0 } else { 0.0 };
                    let scale = 10_f32.powi(j as i32 % 5 - 2);
                    values.push((noise() + sign + 3.0) * scale);
                }
                digests.push(text_digest(&text));
            }
            std::fs::write(bench.path(&format!("{name}.tsv")), rows).unwrap();
            let table = Table { width: WIDTH, values, digests: Some(digests), metadata: [].into() };
            table.write(&bench.path(&format!("{name}.safetensors")), "vectors").unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_qdllm"))
            .current_dir(self.0.path())
            .args(args.split_whitespace())
            .output()
            .unwrap()
    }

    fn good(&self, args: &str) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn bad(&self, args: &str) -> String {
        let output = self.run(args);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args}: {message}");
        assert!(message.starts_with("error: "), "{message}");
        message
    }

    fn accuracy(&self, model: &str) -> f64 {
        let args = format!("eval {model} --data valid.tsv --vectors valid.safetensors --json");
        let report: serde_json::Value = serde_json::from_str(&self.good(&args)).unwrap();
        report["accuracy"].as_f64().unwrap()
    }
}

const DISTILL: &str = "distill --data train.tsv --vectors train.safetensors --quiet --epochs 12 \
    --least-steps 1 --dense-rate 0.01 --dense-decay 1 --input-dropout 0.1";

#[test]
fn both_presets_learn_and_answer_through_the_runtime() {
    let bench = Bench::new();
    bench.good(&format!("{DISTILL} --out product.qdm"));
    bench.good(&format!("{DISTILL} --preset paper --paper-rate 0.01 --out paper.qdm"));
    let (product, paper) = (bench.accuracy("product.qdm"), bench.accuracy("paper.qdm"));
    assert!(product > 0.7, "{product}");
    // Inputs of very different scales are what the paper's path is not made for; it learns all the same.
    assert!(paper > 0.4, "{paper}");
    let shown = bench.good("inspect paper.qdm");
    assert!(shown.contains("dense") && shown.contains("24"), "{shown}");

    let rows = bench.good("classify product.qdm --vectors valid.safetensors");
    assert_eq!(rows.lines().count(), 300);
    let right = rows
        .lines()
        .enumerate()
        .filter(|(i, row)| row.split('\t').nth(1) == Some(["a", "b", "c"][i % 3]));
    assert!((right.count() as f64 / 300.0 - product).abs() < 1e-9, "eval and classify agree");
}

#[test]
fn one_seed_gives_the_same_bytes_also_from_lines() {
    let bench = Bench::new();
    bench.good(&format!("{DISTILL} --out a.qdm"));
    let table = Table::read(&bench.path("train.safetensors"), "vectors").unwrap();
    let mut lines = String::new();
    let texts = std::fs::read_to_string(bench.path("train.tsv")).unwrap();
    for (i, row) in texts.lines().enumerate() {
        let text = row.split_once('\t').unwrap().1;
        let line = serde_json::json!({"text": text, "vector": table.row(i)});
        let _ = writeln!(lines, "{line}");
    }
    std::fs::write(bench.path("train.jsonl"), lines).unwrap();
    bench.good(&format!("{} --out b.qdm", DISTILL.replace("train.safetensors", "train.jsonl")));
    bench.good(&format!("{DISTILL} --seed 1 --out c.qdm"));
    let bytes = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert_eq!(bytes("a.qdm"), bytes("b.qdm"));
    assert_ne!(bytes("a.qdm"), bytes("c.qdm"));
    assert!(!bench.path("a.qdm.ckpt").exists() && bench.path("a.qdm.toml").exists());
}

#[test]
fn vectors_that_do_not_fit_are_refused_by_name() {
    let bench = Bench::new();
    std::fs::write(bench.path("more.tsv"), "a\tunheard of\nb\ttrain text 1\n").unwrap();
    let args = "distill --data more.tsv --vectors train.safetensors --quiet --out x.qdm";
    assert!(bench.bad(args).contains("`unheard of`"));
    bench.good(&format!("{DISTILL} --out product.qdm"));
    let narrow = Table { width: 2, values: vec![1.0; 4], digests: None, metadata: [].into() };
    narrow.write(&bench.path("narrow.safetensors"), "vectors").unwrap();
    let message = bench.bad("classify product.qdm --vectors narrow.safetensors");
    assert!(message.contains("24 numbers") && message.contains("has 2"), "{message}");
    let message = bench.bad("eval product.qdm --data more.tsv --vectors narrow.safetensors");
    assert!(message.contains("24 numbers"), "{message}");
    let words = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/words_v1.qdm");
    let message = bench.bad(&format!("classify {words} --vectors train.safetensors"));
    assert!(message.contains("takes a text"), "{message}");
    assert!(!bench.path("x.qdm").exists());
}
