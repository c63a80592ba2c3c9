//! Files in batches: the answers of the runtime text by text, whatever the number of threads.

use qdllm_runtime::{MAX_CLASSES, Model, Scratch};
use qdllm_trainer::batch_inference::BatchClassifier;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");

fn qdllm(threads: &str, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qdllm"));
    let output = command.args(args).env("RAYON_NUM_THREADS", threads).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A small model of the shipped commands.
fn model(folder: &Path, threads: &str) -> Vec<u8> {
    let out = folder.join(format!("model-{threads}.qdm"));
    let out = out.to_str().unwrap();
    let sizes = ["--rows", "96", "--epochs", "2", "--least-steps", "1", "--labels-per-class", "30"];
    let mut args = vec!["distill", "--data", TRAIN, "--out", out];
    args.extend(sizes);
    qdllm(threads, &args);
    std::fs::read(out).unwrap()
}

#[test]
fn batches_answer_as_the_runtime_does_text_by_text() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = model(folder.path(), "1");
    let model = Model::parse(&bytes).unwrap();
    let rows = std::fs::read_to_string(TRAIN).unwrap();
    let mut texts: Vec<&str> =
        rows.lines().filter_map(|l| Some(l.split_once('\t')?.1)).step_by(3).collect();
    texts.push("");
    let (many, mut scratch) = (BatchClassifier::new(&model), Box::new(Scratch::new()));
    let mut largest = 0.0_f32;
    for (text, answer) in texts.iter().zip(many.classify(&texts).unwrap()) {
        let alone = model.classify(text, &mut scratch).unwrap();
        let mut memory = [0.0; MAX_CLASSES];
        let together = many.prediction(&answer, &mut memory);
        assert_eq!((together.class(), together.found()), (alone.class(), alone.found()), "{text}");
        assert_eq!(together.probabilities(), answer.probabilities);
        for (a, b) in together.probabilities().iter().zip(alone.probabilities()) {
            largest = largest.max((a - b).abs());
        }
    }
    println!("{} texts, largest difference of a probability {largest:.1e}", texts.len());
    assert!(largest < 2e-6, "{largest:e}");
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (model(folder.path(), "1"), model(folder.path(), "2"));
    assert_eq!(one, two, "distill");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (model, texts) = (path("model-1.qdm"), path("texts.txt"));
    let mut lines = String::new();
    for row in std::fs::read_to_string(TRAIN).unwrap().lines().take(1000) {
        let _ = writeln!(lines, "{}", row.split_once('\t').unwrap().1);
    }
    std::fs::write(&texts, &lines).unwrap();
    let classify = ["classify", &model, "--input", &texts, "--json"];
    let answers = qdllm("1", &classify);
    assert_eq!(answers.iter().filter(|&&b| b == b'\n').count(), 1000);
    assert_eq!(answers, qdllm("2", &classify), "classify");
    let eval = ["eval", &model, "--data", TRAIN, "--no-control", "--json"];
    // Time and memory are of one run and belong to no result.
    let report = |threads: &str| -> serde_json::Value {
        let mut report: serde_json::Value = serde_json::from_slice(&qdllm(threads, &eval)).unwrap();
        for figure in ["microseconds_per_text", "peak_memory_bytes"] {
            assert!(report.as_object_mut().unwrap().remove(figure).is_some(), "{figure}");
        }
        report
    };
    assert_eq!(report("1"), report("2"), "eval");
}

#[test]
fn a_bad_line_ends_a_file_after_the_answers_before_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.txt"), b"turn on the light\nset a timer\n\xff\xfe\n")
        .unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/words_v1.qdm");
    let output = Command::new(env!("CARGO_BIN_EXE_qdllm"))
        .current_dir(folder.path())
        .args(["classify", model, "--input", "bad.txt"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.iter().filter(|&&b| b == b'\n').count(), 2);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("bad.txt:3: not UTF-8"), "{message}");
}
