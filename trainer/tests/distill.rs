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
    let mut command = qdllm(&[
        "distill",
        "--data",
        TRAIN,
        "--rows",
        "128",
        "--epochs",
        "4",
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
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
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
            &[("d.tsv", good), ("v.tsv", b"a\tred\nb\tblue\n")],
            &["--data", "d.tsv", "--valid", "v.tsv", "--rows", "4096"],
            &["--rows 4096", "--rows 4 or fewer"],
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
        (&[("d.tsv", good)], &["--data", "d.tsv", "--rate", "7"], &["rate is 7"]),
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
