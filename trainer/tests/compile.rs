//! The binary's `compile`: every back end of a small model agrees as it states, and bad input is
//! refused.

use qdllm_runtime::compiled::tensor_train::Work;
use qdllm_runtime::format::{Kind, write};
use qdllm_runtime::{Model, Probabilities, Scratch, ScratchI16};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");
const TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/test.tsv");

fn qdllm(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qdllm")).current_dir(folder).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A small model, trained once.
fn model_bytes() -> &'static [u8] {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let size = ["--rows", "256", "--epochs", "6", "--least-steps", "1"];
        let args = [&["distill", "--data", TRAIN, "--out", "m.qdm", "--quiet"], &size[..]].concat();
        let output = qdllm(folder.path(), &args);
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read(folder.path().join("m.qdm")).unwrap()
    })
}

/// A new folder with the model `m.qdm`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.qdm"), model_bytes()).unwrap();
    // A quarter of the texts is enough to compile with, and four times as quick.
    let texts = std::fs::read_to_string(TRAIN).unwrap();
    let some: Vec<&str> = texts.lines().step_by(4).collect();
    std::fs::write(folder.path().join("calibration.tsv"), some.join("\n")).unwrap();
    folder
}

/// Compiles `m.qdm` to `c.qdm`: the report, and the file.
fn compiled(folder: &Path, backend: &str, more: &[&str]) -> (Value, Vec<u8>) {
    let data = "calibration.tsv";
    let args = ["compile", "m.qdm", "--backend", backend, "--data", data, "-o", "c.qdm", "--json"];
    let output = qdllm(folder, &[&args[..], more].concat());
    assert!(output.status.success(), "{backend} {more:?}: {}", stderr(&output));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (report, std::fs::read(folder.join("c.qdm")).unwrap())
}

/// Texts of the test part: how many a back end decides as the statevector, and how many there are.
fn alike(model: &Model<'_>, decide: &mut dyn FnMut(&str) -> (usize, f32)) -> (usize, usize) {
    let texts = std::fs::read_to_string(TEST).unwrap();
    let mut scratch = Box::new(Scratch::new());
    let (mut alike, mut all) = (0, 0);
    for text in texts.lines().filter_map(|line| line.split_once('\t')).map(|(_, text)| text) {
        let exact = model.classify(text, &mut scratch).unwrap().class();
        let (class, sum) = decide(text);
        assert!((sum - 1.0).abs() < 1e-3, "probabilities sum to {sum}: {text}");
        alike += usize::from(class == exact);
        all += 1;
    }
    (alike, all)
}

/// The share of an agreement of 0.999 on the test part, with four standard errors.
fn enough((alike, all): (usize, usize)) -> bool {
    let (share, error) = (alike as f64 / all as f64, (0.001 * 0.999 / all as f64).sqrt());
    println!("{alike} of {all} alike");
    share >= 0.999 - 4.0 * error
}

#[test]
fn a_polynomial_decides_as_it_states() {
    let folder = folder();
    let (report, bytes) = compiled(folder.path(), "polynomial", &[]);
    let model = Model::parse(&bytes).unwrap();
    let stated = *model.polynomial().unwrap().measured();
    assert!(stated.asked == 0.999 && stated.agreement >= 0.999 && stated.texts > 100, "{stated:?}");
    assert_eq!(report["multiply_adds"], stated.multiply_adds);
    assert_eq!(report["ram_bytes"], size_of::<Probabilities>());
    assert!(stated.multiply_adds < 2000, "{stated:?}");
    let mut memory = Probabilities::new();
    assert!(enough(alike(&model, &mut |text| {
        let p = model.classify_by_polynomial(text, &mut memory).unwrap();
        (p.class(), p.probabilities().iter().sum())
    })));
    let (loose, _) = compiled(folder.path(), "polynomial", &["--agreement", "0.8"]);
    assert!(loose["multiply_adds"].as_u64() < report["multiply_adds"].as_u64(), "{loose} {report}");
    // Agreement as another command sees it.
    let output = qdllm(folder.path(), &["agreement", "c.qdm", "--data", TEST, "--json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &rows.as_array().unwrap()[1];
    assert_eq!(row["backend"], "polynomial", "{rows}");
    assert!((0.5..0.999).contains(&row["agreement"].as_f64().unwrap()), "{rows}");
}

#[test]
fn a_tensor_train_decides_as_it_states_in_f32_and_in_integers() {
    let folder = folder();
    let mut cheapest = u64::MAX;
    for more in [&["--cores", "f32"][..], &["--cores", "i16"], &["--cores", "auto"], &["--exact"]] {
        let (report, bytes) = compiled(folder.path(), "tensor-train", more);
        let model = Model::parse(&bytes).unwrap();
        let stated = *model.tensor_train().unwrap().measured();
        assert_eq!(report["multiply_adds"], stated.multiply_adds);
        assert!(stated.agreement >= 0.999 && report["ram_bytes"] == 1024, "{more:?} {stated:?}");
        let (mut work, mut memory) = (Work::new(), Probabilities::new());
        let counts = alike(&model, &mut |text| {
            let p = model.classify_by_tensor_train(text, &mut work, &mut memory).unwrap();
            (p.class(), p.probabilities().iter().sum())
        });
        assert!(enough(counts), "{more:?} {counts:?}");
        if more == ["--exact"] {
            assert_eq!(counts.0, counts.1, "an exact train decides otherwise");
            assert!(cheapest < report["multiply_adds"].as_u64().unwrap());
            assert!(stated.largest_logit_error < 1e-4, "{stated:?}");
        } else {
            cheapest = cheapest.min(report["multiply_adds"].as_u64().unwrap());
        }
    }
}

#[test]
fn the_circuit_in_integers_is_measured_and_back_ends_live_beside_each_other() {
    let folder = folder();
    let (_, bytes) = compiled(folder.path(), "polynomial", &["--agreement", "0.9"]);
    std::fs::write(folder.path().join("m.qdm"), bytes).unwrap();
    let (report, bytes) = compiled(folder.path(), "statevector-i16", &["--agreement", "0.99"]);
    let model = Model::parse(&bytes).unwrap();
    let stated = model.measured_i16().unwrap();
    assert!(model.polynomial().is_some() && stated.agreement >= 0.99);
    assert_eq!(report["ram_bytes"], size_of::<ScratchI16>());
    let mut scratch = Box::new(ScratchI16::new());
    assert!(enough(alike(&model, &mut |text| {
        let p = model.classify_i16(text, &mut scratch).unwrap();
        (p.class(), p.probabilities().iter().sum())
    })));
    let shown = qdllm(folder.path(), &["inspect", "c.qdm"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("back end     statevector i16") && shown.contains("monomials"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_compiled_is_refused_and_nothing_is_written() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("none.tsv"), "").unwrap();
    std::fs::write(path("foreign.tsv"), "zebra\tblack and white\n").unwrap();
    let few: String =
        std::fs::read_to_string(TRAIN).unwrap().lines().take(19).collect::<Vec<_>>().join("\n");
    std::fs::write(path("few.tsv"), few).unwrap();
    // Only the circuit is damaged: the checksum fits.
    let model = Model::parse(model_bytes()).unwrap();
    let sections: Vec<(Kind, Vec<u8>)> = Kind::ALL
        .iter()
        .filter_map(|&kind| Some((kind, model.container().get(kind)?.to_vec())))
        .chain([(Kind::Polynomial, vec![1, 2, 3])])
        .collect();
    std::fs::write(path("damaged.qdm"), write(&sections)).unwrap();
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("m.qdm", "0", TRAIN, &["--agreement is 0"]),
        ("m.qdm", "1.5", TRAIN, &["--agreement is 1.5"]),
        ("m.qdm", "-0.1", TRAIN, &["--agreement is -0.1"]),
        ("m.qdm", "NaN", TRAIN, &["--agreement is NaN"]),
        ("m.qdm", "0.9", "none.tsv", &["none.tsv", "no rows"]),
        ("m.qdm", "0.9", "few.tsv", &["few.tsv", "19 texts"]),
        ("m.qdm", "0.9", "foreign.tsv", &["foreign.tsv:1", "zebra"]),
        ("m.qdm", "0.9", "absent.tsv", &["absent.tsv"]),
        ("damaged.qdm", "0.9", TRAIN, &["damaged.qdm", "compiled back end"]),
    ];
    for backend in ["polynomial", "tensor-train", "statevector-i16"] {
        for (model, agreement, data, needles) in cases {
            let agreement = format!("--agreement={agreement}");
            let output = qdllm(
                folder.path(),
                &[
                    "compile",
                    model,
                    "--backend",
                    backend,
                    "-o",
                    "out.qdm",
                    &agreement,
                    "--data",
                    data,
                ],
            );
            let message = stderr(&output);
            let code = if message.contains("--agreement is") { 2 } else { 1 };
            assert_eq!(output.status.code(), Some(code), "{backend} {agreement} {data}: {message}");
            assert!(needles.iter().all(|n| message.contains(n)), "{agreement} {data}: {message}");
            assert!(!message.contains("panicked") && !path("out.qdm").exists());
        }
    }
}

#[test]
fn what_is_out_of_reach_is_refused_with_the_best_found() {
    let folder = folder();
    std::fs::write(folder.path().join("out.qdm"), "as it was").unwrap();
    // Half of forty texts tell four monomials: too few for eight classes.
    let all = std::fs::read_to_string(TRAIN).unwrap();
    let some: Vec<&str> = all.lines().step_by(all.lines().count() / 40).take(40).collect();
    std::fs::write(folder.path().join("some.tsv"), some.join("\n")).unwrap();
    let args = ["compile", "m.qdm", "--backend", "polynomial", "-o", "out.qdm"];
    let output =
        qdllm(folder.path(), &[&args[..], &["--agreement", "1", "--data", "some.tsv"]].concat());
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for needle in [
        "some.tsv",
        "no polynomial of up to 4 monomials",
        "the best found, ",
        "with --agreement 0.",
    ] {
        assert!(message.contains(needle), "{needle}: {message}");
    }
    assert_eq!(std::fs::read(folder.path().join("out.qdm")).unwrap(), b"as it was");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    // The model, the texts of both files, and what stood at the output.
    assert_eq!(left.len(), 4, "something half-written stays: {left:?}");
}
