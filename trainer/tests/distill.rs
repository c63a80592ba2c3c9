//! The binary's `distill`: same bytes from the same seed, also after being ended at any moment, and
//! refusals that name file, line and remedy and overwrite nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");

fn qdllm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qdllm"));
    command.args(args);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Distils the shipped set; small enough for an unoptimised build.
fn distill(out: &Path, seed: &str) -> Command {
    distill_for(out, seed, "4")
}

fn distill_for(out: &Path, seed: &str, epochs: &str) -> Command {
    let mut command = qdllm(&[
        "distill",
        "--data",
        TRAIN,
        "--rows",
        "128",
        "--epochs",
        epochs,
        "--labels-per-class",
        "60",
    ]);
    command.args(["--least-steps", "1", "--seed", seed, "--checkpoint-seconds", "0", "--out"]);
    command.arg(out);
    command
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, seed) in [("a.qdm", "7"), ("b.qdm", "7"), ("c.qdm", "8")] {
        let output = distill(&path(name), seed).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    assert_eq!(bytes("a.qdm"), bytes("b.qdm"));
    assert_ne!(bytes("a.qdm"), bytes("c.qdm"));
    let metrics = std::fs::read_to_string(path("a.qdm.metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 4, "one line an epoch");
    assert!(path("a.qdm.toml").exists() && !path("a.qdm.ckpt").exists());
}

const TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/test.tsv");

fn compact(out: &Path, threads: &str) -> Command {
    let mut command = distill(out, "7");
    command.args(["--front-end", "compact", "--stem", "4", "--code-bits", "3", "--penalty", "1"]);
    command.env("RAYON_NUM_THREADS", threads);
    command
}

/// A compact student is a fifth of the size, the same from the same seed on any number of threads, as good as a linear head
/// on its table, and read by every command.
#[test]
fn a_compact_student_is_small_and_every_command_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let json = |mut command: Command| -> serde_json::Value {
        let output = command.arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let told = json(compact(&path("a.qdm"), "1"));
    assert!(compact(&path("b.qdm"), "2").output().unwrap().status.success());
    let bytes = std::fs::read(path("a.qdm")).unwrap();
    assert_eq!(bytes, std::fs::read(path("b.qdm")).unwrap());
    assert!(bytes.len() < 1500, "{} bytes", bytes.len());
    let share = |key: &str| told[key].as_f64().unwrap();
    let own = told["after"]["accuracy"].as_f64().unwrap();
    assert!(own > share("linear_accuracy") - 0.01, "{told}");
    let model = path("a.qdm").display().to_string();
    let judged = json(qdllm(&["eval", &model, "--data", TEST, "--no-control"]));
    assert!(judged["student"]["accuracy"].as_f64().unwrap() > 0.93, "{judged}");
    let told = json(qdllm(&["inspect", &model]));
    assert_eq!(told["format_version"], 2, "{told}");
    let told = json(qdllm(&["classify", &model, "turn on the porch light", "--explain"]));
    assert!(told.to_string().contains("turn_on"), "{told}");
    let compiled = path("p.qdm").display().to_string();
    let args = ["compile", &model, "--backend", "polynomial", "--data", TRAIN, "--out", &compiled];
    let output = qdllm(&args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// More classes than most boards take.
#[test]
fn a_student_of_a_hundred_classes_is_trained_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let rows: Vec<String> =
        (0..600).map(|i| format!("class{}\tword{}x word{}y", i % 100, i % 100, i % 7)).collect();
    std::fs::write(path("rows.tsv"), rows.join("\n")).unwrap();
    for front_end in ["words", "compact"] {
        let (out, data) = (path("m.qdm"), path("rows.tsv"));
        let args =
            ["distill", "--data", &data, "--out", &out, "--front-end", front_end, "--keep-signs"];
        let few = ["--epochs", "2", "--min-steps", "60", "--restart", "--json"];
        let output = qdllm(&[&args[..], &few].concat()).output().unwrap();
        assert!(output.status.success(), "{front_end}: {}", stderr(&output));
        let output = qdllm(&["classify", &out, "word42x word3y", "--json"]).output().unwrap();
        assert!(output.status.success(), "{front_end}: {}", stderr(&output));
    }
}

#[test]
fn a_run_ended_at_any_moment_reaches_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole.qdm"), folder.path().join("broken.qdm"));
    let started = std::time::Instant::now();
    assert!(distill(&whole, "3").output().unwrap().status.success());
    let full = started.elapsed();
    let mut ended = 0;
    // Each start lives a little longer than the last, so every stage is hit and the end is reached.
    for k in 1_u32.. {
        let mut child = distill(&broken, "3").stderr(std::process::Stdio::null()).spawn().unwrap();
        let limit = full * k / 12 + Duration::from_millis(u64::from(k) * 3);
        let born = std::time::Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if born.elapsed() > limit {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        match status {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => ended += 1,
        }
        // A name shows a whole file or nothing.
        if broken.exists() {
            assert_eq!(std::fs::read(&broken).unwrap(), std::fs::read(&whole).unwrap());
        }
    }
    assert!(ended >= 2, "the run was never interrupted");
    let read = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::read(PathBuf::from(name)).unwrap()
    };
    assert_eq!(read(&broken, ""), read(&whole, ""), "after {ended} interruptions");
    assert_eq!(read(&broken, ".metrics.jsonl"), read(&whole, ".metrics.jsonl"));
}

#[test]
fn triples_and_edges_are_counted_kept_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("edges.qdm");
    let train = |more: &[&str]| {
        let output = distill_for(&out, "7", "6").args(more).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read(&out).unwrap()
    };
    let pairs = train(&["--bigrams"]);
    let edges = train(&["--bigrams", "--trigrams", "--edges"]);
    let taught = train(&["--bigrams", "--trigrams", "--edges", "--regression"]);
    assert!(pairs != edges && edges != taught, "each setting matters");
    let settings = std::fs::read_to_string(folder.path().join("edges.qdm.toml")).unwrap();
    for line in ["trigrams = true", "edges = true", "regression = true"] {
        assert!(settings.contains(line), "{settings}");
    }
    let out = out.to_str().unwrap();
    let shown = qdllm(&["inspect", out]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("pairs, triples, over the text's ends"), "{shown}");
    let test = TRAIN.replace("train.tsv", "test.tsv");
    let texts = std::fs::read_to_string(&test).unwrap();
    let texts = texts.lines().step_by(10).map(|line| line.split_once('\t').unwrap().1);
    let told = qdllm(&["classify", out, "--explain"]).args(texts).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("  ^") && told.contains("$\n"), "first and last words count: {told}");
    let accuracy = |model: &str| {
        let args = ["eval", model, "--data", &test, "--json", "--no-control"];
        let told = qdllm(&args).output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        told["student"]["accuracy"].as_f64().unwrap()
    };
    assert!(accuracy(out) > 0.5, "{}: eight classes", accuracy(out));
}

#[test]
fn a_circuit_from_qasm_is_trained_kept_and_shown() {
    const QASM: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[4];\ncreg c[3];\n\
        ry(turn) q;\ncrx(2*link) q[0],q[1];\nryy(link-0.5) q[1],q[2];\ncp(pi/3) q[2],q[3];\n\
        cry(tail) q[3],q[0];\nmeasure q[0] -> c[0];\nmeasure q[2] -> c[1];\nmeasure q[3] -> c[2];\n";
    let folder = tempfile::tempdir().unwrap();
    let (qasm, out) = (folder.path().join("mine.qasm"), folder.path().join("mine.qdm"));
    std::fs::write(&qasm, QASM).unwrap();
    let train =
        |epochs: &str| distill_for(&out, "7", epochs).arg("--circuit").arg(&qasm).output().unwrap();
    let output = train("2");
    assert!(output.status.success(), "{}", stderr(&output));
    let first = std::fs::read(&out).unwrap();
    assert!(train("2").status.success());
    assert_eq!(std::fs::read(&out).unwrap(), first, "the same seed and circuit, the same bytes");
    let shown = qdllm(&["inspect", "--json", out.to_str().unwrap()]).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let circuit = &shown["circuit"];
    assert_eq!((&circuit["qubits"], &circuit["outputs"]), (&4.into(), &3.into()));
    let names: Vec<&str> =
        circuit["angles_rad"].as_array().unwrap().iter().map(|a| a[0].as_str().unwrap()).collect();
    assert_eq!(names, ["turn", "link", "tail"]);
    assert!(circuit["qasm"].as_str().unwrap().contains("crx(2.0*link) q[0],q[1];"));
    let plain = qdllm(&["inspect", out.to_str().unwrap()]).output().unwrap();
    assert!(String::from_utf8_lossy(&plain.stdout).contains("tail = "));
    // A checkpoint of one circuit is not taken up for another.
    let checkpoint = folder.path().join("mine.qdm.ckpt");
    let mut child = distill_for(&out, "7", "4000")
        .arg("--circuit")
        .arg(&qasm)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(&qasm, QASM.replace("cry(tail)", "crz(tail)")).unwrap();
    let output = train("4000");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--restart"), "{}", stderr(&output));
}

/// Runs `distill` on files made for the case; gives the error and checks that nothing was overwritten.
fn refused(files: &[(&str, &[u8])], args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let out = folder.path().join("out.qdm");
    std::fs::write(&out, "an earlier model").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_qdllm"))
        .current_dir(folder.path())
        .args(["distill", "--out", "out.qdm", "--quiet"])
        .args(args)
        .output()
        .unwrap();
    let code = if args.contains(&"--rate") { 2 } else { 1 };
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    assert_eq!(std::fs::read(&out).unwrap(), b"an earlier model", "{args:?}");
    let message = stderr(&output);
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{message}");
    message
}

#[test]
fn bad_input_is_refused_with_file_line_and_remedy() {
    let good = b"a\tred apple pie\nb\tblue sky high\na\tred apple tart\nb\tblue sky low\n";
    let soft = |classes: &str, row: &str| {
        format!(
            "{{\"qdllm_soft\":1,\"classes\":[{classes}],\"teacher\":{{\"name\":\"t\",\"digest\":\"d\",\"method\":\"m\"}}}}\n{row}\n"
        )
    };
    let digest = "0".repeat(64);
    let foreign =
        soft("\"a\",\"b\"", &format!("{{\"text_sha256\":\"{digest}\",\"logits\":[1,2]}}"));
    let nan = soft("\"a\",\"b\"", &format!("{{\"text_sha256\":\"{digest}\",\"logits\":[1,null]}}"));
    let data = ["--data", "d.tsv"];
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: &[(Files<'_>, &[&str], &[&str])] = &[
        (&[], &data, &["d.tsv"]),
        (&[("d.tsv", b"")], &data, &["d.tsv", "no "]),
        (&[("d.tsv", b"a\tone\na\ttwo\n")], &data, &["d.tsv", "2 classes"]),
        (&[("d.tsv", b"a\tone\nno tab here\n")], &data, &["d.tsv:2", "tab", "--bad-rows"]),
        (&[("d.tsv", b"a\tone\nb\t\xff\xfe\n")], &data, &["d.tsv:2", "UTF-8"]),
        (
            &[("d.tsv", good), ("v.tsv", b"a\tred\nzebra\tblack\n")],
            &["--data", "d.tsv", "--valid", "v.tsv", "--rows", "2"],
            &["v.tsv:2", "zebra", "d.tsv"],
        ),
        (
            &[("d.tsv", good), ("u.txt", b"green grass\n"), ("s.jsonl", foreign.as_bytes())],
            &["--data", "d.tsv", "--unlabelled", "u.txt", "--soft", "s.jsonl", "--rows", "2"],
            &["s.jsonl", "u.txt:1", "qdllm teach"],
        ),
        (
            &[("d.tsv", good), ("s.jsonl", nan.as_bytes())],
            &["--data", "d.tsv", "--soft", "s.jsonl", "--rows", "2"],
            &["s.jsonl:2", "logits"],
        ),
        (&[("u.txt", b"green grass\n")], &["--unlabelled", "u.txt"], &["u.txt", "teach"]),
        (&[("d.tsv", good)], &["--data", "d.tsv", "--rate", "7"], &["lr is 7"]),
        (
            &[("d.tsv", good), ("c.qasm", b"OPENQASM 2.0;\nqreg q[2];\nfoo q[0],q[1],q[0];\n")],
            &["--data", "d.tsv", "--circuit", "c.qasm"],
            &["c.qasm:3", "unknown gate `foo`"],
        ),
        (
            &[("d.tsv", good), ("c.toml", b"[student]\nrowz = 3\n")],
            &["--data", "d.tsv", "--config", "c.toml"],
            &["c.toml", "rowz"],
        ),
    ];
    for (files, args, needles) in cases {
        let message = refused(files, args);
        for needle in *needles {
            assert!(message.contains(needle), "{args:?}: `{needle}` is missing in: {message}");
        }
    }
}

#[test]
fn a_truncated_or_foreign_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = include_bytes!("../../tests/vectors/words_v1.qdm");
    let cases: [(&str, &[u8], &str); 3] = [
        ("cut.qdm", &whole[..whole.len() - 5], "truncated"),
        ("foreign.qdm", b"PK\x03\x04 this is some other kind of file", "not a qdllm model"),
        ("short.qdm", b"QD", "too short"),
    ];
    for (name, bytes, needle) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        for command in ["inspect", "classify"] {
            let output = qdllm(&[command, path.to_str().unwrap()])
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap();
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{message}");
            assert!(message.contains(name) && message.contains(needle), "{message}");
        }
    }
    let dense = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/dense_v1.qdm");
    for args in
        [vec!["classify", dense, "a text"], vec!["eval", dense, "--data", TRAIN, "--no-control"]]
    {
        let output = qdllm(&args).output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("dense_v1.qdm") && message.contains("vector of 4"), "{message}");
    }
    assert_eq!(qdllm(&["distill"]).output().unwrap().status.code(), Some(2), "wrong use");
}

mod vectors {
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
                let table =
                    Table { width: WIDTH, values, digests: Some(digests), metadata: [].into() };
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
}
