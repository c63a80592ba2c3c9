//! Everything that may pass: each text is labelled once, with the numbers of an undisturbed run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::run::Bench;
use super::server::{Address, Fault, Offers, Server};

/// A fault in two of three requests, of every kind in turn.
fn storm(i: u64) -> Fault {
    match i % 12 {
        1 => Fault::Limited(30),
        2 => Fault::Status(500),
        4 => Fault::Html,
        5 => Fault::Cut,
        6 => Fault::Close,
        7 => Fault::Status(503),
        9 => Fault::NaN,
        10 if i % 24 == 10 => Fault::Hang,
        _ => Fault::None,
    }
}

#[test]
fn a_storm_of_faults_loses_no_text_and_labels_none_twice() {
    for offers in [Offers::Chat, Offers::Echo] {
        let bench = Bench::new(if offers == Offers::Chat { 80 } else { 8 });
        let servers = [storm, storm].map(|s| Server::start(offers, s, Duration::from_millis(2)));
        // A third address where nothing listens.
        let dead = Address::new();
        let urls = format!("{},{},{}", servers[0].url(), dead.url(), servers[1].url());
        let ask = if offers == Offers::Chat { "chat" } else { "completions" };
        let extra = ["--tries", "60", "--timeout", "0.5", "--ask", ask, "--calibrate", "false"];
        bench.good(&urls, &extra);
        assert!(bench.largest_gap() < 2e-3, "{}", bench.largest_gap());
        let [a, b] = servers.map(|s| s.requests());
        assert!(a > 10 && b > 10, "the load is shared: {a} and {b}");
    }
}

#[test]
fn a_dead_endpoint_is_asked_again_when_it_lives() {
    // At the steady server's pace these texts take longer than the longest wait before a dead one is asked again, so
    // it is asked however busy this machine is; then nothing is slow any more.
    let bench = Bench::new(1600);
    let late = Address::new();
    let awake = Arc::new(AtomicBool::new(false));
    let (slow, risen_asked) = (Arc::clone(&awake), Arc::clone(&awake));
    let steady = move |_| {
        if !slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(40));
        }
        Fault::None
    };
    let steady = Server::start(Offers::Chat, steady, Duration::ZERO);
    let urls = format!("{},{}", late.url(), steady.url());
    let mut child = bench.spawn(&urls, &["--concurrency", "2"]);
    while steady.requests() < 20 {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none(), "ended before it began");
    }
    let risen = move |i| {
        risen_asked.fetch_or(i > 10, Ordering::SeqCst);
        Fault::None
    };
    let risen = Server::start_at(late, Offers::Chat, risen, Duration::ZERO);
    assert!(child.wait().unwrap().success());
    assert!(bench.largest_gap() < 2e-3);
    assert!(risen.requests() > 10, "{} of {}", risen.requests(), steady.requests());
}

#[test]
fn a_rate_limit_is_waited_for() {
    let bench = Bench::new(12);
    let limited = |i| if i % 2 == 0 { Fault::Limited(40) } else { Fault::None };
    let server = Server::start(Offers::Chat, limited, Duration::ZERO);
    bench.good(&server.url(), &["--concurrency", "1", "--tries", "1"]);
    assert_eq!(server.requests(), 26, "half of them were limited, none counts as a failure");
    bench.labels();
}
