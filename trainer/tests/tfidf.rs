//! `teach --tfidf` and `distill --teacher tfidf`: a regression on words as the teacher, through the binary.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");
const TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/test.tsv");

fn qdllm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qdllm")).args(args).output().unwrap()
}

fn teach(out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    qdllm(&[&["teach", "--tfidf", "--json", "--out", out], more].concat())
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_few_labels_speak_for_all_texts_and_twice_alike() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one.jsonl", "two.jsonl"].map(|name| folder.path().join(name));
    let few = ["--data", TRAIN, "--labels-per-class", "10", "--test", TEST];
    let output = teach(&one, &few);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let accuracy = report["test"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.6, "80 labels of 8 classes gave {accuracy}");
    assert_eq!((report["labels"].as_u64(), report["texts"].as_u64()), (Some(80), Some(4800)));
    assert!(teach(&two, &few).status.success());
    let rows = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().skip(1).map(ToOwned::to_owned).collect()
    };
    assert_eq!(rows(&one).len(), 4800);
    assert_eq!(rows(&one), rows(&two));
}

#[test]
fn distilling_from_it_is_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.qdm");
    let path = model.to_str().unwrap();
    let small = ["--rows", "128", "--epochs", "2", "--least-steps", "1"];
    let asked = ["distill", "--teacher", "tfidf", "--data", TRAIN, "--labels-per-class", "20"];
    let output = qdllm(&[&asked[..], &small, &["--json", "--out", path]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let inspected = qdllm(&["inspect", path, "--json"]);
    let text = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert!(text.contains("tfidf"), "the model names its teacher: {text}");
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("soft.jsonl");
    let texts = folder.path().join("texts.txt");
    std::fs::write(&texts, "turn it on\nturn it off\n").unwrap();
    let told =
        refusal(&teach(&out, &["--classes", "a,b", "--unlabelled", texts.to_str().unwrap()]));
    assert!(told.contains("--data"), "{told}");
    let none = qdllm(&["teach", "--data", TRAIN, "--out", out.to_str().unwrap()]);
    assert!(refusal(&none).contains("--tfidf"), "{none:?}");
    assert!(!out.exists());
}
