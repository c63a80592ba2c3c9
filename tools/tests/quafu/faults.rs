//! Everything that a network and a server can do to a batch; and the program is ended without warning at many points of
//! a batch of 50 jobs, and started again.

use super::{Bench, Server, complete};
use crate::model;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Submits and fetches three texts (six jobs) while `faults` happen; the commands must come through.
fn through(server: &Server, platform: &str, faults: &[&str], more: &[&str]) {
    let bench = Bench::new();
    let before = server.tasks().len();
    let (model, texts) = (model(), bench.texts(3));
    let submit = ["submit", &model, "--data", &texts, "--url", &server.url, "--platform", platform];
    server.faults(faults);
    bench.good(&[&submit[..], more].concat());
    let fetch = if more.contains(&"--settle") { &[][..] } else { more };
    bench.good(&[&["fetch"], fetch].concat());
    server.faults(&[]);
    let tasks = server.tasks().split_off(before);
    assert_eq!(tasks.len(), 6, "{platform} {faults:?}");
    for job in bench.jobs() {
        assert_eq!(job["state"], "finished", "{platform} {faults:?}");
        let same: Vec<_> = tasks.iter().filter(|t| t["name"] == job["name"]).collect();
        assert_eq!(same.len(), 1, "{platform} {faults:?}");
        assert_eq!(job["counts"], same[0]["counts"], "{platform} {faults:?}");
    }
}

#[test]
fn faults_that_pass_lose_nothing_and_repeat_nothing() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        for faults in [
            &["run=cut"][..],
            &["run=cut*3"],
            &["run=cut-before*2"],
            &["run=truncate*2"],
            &["run=500*2"],
            &["run=after:500*2"],
            &["run=after:503", "run=cut", "run=truncate", "run=429:0", "run=cut-before"],
            &["run=429:0*3"],
            &["run=429*2"],
            &["result=cut", "result=500", "result=429:0", "result=truncate*2"],
            &["backends=cut", "backends=500", "backends=429:0"],
            &["chip=truncate", "chip=502"],
            &["run=cut", "list=500*2", "list=cut", "list=truncate"],
            &["any=cut*3"],
            &["any=truncate*3"],
            &["any=500*4"],
        ] {
            through(&server, platform, faults, &[]);
        }
    }
}

/// Every success that is no task's number.
const ODD: [&str; 13] = [
    "answer:text",
    "answer:float",
    "answer:huge",
    "answer:negative",
    "answer:null",
    "answer:nested",
    "answer:empty",
    "answer:html",
    "answer:half",
    "answer:code",
    "after:201",
    "after:202",
    "after:204",
];

#[test]
fn a_success_of_another_form_loses_nothing_and_repeats_nothing() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        for odd in ODD.chunks(5) {
            let faults: Vec<String> = odd.iter().map(|odd| format!("run={odd}")).collect();
            let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
            through(&server, platform, &faults, &[]);
        }
        // The task of another job, of this batch.
        through(&Server::start(&["--noiseless"]), platform, &["run=answer:same*2"], &[]);
        for odd in ["text", "nested", "empty", "html", "half", "code"] {
            one_result(&server, platform, &format!("result=answer:{odd}"));
        }
    }
}

/// One bad result of six: that job is named, the others are there, and the next `fetch` brings it.
fn one_result(server: &Server, platform: &str, fault: &str) {
    let bench = Bench::new();
    let texts = bench.texts(3);
    let place = ["--url", &server.url, "--platform", platform];
    bench.good(&[&["submit", &model(), "--data", &texts], &place[..]].concat());
    server.faults(&[fault]);
    let output = bench.run(&["fetch", "--json"]);
    let (out, err) = crate::quafu::texts(&output);
    assert_eq!(output.status.code(), Some(1), "{platform} {fault}: {out}{err}");
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["refused"].as_array().unwrap().len(), 1, "{platform} {fault}: {out}");
    assert!(err.contains("job 1: the answer is not understood"), "{platform} {fault}: {err}");
    assert_eq!(count(&bench, "finished"), 5, "{platform} {fault}");
    bench.good(&["fetch"]);
    assert_eq!(count(&bench, "finished"), 6, "{platform} {fault}");
}

#[test]
fn a_bad_answer_about_one_job_stops_no_other() {
    let server = Server::start(&["--noiseless", "--delay", "30"]);
    for platform in ["sqc", "portal"] {
        one_result(&server, platform, "result=answer:html");
        // A job that the server fails on, each time that it is asked for.
        let bench = Bench::new();
        let texts = bench.texts(3);
        let place = ["--url", &server.url, "--platform", platform];
        bench.good(&[&["submit", &model(), "--data", &texts], &place[..]].concat());
        server.faults(&["result=500*2"]);
        let error = bench.bad(&["fetch", "--tries", "2"]);
        assert!(error.contains("job 1: ") && error.contains("after 2 tries"), "{error}");
        assert_eq!(count(&bench, "finished"), 5);
        // What says something of all is said once.
        server.faults(&["result=401*always"]);
        let error = bench.bad(&["fetch"]);
        assert_eq!(error.matches("HTTP 401").count(), 1, "{error}");
        server.faults(&[]);
        bench.good(&["fetch"]);
        assert_eq!(count(&bench, "finished"), 6);
    }
}

#[test]
fn status_and_cancel_go_on_behind_a_bad_answer() {
    let server = Server::start(&["--noiseless", "--delay", "2000"]);
    for platform in ["sqc", "portal"] {
        let bench = Bench::new();
        let texts = bench.texts(3);
        let place = ["--url", &server.url, "--platform", platform];
        bench.good(&[&["submit", &model(), "--data", &texts], &place[..]].concat());
        server.faults(&["status=answer:html"]);
        let output = bench.run(&["status", "words", "--live"]);
        let (out, err) = crate::quafu::texts(&output);
        assert_eq!(output.status.code(), Some(1), "{out}{err}");
        assert_eq!(out.matches("not known: the answer is not understood").count(), 1, "{out}");
        assert!(out.matches("ueue").count() + out.matches("unning").count() >= 4, "{out}");
        server.faults(&["cancel=answer:html"]);
        let error = bench.bad(&["cancel", "words"]);
        assert!(error.contains("job 1: ") && error.contains("1 jobs could not"), "{error}");
        assert_eq!(count(&bench, "submitted"), 1, "{platform}");
    }
}

#[test]
fn a_job_that_was_answered_is_never_sent_again_while_no_list_shows_it() {
    let server = Server::start(&["--noiseless"]);
    for odd in ODD.iter().filter(|odd| **odd != "answer:text").chain(&["truncate"]) {
        let bench = Bench::new();
        let (before, sent) = (server.tasks().len(), server.received("run"));
        let submit = ["submit", &model(), "play music", "--url", &server.url];
        server.faults(&["list=stale*always", &format!("run={odd}")]);
        let error = bench.bad(&submit);
        assert!(error.contains("it was not sent again"), "{odd}: {error}");
        assert!(error.contains("was answered, but with no task"), "{odd}: {error}");
        for _ in 0..2 {
            bench.bad(&["submit", "--resume", "words"]);
        }
        assert_eq!(server.received("run"), sent + 1, "{odd}");
        assert_eq!((count(&bench, "sending"), count(&bench, "ready")), (1, 1), "{odd}");
        // The list shows it in the end.
        server.faults(&[]);
        bench.good(&["submit", "--resume", "words"]);
        bench.good(&["fetch"]);
        assert_eq!(server.tasks().len(), before + 2, "{odd}");
        assert_eq!(count(&bench, "finished"), 2, "{odd}");
    }
}

#[test]
fn the_task_of_another_job_is_never_taken() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let submit = ["submit", &model(), "play music", "--url", &server.url];
    server.faults(&["run=answer:same*always", "list=stale*always"]);
    // The first task of all is the first job's own.
    let error = bench.bad(&submit);
    assert!(error.contains("is the task of qdllm-"), "{error}");
    let error = bench.bad(&[&submit[..], &["--name", "other"]].concat());
    assert!(error.contains("is the task of another batch"), "{error}");
    assert_eq!(server.received("run"), 3);
    let jobs = bench.jobs();
    let doubtful = jobs.iter().find(|j| j["state"] == "sending").unwrap();
    let pair = format!("{}={}", doubtful["name"].as_str().unwrap(), server.tasks()[0]["id"]);
    for batch in bench.json(&["status", "--json"]).as_array().unwrap() {
        let batch = batch["batch"].as_str().unwrap();
        bench.bad(&["submit", "--resume", batch, "--received", &pair]);
    }
    server.faults(&[]);
    for name in [&[][..], &["--name", "other"]] {
        let said = bench.json(&[&submit[..], &["--json"], name].concat());
        bench.good(&["fetch", said["batch"].as_str().unwrap()]);
    }
    complete(&bench, &server, 4);
}

#[test]
fn answers_that_come_too_late_are_looked_up_and_not_repeated() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        through(&server, platform, &["run=slow:900*2", "result=slow:900"], &["--timeout", "0.4"]);
    }
}

#[test]
fn a_queue_and_slow_tasks_are_waited_for() {
    let server = Server::start(&["--noiseless", "--delay", "20", "--queue", "10"]);
    through(&server, "sqc", &[], &[]);
}

#[test]
fn refusals_stop_at_once_and_the_batch_goes_on_afterwards() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        for (fault, message) in [
            ("run=401", "HTTP 401"),
            ("run=422", "HTTP 422"),
            ("run=403", "is the token right"),
            ("run=404", "HTTP 404"),
            ("run=302", "redirections are not followed"),
            ("run=429:9999", "come back in 9999 s"),
        ] {
            let bench = Bench::new();
            let texts = bench.texts(2);
            let (before, sent) = (server.tasks().len(), server.received("run"));
            let model = model();
            let submit =
                ["submit", &model, "--data", &texts, "--url", &server.url, "--platform", platform];
            server.faults(&[fault]);
            let error = bench.bad(&submit);
            assert!(error.contains(message) && error.contains("--resume"), "{fault}: {error}");
            // No second try of what was refused.
            assert_eq!(server.received("run"), sent + 1, "{platform} {fault}");
            assert!(bench.jobs().iter().all(|j| j["state"] == "ready"));
            bench.good(&submit);
            bench.good(&["fetch"]);
            assert_eq!(server.tasks().len(), before + 4);
            assert!(bench.jobs().iter().all(|j| j["state"] == "finished"));
        }
    }
}

#[test]
fn a_failed_task_is_told_and_sent_once_more_when_asked() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        let bench = Bench::new();
        server.faults(&["run=fail"]);
        let batch = bench.json(&[
            "submit",
            &model(),
            "play music",
            "--url",
            &server.url,
            "--platform",
            platform,
            "--json",
        ]);
        let id = batch["batch"].as_str().unwrap();
        let error = bench.bad(&["fetch"]);
        assert!(error.contains("1 failed") && error.contains("--retry-failed"), "{error}");
        let failed = bench.jobs().into_iter().find(|j| j["state"] == "failed").unwrap();
        assert!(failed["error"].as_str().unwrap().contains("lost synchronisation"));
        bench.good(&["submit", "--resume", id, "--retry-failed"]);
        bench.good(&["fetch"]);
        let jobs = bench.jobs();
        let again = jobs.iter().find(|j| j["number"] == failed["number"]).unwrap();
        assert_eq!(again["name"], format!("{}-r2", failed["name"].as_str().unwrap()));
        assert_eq!(again["earlier"][0]["task"], failed["task"]);
        assert!(jobs.iter().all(|j| j["state"] == "finished"));
    }
}

#[test]
fn a_server_that_is_gone_leaves_a_batch_that_goes_on() {
    let bench = Bench::new();
    let server = Server::start(&["--noiseless"]);
    let url = server.url.clone();
    bench.good(&["submit", &model(), "play music", "--url", &url]);
    drop(server);
    let error = bench.bad(&["fetch", "--tries", "2"]);
    assert!(error.contains("no answer after 2 tries"), "{error}");
    assert!(bench.jobs().iter().all(|j| j["state"] == "submitted"));
}

#[test]
fn a_doubtful_job_is_never_sent_again_by_itself() {
    // The list cannot be had: nobody knows whether the job was received.
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    server.faults(&["run=cut", "list=404*always"]);
    let submit = ["submit", &model(), "play music", "--url", &server.url];
    bench.bad(&submit);
    bench.bad(&submit);
    assert_eq!(server.tasks().len(), 1);
    let job = bench.jobs().into_iter().find(|j| j["state"] == "sending").unwrap();
    let task = server.tasks()[0].clone();
    assert_eq!(job["name"], task["name"]);
    // The user looked it up.
    let found = format!("{}={}", job["name"].as_str().unwrap(), task["id"]);
    bench.good(&["submit", "--resume", "words", "--received", &found]);
    bench.good(&["fetch"]);
    complete(&bench, &server, 2);
}

#[test]
fn a_list_that_shows_a_task_late_is_asked_until_it_is_settled() {
    let server = Server::start(&["--noiseless"]);
    through(&server, "sqc", &["run=cut", "list=stale"], &["--settle", "2"]);
}

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
fn a_damaged_batch_hides_no_other() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let (model, names) = (model(), ["one", "two", "three"]);
    for name in names {
        bench.good(&["submit", &model, "play music", "--url", &server.url, "--name", name]);
    }
    let all = bench.json(&["status", "--json"]);
    let id = |i: usize| all[i]["batch"].as_str().unwrap().to_owned();
    for i in [0, 1] {
        std::fs::write(bench.store().join(id(i)).join("batch.json"), "{").unwrap();
    }
    for more in [&[][..], &["--json"]] {
        let output = bench.run(&[&["status"], more].concat());
        let (out, err) = super::texts(&output);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(out.contains(&id(2)) && !out.contains(&id(0)), "{out}");
        assert!(
            err.contains(&id(0)) && err.contains(&id(1)) && err.contains("batch.json"),
            "{err}"
        );
    }
    bench.good(&["status", &id(2)]);
    bench.good(&["fetch", &id(2)]);
    assert!(bench.bad(&["fetch", &id(0)]).contains("batch.json"));
    // The newest may be a damaged one; and what was sent already is not known.
    assert!(bench.bad(&["fetch"]).contains("batch.json"));
    let again = ["submit", &model, "turn on", "--url", &server.url];
    assert!(bench.bad(&again).contains("batch.json"));
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
