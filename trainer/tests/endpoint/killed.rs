//! Ended at any moment: no text lost, none labelled twice, the budget never passed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::run::Bench;
use super::server::{Fault, Offers, Server};

/// Starts `qdllm teach` again and again, each start living a little longer, until it gets through. Returns how many
/// starts were ended; `look` runs after each.
fn until_done(bench: &Bench, url: &str, extra: &[&str], mut look: impl FnMut()) -> u32 {
    let mut ended = 0;
    loop {
        let mut child = bench.spawn(url, extra);
        let (born, limit) = (Instant::now(), Duration::from_millis(10 + 13 * u64::from(ended)));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if born.elapsed() > limit {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        look();
        match status {
            Some(status) => {
                assert!(status.success());
                return ended;
            }
            None => ended += 1,
        }
    }
}

fn rows(bench: &Bench) -> BTreeSet<String> {
    std::fs::read_to_string(bench.path("soft.jsonl"))
        .unwrap()
        .lines()
        .skip(1)
        .map(ToOwned::to_owned)
        .collect()
}

/// Every eighth answer is a server error, every eighth a cut one.
fn rough(i: u64) -> Fault {
    match i % 8 {
        3 => Fault::Status(502),
        6 => Fault::Cut,
        _ => Fault::None,
    }
}

#[test]
fn ended_at_many_moments_it_labels_every_text_once() {
    let calm = Bench::new(120);
    let steady = Server::start(Offers::Chat, |_| Fault::None, Duration::ZERO);
    calm.good(&steady.url(), &[]);

    let bench = Bench::new(120);
    let server = Server::start(Offers::Chat, rough, Duration::from_millis(20));
    let ended = until_done(&bench, &server.url(), &["--concurrency", "4"], || {});
    assert!(ended >= 5, "the run was hardly interrupted: {ended}");
    bench.labels();
    assert_eq!(rows(&bench), rows(&calm), "the numbers of an undisturbed run");
    // What was answered whole is never asked again, except what was under way at an end.
    let twice: u32 = server.answered().values().map(|n| n - 1).sum();
    assert!(twice <= 4 * ended + 1, "{twice} answers twice after {ended} ends");
}

#[test]
fn the_budget_holds_whatever_happens() {
    let bench = Bench::new(100);
    let server = Server::start(Offers::Chat, rough, Duration::from_millis(10));
    // Ended early a few times, then left to run into the budget.
    let budget = ["--budget-requests", "70", "--concurrency", "8"];
    for life in [60, 90, 120, 150] {
        let mut child = bench.spawn(&server.url(), &budget);
        std::thread::sleep(Duration::from_millis(life));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(server.requests() <= 70, "{}", server.requests());
    }
    let message = bench.bad(&server.url(), &budget);
    assert!(message.contains("budget") && message.contains("--budget-requests"), "{message}");
    assert!(server.requests() <= 70, "{}", server.requests());
    assert!(!bench.path("soft.jsonl").exists(), "an unfinished file never bears its name");
    // Nothing more is sent while it is used up.
    let before = server.requests();
    bench.bad(&server.url(), &budget);
    assert_eq!(server.requests(), before);

    bench.good(&server.url(), &["--budget-requests", "2000"]);
    assert!(bench.largest_gap() < 2e-3);
}

#[test]
fn a_budget_of_tokens_holds_too() {
    let bench = Bench::new(100);
    let server = Server::start(Offers::Chat, |_| Fault::None, Duration::from_millis(2));
    let message = bench.bad(&server.url(), &["--budget-tokens", "5000"]);
    assert!(message.contains("tokens so far"), "{message}");
    assert!(server.tokens() <= 5000, "{}", server.tokens());
    assert!(server.tokens() > 3500, "most of it is used: {}", server.tokens());
    bench.good(&server.url(), &["--budget-tokens", "1000000"]);
    bench.labels();
}

#[test]
fn two_runs_of_one_question_do_not_mix() {
    let bench = Bench::new(60);
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    // The first run stays under way until the second one has been refused.
    let script = move |i| {
        while i >= 3 && !told.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Fault::None
    };
    let server = Server::start(Offers::Chat, script, Duration::ZERO);
    let mut child = bench.spawn(&server.url(), &["--concurrency", "1"]);
    while server.requests() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let message = bench.bad(&server.url(), &[]);
    assert!(message.contains("another run"), "{message}");
    over.store(true, Ordering::SeqCst);
    assert!(child.wait().unwrap().success());
    bench.labels();
}
