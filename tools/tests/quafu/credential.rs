//! A token is nowhere but in the request's header.

use super::{Bench, Server, TOKEN, texts};
use crate::{BINARY, model};
use std::process::Stdio;

/// Fails if the token is in a text.
fn clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains(TOKEN), "{what}: {text}");
    // Nor a recognisable part of it.
    assert!(!text.contains(&TOKEN[3..15]), "{what}: {text}");
}

#[test]
fn it_is_in_no_output_and_no_file() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        let bench = Bench::new();
        let (model, data) = (model(), bench.texts(2));
        let place = ["--url", &server.url, "--platform", platform];
        let submit = [&["submit", &model, "--data", &data, "-vv"], &place[..]].concat();
        let backends = [&["backends", "-vv"], &place[..]].concat();
        for fault in [
            "run=echo",
            "backends=echo",
            "run=401",
            "run=422",
            "run=cut",
            "run=500",
            "run=truncate",
            "list=echo",
            "chip=echo",
            "any=429:9999",
            "any=echo*always",
        ] {
            server.faults(&[fault]);
            for arguments in [
                &submit[..],
                &backends,
                &["fetch", "--no-wait", "-vv"],
                &["status", "words", "--live", "-vv"],
            ] {
                let output =
                    bench.command(arguments).env("RUST_BACKTRACE", "full").output().unwrap();
                clean(fault, &output.stdout);
                clean(fault, &output.stderr);
            }
        }
        server.faults(&["run=fail"]);
        for arguments in
            [&submit[..], &["fetch", "-vv"], &["fetch", "--json"], &["cancel", "words", "-vv"]]
        {
            let output = bench.run(arguments);
            clean("", &output.stdout);
            clean("", &output.stderr);
        }
        // -vv does say something.
        let said = texts(&bench.run(&backends)).1;
        assert!(said.contains("GET /"), "{said}");
        assert!(!bench.jobs().is_empty());
        for (path, bytes) in bench.files() {
            clean(&path.display().to_string(), &bytes);
        }
        // The server did see it.
        assert!(server.received("run") > 0);
    }
}

#[test]
fn it_is_taken_from_a_file_that_is_closed_to_others() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let file = bench.write("token", &format!("{TOKEN}\n"));
    let with = |file: &str| {
        let mut command =
            bench.command(&["backends", "--url", &server.url, "--token-file", file, "-vv"]);
        command.env_remove("QPU_API_TOKEN").output().unwrap()
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |m| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(m)).unwrap();
        mode(0o644);
        let error = texts(&with(&file)).1;
        assert!(error.contains("can be read by others") && error.contains("chmod 600"), "{error}");
        clean("", error.as_bytes());
        mode(0o600);
    }
    let output = with(&file);
    assert!(output.status.success(), "{}", texts(&output).1);
    clean("", &output.stderr);
    // A token where the file's name belongs is not repeated, either.
    let output = with(TOKEN);
    assert_eq!(output.status.code(), Some(2));
    clean("", &output.stderr);
}

#[test]
fn it_is_refused_on_the_command_line_and_not_repeated() {
    let bench = Bench::new();
    for arguments in [
        &["submit", "--token", TOKEN][..],
        &["submit", "--token=qf_Zx9Vb7Qm3TkLw8Rj", "a", "b"],
        &["fetch", "--api-key", TOKEN],
        &["backends", "--url", "http://qf_Zx9Vb7Qm3TkLw8Rj@127.0.0.1:1"],
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        clean("", &output.stderr);
        clean("", &output.stdout);
        assert!(texts(&output).1.contains("must not stand on the command line"));
    }
    let help = texts(&bench.run(&["submit", "--help"])).0;
    assert!(!help.contains("--token ") && help.contains("--token-file"), "{help}");
}

#[test]
fn an_address_that_is_not_safe_gets_no_token() {
    let bench = Bench::new();
    for url in [
        "http://example.org",
        "http://192.0.2.1:80",
        "http://127.0.0.1.example.org",
        "ftp://localhost",
    ] {
        let output = bench.run(&["backends", "--url", url]);
        let error = texts(&output).1;
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("no address to send a token to"), "{error}");
    }
    // Without a token nothing is asked, either.
    let server = Server::start(&[]);
    let output = bench
        .command(&["backends", "--url", &server.url])
        .env_remove("QPU_API_TOKEN")
        .output()
        .unwrap();
    let error = texts(&output).1;
    assert!(error.contains("no token: set QPU_API_TOKEN"), "{error}");
    assert_eq!(server.received("backends"), 0);
}

/// The command lines and the environment-free parts of what the system shows of a process.
#[test]
#[cfg(target_os = "linux")]
fn it_is_not_on_the_command_line_that_the_system_shows() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    server.faults(&["run=slow:60000*always"]);
    let mut child = bench
        .command(&["submit", &model(), "play music", "--url", &server.url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.wait_for("run", 0, &mut child);
    let line = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(line.starts_with(BINARY.as_bytes()));
    clean("command line", &line);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Standard output cannot be written: an error, and no panic with what memory held.
#[test]
#[cfg(target_os = "linux")]
fn it_is_in_no_error_of_a_full_disk() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = bench
        .command(&["backends", "--url", &server.url, "-vv"])
        .env("RUST_BACKTRACE", "full")
        .stdout(full)
        .output()
        .unwrap();
    let error = texts(&output).1;
    assert!(error.contains("No space left") && !error.contains("panicked"), "{error}");
    clean("full disk", &output.stderr);
}
