//! Endpoints that think, refuse and stutter: every text is labelled once or named as refused, and no cut thought labels.

use std::process::Command;
use std::time::Duration;

use crate::endpoint::run::{Bench, Student, said};
use crate::endpoint::server::{Fault, Offers, Server, refused_by};
use qdllm_trainer::data::soft::SoftLabels;

fn server(offers: Offers) -> Server {
    Server::start(offers, |_| Fault::None, Duration::ZERO)
}

#[test]
fn a_model_that_thinks_is_told_not_to_or_given_room() {
    let bench = Bench::new(20);
    let obedient = server(Offers::Thinks(true));
    bench.good(&obedient.url(), &[]);
    assert!(bench.largest_gap() < 2e-3, "{}", bench.largest_gap());
    assert!(bench.labels().teacher.method.contains("told not to think"));
    assert_eq!(obedient.requests(), 22, "one more to see that it thinks");

    let stubborn = server(Offers::Thinks(false));
    let bench = Bench::new(20);
    let message = bench.bad(&stubborn.url(), &[]);
    assert!(message.contains("--think-tokens"), "{message}");
    // Asked by hand, it fails as soon as enough answers name no class.
    for ask in ["chat", "votes"] {
        let message = bench.bad(&stubborn.url(), &["--ask", ask]);
        assert!(
            message.contains("20 of 20 texts") && message.contains("--think-tokens"),
            "{message}"
        );
    }
    assert!(!bench.path("soft.jsonl").exists(), "no label from a cut thought");
    bench.good(&stubborn.url(), &["--think-tokens", "60", "--votes", "2"]);
    let soft = bench.labels();
    assert!(soft.teacher.method.contains("60 tokens to think"), "{}", soft.teacher.method);
}

#[test]
fn refused_texts_are_set_aside_and_named() {
    let bench = Bench::new(100);
    let server = server(Offers::Refuses);
    let refused: Vec<&String> =
        bench.texts.iter().filter(|t| refused_by(Offers::Refuses, t) > 0).collect();
    assert!((5..50).contains(&refused.len()), "{}", refused.len());
    let share = ["--most-undecided", "0.5"];
    let output = bench.good(&server.url(), &share);
    let message = said(&output);
    assert!(message.contains(&format!("refuses {} texts", refused.len())), "{message}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["speeds"][0]["refused"], refused.len());
    let soft = SoftLabels::read(&bench.path("soft.jsonl")).unwrap();
    assert_eq!(soft.texts() + refused.len(), bench.texts.len());
    assert!(refused.iter().all(|text| soft.get(text).is_none()));
    // A student learns from the others.
    let student = Command::new(env!("CARGO_BIN_EXE_qdllm"))
        .current_dir(bench.path("."))
        .args(["distill", "--unlabelled", "texts.txt", "--soft", "soft.jsonl", "--out", "m.qdm"])
        .args(["--rows", "100", "--epochs", "2", "--least-steps", "1", "--json", "--quiet"])
        .output()
        .unwrap();
    assert!(student.status.success(), "{}", said(&student));
    let result: serde_json::Value = serde_json::from_slice(&student.stdout).unwrap();
    assert_eq!(result["tally"]["unused"], refused.len());
    let ledger = std::fs::read_dir(bench.path("teacher-cache")).unwrap();
    let ledger = ledger.map(|e| e.unwrap().path()).find(|p| p.to_string_lossy().contains("ledger"));
    let ledger = std::fs::read_to_string(ledger.unwrap()).unwrap();
    assert_eq!(ledger.lines().filter(|l| l.contains("refused")).count(), refused.len());
    // Neither is asked again.
    let before = server.requests();
    bench.good(&server.url(), &share);
    assert_eq!(server.requests(), before);

    let few = ["--most-undecided", "0.01", "--cache", "other"];
    assert!(bench.bad(&server.url(), &few).contains("the last refusal"));
    let stop = ["--refused-texts", "stop", "--cache", "third"];
    assert!(bench.bad(&server.url(), &stop).contains("--refused-texts skip"));
}

#[test]
fn a_teacher_that_names_no_class_fails_early() {
    let bench = Bench::new(300);
    let server = server(Offers::Babbles);
    let message = bench.bad(&server.url(), &["--concurrency", "1"]);
    assert!(message.contains("--most-undecided 0.2"), "{message}");
    assert!(server.requests() < 25, "{}", server.requests());
    assert!(!bench.path("soft.jsonl").exists());
}

#[test]
fn a_stutter_at_the_start_does_not_change_the_way_of_asking() {
    for fault in [Fault::Gateway, Fault::Status(500), Fault::Html, Fault::Cut, Fault::Close] {
        let bench = Bench::new(3);
        let start = move |i| if i < 1 { fault } else { Fault::None };
        let server = Server::start(Offers::Chat, start, Duration::ZERO);
        bench.good(&server.url(), &["--tries", "1"]);
        assert!(bench.largest_gap() < 2e-3);
        assert!(bench.labels().teacher.method.contains("first token"), "{fault:?}");
        assert_eq!(server.requests(), 5);
    }
}

#[test]
fn answers_belong_to_their_server() {
    let bench = Bench::new(3);
    let servers = [(); 2].map(|()| server(Offers::Chat));
    for server in &servers {
        bench.good(&server.url(), &[]);
        assert_eq!(server.requests(), 4);
    }
    for server in &servers {
        bench.good(&server.url(), &["--server-name", "cluster"]);
    }
    assert_eq!(servers.map(|s| s.requests()), [8, 4]);
}

#[test]
fn the_server_cannot_write_lines_or_drive_the_terminal() {
    let bench = Bench::new(3);
    let server = Server::start(Offers::Chat, |_| Fault::Gateway, Duration::ZERO);
    let message = bench.bad(&server.url(), &["--tries", "2", "--ask", "chat"]);
    assert!(message.contains("hiccup error: fake") && !message.contains('\u{1b}'), "{message}");
    assert!(!message.lines().any(|line| line.starts_with("error: fake")), "{message}");
    // Packed, though nobody asked for it.
    let server = Server::start(Offers::Chat, |_| Fault::Gzip, Duration::ZERO);
    bench.good(&server.url(), &[]);
    assert!(bench.largest_gap() < 2e-3);
}

#[test]
fn no_proxy_sees_the_key_in_clear() {
    let bench = Bench::new(3);
    let server = server(Offers::Chat);
    let proxy = Server::start(Offers::Chat, |_| Fault::None, Duration::ZERO);
    let run = |url: &str, extra: &[&str]| {
        let mut command = bench.command(url, extra);
        command.env("QDLLM_API_KEY", "sk-secret-123").env("HTTP_PROXY", proxy.url());
        command.env("http_proxy", proxy.url()).env_remove("NO_PROXY").env_remove("no_proxy");
        command.output().unwrap()
    };
    let output = run(&server.url(), &[]);
    assert!(output.status.success(), "{}", said(&output));
    let message = said(&run("http://10.255.255.1:9", &[]));
    assert!(message.contains("--trust-http 10.255.255.1"), "{message}");
    let trusted =
        ["--trust-http", "10.255.255.1", "--timeout", "0.2", "--tries", "1", "--backoff", "0"];
    assert!(!run("http://10.255.255.1:9", &trusted).status.success());
    assert_eq!((server.keys().len(), proxy.requests()), (4, 0), "nothing goes through the proxy");
}

#[test]
fn a_dry_run_counts_and_asks_nothing() {
    let bench = Bench::new(5);
    let server = server(Offers::Chat);
    let dry = ["--dry-run", "--price-per-million", "2.5"];
    let output = bench.good(&server.url(), &dry);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&plan["texts"], &plan["requests"]), (&5.into(), &5.into()));
    assert_eq!(plan["prompts"].as_array().unwrap().len(), 3);
    assert!(plan["prompts"][0].as_str().unwrap().contains(&bench.texts[0]), "{plan}");
    let (tokens, most) = (plan["tokens"].as_f64().unwrap(), plan["most_tokens"].as_f64().unwrap());
    assert!(5.0 * 65.0 < tokens && tokens < most, "{plan}");
    assert!((plan["cost"].as_f64().unwrap() - tokens * 2.5e-6).abs() < 1e-12);
    assert_eq!(server.requests(), 0);
    assert!(!bench.path("soft.jsonl").exists() && !bench.path("teacher-cache").exists());
    let votes = bench.good(&server.url(), &[&dry[..], &["--ask", "completions"]].concat());
    let plan: serde_json::Value = serde_json::from_slice(&votes.stdout).unwrap();
    assert_eq!(plan["requests"], 5 * Student::get().classes().len());
}
