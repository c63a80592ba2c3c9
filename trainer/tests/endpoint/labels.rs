//! What the endpoint offers is found out, and its scores become soft labels.

use std::time::Duration;

use super::run::{Bench, said};
use super::server::{Fault, Offers, Server};
use super::student::Student;

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
