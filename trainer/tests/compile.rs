//! The binary's `compile`: a small model's polynomial agrees as it states, and bad input is refused.

use qdllm_runtime::{Model, Probabilities, Scratch};
use std::path::Path;
use std::process::{Command, Output};

const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");
const TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/test.tsv");

fn qdllm(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qdllm")).current_dir(folder).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Trains a small model `m.qdm` in a new folder.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = qdllm(
        folder.path(),
        &[
            "distill",
            "--data",
            TRAIN,
            "--rows",
            "256",
            "--epochs",
            "6",
            "--least-steps",
            "1",
            "--out",
            "m.qdm",
            "--quiet",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

#[test]
fn a_polynomial_decides_as_it_states() {
    let folder = trained();
    let compile = |agreement: &str, out: &str| {
        let args = ["compile", "m.qdm", "--backend", "polynomial", "--json"];
        let output = qdllm(
            folder.path(),
            &[&args[..], &["--agreement", agreement, "--data", TRAIN, "--out", out]].concat(),
        );
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let (loose, tight) = (compile("0.9", "loose.qdm"), compile("0.99", "tight.qdm"));
    let count = |report: &serde_json::Value| report["monomials"].as_u64().unwrap();
    assert!(count(&loose) < count(&tight), "{loose} {tight}");
    assert!(tight["agreement"].as_f64().unwrap() >= 0.99);

    let bytes = std::fs::read(folder.path().join("tight.qdm")).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let stated = *model.polynomial().unwrap().measured();
    assert!(stated.asked == 0.99 && stated.agreement >= 0.99 && stated.texts > 100);
    // Texts that the compiler never saw; the margin is four standard errors.
    let texts = std::fs::read_to_string(TEST).unwrap();
    let (mut scratch, mut memory) = (Box::new(Scratch::new()), Probabilities::new());
    let (mut alike, mut all) = (0, 0);
    for text in texts.lines().filter_map(|line| line.split_once('\t')).map(|(_, text)| text) {
        let exact = model.classify(text, &mut scratch).unwrap().class();
        let p = model.classify_by_polynomial(text, &mut memory).unwrap();
        assert!((p.probabilities().iter().sum::<f32>() - 1.0).abs() < 1e-5);
        alike += usize::from(p.class() == exact);
        all += 1;
    }
    let (share, error) = (alike as f64 / all as f64, (0.01 * 0.99 / all as f64).sqrt());
    println!("{alike} of {all} alike with {} monomials", count(&tight));
    assert!(share >= 0.99 - 4.0 * error, "{share}");

    // A damaged back end is refused even where the checksum fits.
    let whole = Model::parse(&bytes).unwrap();
    let section = whole.container().get(qdllm_runtime::format::Kind::Polynomial).unwrap();
    let parse = |s: &[u8], classes, qubits| {
        qdllm_runtime::polynomial::Polynomial::parse(s, classes, qubits).map(|_| ())
    };
    assert!(parse(section, model.classes(), 11).is_ok());
    for cut in 0..section.len().min(64) {
        assert!(parse(&section[..cut], model.classes(), 11).is_err());
    }
    assert!(parse(section, model.classes() + 1, 11).is_err());
    assert!(parse(section, model.classes(), 3).is_err(), "names qubits the circuit does not have");
}

#[test]
fn what_cannot_be_compiled_is_refused_and_nothing_is_written() {
    let folder = trained();
    std::fs::write(folder.path().join("none.tsv"), "").unwrap();
    std::fs::write(folder.path().join("foreign.tsv"), "zebra\tblack and white\n").unwrap();
    let cases: &[(&str, &str, &[&str])] = &[
        ("0", TRAIN, &["--agreement is 0"]),
        ("1.5", TRAIN, &["--agreement is 1.5"]),
        ("NaN", TRAIN, &["--agreement is NaN"]),
        ("0.9", "none.tsv", &["none.tsv"]),
        ("0.9", "foreign.tsv", &["foreign.tsv:1", "zebra"]),
        ("0.9", "absent.tsv", &["absent.tsv"]),
    ];
    for (agreement, data, needles) in cases {
        let args = ["compile", "m.qdm", "--backend", "polynomial", "--out", "out.qdm"];
        let output = qdllm(
            folder.path(),
            &[&args[..], &["--agreement", agreement, "--data", data]].concat(),
        );
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{agreement} {data}: {message}");
        assert!(needles.iter().all(|n| message.contains(n)), "{agreement} {data}: {message}");
        assert!(!message.contains("panicked") && !folder.path().join("out.qdm").exists());
    }
}
