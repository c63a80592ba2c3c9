//! The program is ended without warning at many points of a batch of 50 jobs, and started again.

use crate::kit::{Bench, Server, complete, model};
use std::process::{Child, Stdio};
use std::time::Duration;

const TEXTS: usize = 25;

/// Starts the command without waiting for it.
fn start(bench: &Bench, arguments: &[&str]) -> Child {
    bench.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Ends it by SIGKILL, unless it has ended; whether it had.
fn end(mut child: Child) -> bool {
    let ended = child.try_wait().unwrap().is_some();
    let _ = child.kill();
    child.wait().unwrap();
    ended
}

fn count(bench: &Bench, state: &str) -> usize {
    bench.jobs().iter().filter(|j| j["state"] == state).count()
}

fn survive(platform: &str) {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let (model, texts) = (model(), bench.texts(TEXTS));
    let submit = ["submit", &model, "--data", &texts, "--url", &server.url, "--platform", platform];
    // While the batch is made, at ever later moments: there is a whole batch or none.
    for ms in 0..12 {
        let child = start(&bench, &submit);
        std::thread::sleep(Duration::from_millis(3 * ms));
        end(child);
        let jobs = bench.jobs().len();
        assert!(
            jobs == 0 || jobs == 2 * TEXTS || bench.files().keys().all(|p| !whole(p)),
            "{jobs} jobs"
        );
    }
    // The moment after the server has received a job and before its answer is there.
    server.faults(&["run=slow:60000*always"]);
    let mut caught = 0;
    while caught < 8 {
        let sent = server.received("run");
        let mut child = start(&bench, &submit);
        server.wait_for("run", sent, &mut child);
        end(child);
        assert_eq!(count(&bench, "sending"), 1);
        caught += 1;
    }
    // Any moment.
    server.faults(&[]);
    let mut ms = 8;
    let mut kills = 0;
    loop {
        let child = start(&bench, &submit);
        std::thread::sleep(Duration::from_millis(ms));
        if end(child) {
            break;
        }
        kills += 1;
        ms = 8 + (ms * 7 + 3) % 31 + kills / 4;
    }
    bench.good(&submit);
    assert_eq!(server.tasks().len(), 2 * TEXTS);
    let mut fetches = 0;
    loop {
        let child = start(&bench, &["fetch"]);
        std::thread::sleep(Duration::from_millis(6 + fetches * 3));
        if end(child) {
            break;
        }
        fetches += 1;
    }
    bench.good(&["fetch"]);
    eprintln!(
        "{platform}: ended 12 times while the batch was made, {caught} times between request and answer, \
         {kills} times at any moment of sending, {fetches} times while fetching"
    );
    complete(&bench, &server, 2 * TEXTS);
}

/// A file of a batch that is in place.
fn whole(path: &std::path::Path) -> bool {
    !path.components().any(|c| c.as_os_str().to_str().is_some_and(|s| s.starts_with(".new-")))
}

#[test]
fn no_job_is_lost_or_sent_twice_on_quafu_sqc() {
    survive("sqc");
}

#[test]
fn no_job_is_lost_or_sent_twice_on_the_portal() {
    survive("portal");
}

#[test]
fn two_processes_do_not_work_on_one_batch() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    server.faults(&["run=slow:60000*always"]);
    let model = model();
    let submit = ["submit", &model, "play music", "--url", &server.url];
    let mut child = start(&bench, &submit);
    server.wait_for("run", 0, &mut child);
    for arguments in [&submit[..], &["fetch"], &["cancel", "words"]] {
        let error = bench.bad(arguments);
        assert!(error.contains("another qdllm-hw works on this batch"), "{error}");
    }
    bench.good(&["status"]);
    end(child);
    server.faults(&[]);
    bench.good(&submit);
    bench.good(&["fetch"]);
    complete(&bench, &server, 2);
}
