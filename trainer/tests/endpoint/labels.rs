//! What the endpoint offers is found out, and its scores become soft labels; with classes and plain texts alone, a person
//! and a student follow.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::endpoint::run::{Bench, Student, said};
use crate::endpoint::server::{Fault, Offers, Server};

fn server(offers: Offers) -> Server {
    Server::start(offers, |_| Fault::None, Duration::ZERO)
}

/// Words that do not begin alike, so that a chat model is asked for words.
const WORDS: [&str; 2] =
    ["--class-words", "climate,brightness,list,media,question,timer,off,switched on"];

#[test]
fn log_probabilities_of_chat_answers_by_letter_and_by_word() {
    let bench = Bench::new(60);
    let server = server(Offers::Chat);
    bench.good(&server.url(), &[]);
    assert!(bench.largest_gap() < 2e-3, "{}", bench.largest_gap());
    let soft = bench.labels();
    assert!(soft.teacher.method.contains("first token"), "{}", soft.teacher.method);
    assert!(soft.teacher.method.contains("by letter"), "turn_on and turn_off begin alike");
    assert_eq!(server.requests(), 61, "one a text and one to find out");
    assert!(server.most_at_once() > 1, "requests run side by side");

    bench.good(&server.url(), &WORDS);
    assert!(bench.largest_gap() < 2e-3, "{}", bench.largest_gap());
    assert!(!bench.labels().teacher.method.contains("by letter"));

    // The same question again costs nothing, wherever the server is now.
    let before = server.requests();
    bench.good(&server.url().replace("127.0.0.1", "localhost"), &[]);
    assert_eq!(server.requests(), before);
}

#[test]
fn echoed_completions_score_each_class() {
    let bench = Bench::new(20);
    let server = server(Offers::Echo);
    bench.good(&server.url(), &["--calibrate", "false"]);
    assert!(bench.largest_gap() < 2e-3, "{}", bench.largest_gap());
    assert!(bench.labels().teacher.method.contains("log-probability of"));
    let classes = Student::get().classes().len() as u64;
    assert_eq!(server.requests(), 2 + 20 * classes, "two to find out, one a class and text");

    // By default an empty text is scored too and subtracted.
    bench.good(&server.url(), &[]);
    let (soft, student) = (bench.labels(), Student::get());
    let log = |text: &str| student.probabilities(text).iter().map(|p| p.ln()).collect::<Vec<_>>();
    for text in &bench.texts {
        for ((mine, own), empty) in soft.get(text).unwrap().iter().zip(log(text)).zip(log("")) {
            assert!((mine - own + empty).abs() < 1e-3, "{text}: {mine} {own} {empty}");
        }
    }
}

#[test]
fn votes_are_counted_where_nothing_better_is_offered() {
    for (offers, requests) in [(Offers::Votes, 30), (Offers::OneVote, 30 * 16)] {
        let bench = Bench::new(30);
        let server = server(offers);
        bench.good(&server.url(), &["--votes", "16"]);
        let soft = bench.labels();
        assert!(soft.teacher.method.contains("16 chat answers"), "{}", soft.teacher.method);
        assert_eq!(server.requests(), 3 + requests, "{offers:?}: three to find out");
        let (mut sure, mut right) = (0, 0);
        for text in &bench.texts {
            let (mine, p) = (soft.get(text).unwrap(), Student::get().probabilities(text));
            let top = |v: &[f32]| (0..v.len()).max_by(|&a, &b| v[a].total_cmp(&v[b])).unwrap();
            let sum: f32 = mine.iter().map(|z| z.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-3, "shares of votes sum to one: {mine:?}");
            if p[top(&p)] > 0.8 {
                sure += 1;
                right += usize::from(top(mine) == top(&p));
            }
        }
        assert!(sure >= 5 && right * 20 >= sure * 19, "{offers:?}: {right} of {sure}");
    }
}

#[test]
fn a_file_of_classes_long_texts_and_a_test_file() {
    let bench = Bench::new(10);
    let classes = Student::get().classes();
    let described: String = classes
        .iter()
        .map(|c| format!("[[class]]\nname = \"{c}\"\ndescription = \"{c} is asked for\"\n"))
        .collect();
    let question = "question = \"What is asked for?\"\n";
    std::fs::write(bench.path("classes.toml"), format!("{question}{described}")).unwrap();
    std::fs::write(bench.path("test.tsv"), "timer\tset a timer for ten minutes\n").unwrap();
    let server = server(Offers::Chat);
    let extra = ["--classes", "classes.toml", "--test", "test.tsv", "--max-chars", "40"];
    let output = bench.good(&server.url(), &extra);
    let long = bench.texts.iter().filter(|t| t.chars().count() > 40).count();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["speeds"][0]["cut"], long, "{}", said(&output));
    assert_eq!(found["test"]["texts"], 1);
    assert!(bench.labels().teacher.method.contains("What is asked for?"));
    let most = server.answered().into_keys().map(|t| t.chars().count()).max().unwrap();
    assert!(most <= 40, "{most}");
}

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
    for (extra, code, says) in [
        (&["--review", "3"][..], 2, "--teacher"),
        (&["--teacher", "missing.jsonl"], 1, "missing.jsonl"),
        (&["--teacher", "http://127.0.0.1:9"], 1, "--classes"),
    ] {
        let output = distill(&bench, extra, "");
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(says), "{}", said(&output));
    }
}
