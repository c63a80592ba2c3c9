//! No labels at all: classes and plain texts, a teacher behind an endpoint, a person, a student.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::run::{Bench, said};
use super::server::{Fault, Offers, Server};
use super::student::Student;

/// Runs `distill` with this standard input.
fn distill(bench: &Bench, extra: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_qdllm"))
        .current_dir(bench.path("."))
        .args(["distill", "--unlabelled", "texts.txt", "--out", "m.qdm", "--rows", "100"])
        .args(["--epochs", "3", "--least-steps", "1", "--json", "--quiet"])
        .args(extra)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn classes_and_plain_texts_become_a_student_with_a_person_in_between() {
    let bench = Bench::new(300);
    let server = Server::start(Offers::Chat, |_| Fault::None, Duration::ZERO);
    let classes: String =
        Student::get().classes().iter().map(|c| format!("[[class]]\nname = \"{c}\"\n")).collect();
    std::fs::write(bench.path("classes.toml"), classes).unwrap();
    let url = server.url();
    let asked = ["--classes", "classes.toml", "--teacher", &url, "--endpoint-model", "student"];
    let output = distill(&bench, &asked, "");
    assert!(output.status.success(), "{}", said(&output));
    for part in ["mean confidence", "turn_off", "least sure   50 texts"] {
        assert!(said(&output).contains(part), "`{part}` is missing: {}", said(&output));
    }
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["tally"]["labelled"], server.requests()), (&0.into(), 301));
    assert!(bench.path("m.qdm").exists());
    let unsure = std::fs::read_to_string(bench.path("m.qdm.unsure.tsv")).unwrap();
    let sure = |row: &str| row.split('\t').nth(1).unwrap().parse::<f32>().unwrap();
    let list: Vec<f32> = unsure.lines().map(sure).collect();
    assert!(list.len() == 50 && list.is_sorted(), "{list:?}");

    // A person corrects two, takes the guess once, skips one and leaves; the next run takes that up.
    let first = unsure.lines().next().unwrap().split('\t').nth(2).unwrap().to_owned();
    let review = [&asked[..], &["--review", "10"]].concat();
    let output = distill(&bench, &review, "timer\n1\n\ns\nq\n");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("10 texts to review"), "{}", said(&output));
    let labels = std::fs::read_to_string(bench.path("m.qdm.labels.tsv")).unwrap();
    assert_eq!(labels.lines().count(), 3);
    assert_eq!(labels.lines().next(), Some(format!("timer\t{first}").as_str()));
    assert_eq!(server.requests(), 301, "what is known is not asked again");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["tally"]["labelled"], 3);
    let output = distill(&bench, &review, "q\n");
    assert!(said(&output).contains("3 have a label already"), "{}", said(&output));

    // The file that was made serves as a teacher, too.
    let soft = ["--teacher", "m.qdm.soft.jsonl"];
    let output = distill(&bench, &soft, "");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_review_without_a_teacher_or_texts_is_refused() {
    let bench = Bench::new(3);
    for (extra, says) in [
        (&["--review", "3"][..], "--teacher"),
        (&["--teacher", "missing.jsonl"], "missing.jsonl"),
        (&["--teacher", "http://127.0.0.1:9"], "--classes"),
    ] {
        let output = distill(&bench, extra, "");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(says), "{}", said(&output));
    }
}
