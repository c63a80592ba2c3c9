//! What does not pass is said once, with the endpoint, the status and what to do.

use std::time::Duration;

use super::run::{Bench, said};
use super::server::{Fault, Offers, Server};

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
    for (extra, says) in [
        (&["--classes", "one"][..], "at least 2"),
        (&["--classes", "a,b", "--class-words", "same,same"], "share"),
        (&["--prompt", "no place for it"], "{text}"),
        (&["--key-env", "QDLLM_NOT_SET_ANYWHERE"], "not set"),
        (&["--key-file", "nothing"], "nothing"),
        (&["--timeout", "0"], "--timeout"),
        (&["--classes", "missing.toml"], "missing.toml"),
    ] {
        let message = bench.bad(&server.url(), extra);
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
