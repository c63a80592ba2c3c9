//! The `controls` command end to end, on files.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use qdllm_trainer::controls::{Control, ControlsArgs, Outcome, Summary, measure};
use qdllm_trainer::data::BadRows;
use qdllm_trainer::options::OverDefaults;
use tempfile::TempDir;

const ROOMS: [&str; 6] = ["kitchen", "hall", "garden", "porch", "attic", "cellar"];
const ORDERS: [(&str, &str); 3] = [
    ("on", "switch on the {} light"),
    ("off", "make it dark in the {}"),
    ("timer", "wake me in the {} in ten minutes"),
];

/// Three classes that their words tell apart, sorted by label, as files often are.
fn rows(rooms: &[&str]) -> String {
    let mut text = String::new();
    for (label, order) in ORDERS {
        for room in rooms {
            writeln!(text, "{label}\t{}", order.replace("{}", room)).unwrap();
        }
    }
    text
}

fn arguments(dir: &TempDir, train: &str, test: &str) -> ControlsArgs {
    let write = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    ControlsArgs {
        data: write("train.tsv", train),
        test: write("test.tsv", test),
        json: false,
        seed: 1,
        only: None,
        config: None,
        rows: OverDefaults::default(),
    }
}

fn refused(train: &str, test: &str) -> String {
    let dir = TempDir::new().unwrap();
    measure(&arguments(&dir, train, test)).unwrap_err().to_string()
}

#[test]
fn both_controls_learn_and_are_reported() {
    let dir = TempDir::new().unwrap();
    let arguments = arguments(&dir, &rows(&ROOMS[..4]), &rows(&ROOMS[4..]));
    let summary = measure(&arguments).unwrap();
    assert_eq!(summary.classes, ["off", "on", "timer"]);
    assert_eq!((summary.train_texts, summary.test_texts), (12, 6));
    let names: Vec<Control> = summary.controls.iter().map(|o| o.control).collect();
    assert_eq!(names, [Control::Tfidf, Control::Fasttext]);
    for outcome in &summary.controls {
        assert!((outcome.accuracy - 1.0).abs() < 1e-12, "{outcome:?}");
        assert!((outcome.macro_f1 - 1.0).abs() < 1e-12, "{outcome:?}");
        assert!(outcome.measured.bytes > 1000, "{outcome:?}");
    }
    let again = measure(&arguments).unwrap();
    let figures = |summary: &Summary| -> Vec<(f64, usize)> {
        let pair = |o: &Outcome| (o.accuracy, o.measured.bytes);
        summary.controls.iter().map(pair).collect()
    };
    assert_eq!(figures(&summary), figures(&again));
}

#[test]
fn one_control_and_skipped_rows_are_a_choice() {
    let dir = TempDir::new().unwrap();
    let train = rows(&ROOMS[..4]) + "no tab here\n";
    let mut arguments = arguments(&dir, &train, &rows(&ROOMS[4..]));
    let error = measure(&arguments).unwrap_err().to_string();
    assert!(error.contains("train.tsv:13: no tab"), "{error}");
    arguments.rows.0.bad_rows = BadRows::Skip;
    arguments.only = Some(Control::Fasttext);
    let summary = measure(&arguments).unwrap();
    assert_eq!(summary.skipped_rows, 1);
    assert_eq!(summary.controls.len(), 1);
    assert_eq!(summary.controls[0].control, Control::Fasttext);
    assert_eq!(serde_json::to_value(&summary).unwrap()["controls"][0]["control"], "fasttext");
}

#[test]
fn data_that_cannot_be_judged_is_refused() {
    let train = rows(&ROOMS[..4]);
    let error = refused(&train, "on\tlight\nof\tdark\n");
    assert!(error.contains("test.tsv:2: label `of`"), "{error}");
    let error = refused("on\ta\non\tb\n", "on\ta\n");
    assert!(error.contains("every label is `on`"), "{error}");
    let error = refused(&train, "");
    assert!(error.contains("test.tsv: no rows"), "{error}");
}

#[test]
fn a_students_own_controls_have_its_rows_and_no_circuit() {
    let dir = TempDir::new().unwrap();
    let many: Vec<String> = (0..40).map(|i| format!("room{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let settings = dir.path().join("m.toml");
    fs::write(&settings, "[student]\nrows = 12\n[training]\nleast_steps = 60\n").unwrap();
    let mut arguments = arguments(&dir, &rows(&many), &rows(&ROOMS));
    arguments.config = Some(settings);
    let summary = measure(&arguments).unwrap();
    let names: Vec<Control> = summary.controls.iter().map(|o| o.control).collect();
    use Control::{Cosine, Fasttext, Linear, Tanh, Tfidf};
    assert_eq!(names, [Tfidf, Fasttext, Linear, Cosine, Tanh]);
    for outcome in &summary.controls[2..] {
        assert!(outcome.accuracy > 0.9, "{outcome:?}");
        // 12 rows and a bias of 11 numbers, a head of 3 classes.
        assert_eq!(outcome.measured.parameters, 13 * 11 + 3 * 12, "{outcome:?}");
        assert!((100..1500).contains(&outcome.measured.bytes), "{outcome:?}");
    }
    arguments.only = Some(Control::Tanh);
    assert_eq!(measure(&arguments).unwrap().controls.len(), 1);
}

mod tfidf {
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
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
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
}
