//! Everything that may pass: each text is labelled once, with the numbers of an undisturbed run, also where the run is
//! killed. What does not pass is said once, with the endpoint, the status and what to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::endpoint::run::{Bench, said};
use crate::endpoint::server::{Address, Fault, Offers, Server};

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

fn always(fault: Fault) -> Server {
    Server::start(Offers::Chat, move |_| fault, Duration::ZERO)
}

#[test]
fn a_refusal_is_not_tried_again() {
    let bench = Bench::new(5);
    for (status, needles) in
        [(401, ["HTTP 401", "--key-file"]), (403, ["HTTP 403", "key"]), (402, ["402", "credit"])]
    {
        let server = always(Fault::Status(status));
        let message = bench.bad(&server.url(), &[]);
        assert_eq!(server.requests(), 1, "{status}");
        assert!(message.contains(&server.url()) && message.contains("scripted"), "{message}");
        for needle in needles {
            assert!(message.contains(needle), "{message}");
        }
    }
    // What the endpoint may lack is looked for elsewhere, once each.
    let server = always(Fault::Status(404));
    let message = bench.bad(&server.url(), &[]);
    assert_eq!(server.requests(), 3);
    assert!(message.contains("HTTP 404") && message.contains("/v1"), "{message}");
}

#[test]
fn answers_that_cannot_serve_are_named() {
    let bench = Bench::new(3);
    for (fault, needles) in [
        (Fault::Html, ["HTML", "Sign in"]),
        (Fault::NaN, ["NaN", "overflow"]),
        (Fault::Cut, ["broke off", "after 3 tries"]),
        (Fault::Status(500), ["HTTP 500", "kept"]),
        (Fault::Hang, ["no answer within", "again"]),
    ] {
        let server = always(fault);
        let extra = ["--tries", "3", "--ask", "chat", "--timeout", "0.3"];
        let message = bench.bad(&server.url(), &extra);
        for needle in needles.into_iter().chain([server.url().as_str()]) {
            assert!(message.contains(needle), "{fault:?}: `{needle}` is missing in {message}");
        }
        assert!(!bench.path("soft.jsonl").exists());
    }
    let server = always(Fault::Limited(400_000));
    let message = bench.bad(&server.url(), &["--ask", "chat"]);
    assert!(message.contains("wait 400 s"), "{message}");
    // Nothing listens at port 9 of this machine.
    let message = bench.bad("http://127.0.0.1:9", &["--ask", "chat", "--tries", "2"]);
    assert!(message.contains("127.0.0.1:9/v1") && message.contains("refused"), "{message}");
}

#[test]
fn log_probabilities_of_other_tokens_are_not_taken() {
    let bench = Bench::new(4);
    let server = Server::start(Offers::LateEcho, |_| Fault::None, Duration::ZERO);
    let message = bench.bad(&server.url(), &["--ask", "completions"]);
    for needle in ["one token late", "add_bos_token", "--ask votes", &server.url()] {
        assert!(message.contains(needle), "`{needle}` is missing in {message}");
    }
    assert_eq!(server.requests(), 1, "it is said once");
    // Left to find out, it asks otherwise.
    bench.good(&server.url(), &[]);
    assert!(bench.labels().teacher.method.contains("chat answers"));
}

#[test]
fn wrong_use_is_refused_before_anything_is_sent() {
    let bench = Bench::new(3);
    let server = always(Fault::None);
    for (extra, code, says) in [
        (&["--classes", "one"][..], 1, "at least 2"),
        (&["--classes", "a,b", "--class-words", "same,same"], 1, "share"),
        (&["--prompt", "no place for it"], 2, "{text}"),
        (&["--key-env", "QDLLM_NOT_SET_ANYWHERE"], 1, "not set"),
        (&["--key-file", "nothing"], 1, "nothing"),
        (&["--timeout", "0"], 2, "--timeout"),
        (&["--classes", "missing.toml"], 1, "missing.toml"),
    ] {
        let output = bench.run(&server.url(), extra);
        let message = said(&output);
        assert_eq!(output.status.code(), Some(code), "{extra:?}: {message}");
        assert!(message.contains(says), "{extra:?}: {message}");
    }
    assert!(bench.bad("ftp://x", &[]).contains("http(s)"));
    assert_eq!(server.requests(), 0);
}

#[test]
fn the_key_travels_in_its_header_and_nowhere_else() {
    const KEY: &str = "sk-very-secret-1234";
    let bench = Bench::new(4);
    let server = always(Fault::None);
    let by_variable =
        bench.command(&server.url(), &["--key-env", "MY_KEY"]).env("MY_KEY", KEY).output().unwrap();
    assert!(by_variable.status.success(), "{}", said(&by_variable));
    std::fs::write(bench.path("key"), KEY).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |m| std::fs::Permissions::from_mode(m);
        std::fs::set_permissions(bench.path("key"), mode(0o644)).unwrap();
        let message = bench.bad(&server.url(), &["--key-file", "key"]);
        assert!(message.contains("chmod 600") && !message.contains(KEY), "{message}");
        std::fs::set_permissions(bench.path("key"), mode(0o600)).unwrap();
    }
    let again = ["--key-file", "key", "--cache", "elsewhere"];
    let by_file = bench.good(&server.url(), &again);
    let keys = server.keys();
    assert_eq!(keys.len(), 10);
    assert!(keys.iter().all(|k| *k == format!("Bearer {KEY}")));
    // Neither what was printed nor any file holds it.
    for output in [by_variable, by_file] {
        assert!(!said(&output).contains(KEY));
        assert!(!String::from_utf8_lossy(&output.stdout).contains(KEY));
    }
    std::fs::remove_file(bench.path("key")).unwrap();
    let mut folders = vec![bench.path(".")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert!(!String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(KEY));
            }
        }
    }
    assert!(files >= 5, "{files}");
}
