//! `qdllm-hw board` as a user runs it, against the firmware's app over TCP on this machine.

use clap::Parser as _;
use qdllm_tests::board::{long_model, start};
use qdllm_tools::cli::{Cli, Command};
use qdllm_tools::commands::board;
use serde_json::Value;
use std::net::SocketAddr;

const MODEL: &[u8] = include_bytes!("../vectors/words_v1.qdm");

/// What the command prints, or the error's words.
fn say(port: &str, arguments: &[&str]) -> Result<String, String> {
    let line = ["qdllm-hw", "board", "--port", port].into_iter().chain(arguments.iter().copied());
    let Command::Board(args) = Cli::try_parse_from(line).map_err(|e| e.to_string())?.command else {
        return Err("another command".to_owned());
    };
    let mut out = Vec::new();
    board::answer(&args, &mut out).map_err(|error| format!("{error:#}"))?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

fn json(port: &str, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&say(port, &all).unwrap()).unwrap()
}

fn port(address: SocketAddr) -> String {
    format!("tcp:{address}")
}

#[test]
fn a_model_is_put_activated_and_given_up() {
    let port = port(start(Some(MODEL.to_vec()), |about| about.with_ahead_bytes(4096)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.qdm");
    let new = long_model(MODEL, 30_000);
    std::fs::write(&file, &new).unwrap();
    let file = file.display().to_string();

    let before = json(&port, &["info"]);
    assert_eq!((&before["active_slot"], &before["classes"]), (&0.into(), &3.into()));
    assert_eq!(before["slots"][1]["fault"], 120);
    // Nothing to activate yet.
    let refused = say(&port, &["activate"]).unwrap_err();
    assert!(refused.contains("put one first"), "{refused}");

    let put = json(&port, &["put", &file]);
    assert_eq!((&put["bytes"], &put["active_slot"]), (&new.len().into(), &0.into()));
    assert_eq!(json(&port, &["info"])["slots"][1]["fault"], 124);
    let activated = json(&port, &["activate"]);
    assert_eq!((&activated["bytes"], &activated["active_slot"]), (&new.len().into(), &1.into()));
    let back = json(&port, &["rollback"]);
    assert_eq!((&back["bytes"], &back["active_slot"]), (&MODEL.len().into(), &0.into()));
    let none = say(&port, &["rollback"]).unwrap_err();
    assert!(none.contains("no earlier model") && none.contains("145"), "{none}");
    // Both steps in one.
    assert_eq!(json(&port, &["put", &file, "--activate"])["active_slot"], 1);
}

#[test]
fn people_and_programs_read_the_answers() {
    let port = port(start(Some(MODEL.to_vec()), |about| about));
    let lines = say(&port, &["classify", "turn on the porch light", "play", "--json"]).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["label"], &first["class"]), (&"light".into(), &0.into()));
    assert_eq!(first["probabilities"].as_array().unwrap().len(), 3);
    assert_eq!(lines.lines().count(), 2);
    let line = say(&port, &["classify", "turn on the porch light"]).unwrap();
    assert!(line.starts_with("0.7071  light"), "{line}");
    assert!(say(&port, &["info"]).unwrap().contains("takes      models up to 65280 bytes"));
    assert_eq!(say(&port, &["bench", "--runs", "2"]).unwrap(), "host: 1234 us a classification\n");
}

#[test]
fn bad_use_says_what_to_do() {
    let port = port(start(Some(MODEL.to_vec()), |about| about));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.qdm");
    std::fs::write(&file, long_model(MODEL, 70_000)).unwrap();
    let large = say(&port, &["put", &file.display().to_string()]).unwrap_err();
    assert!(large.contains("takes 65280: train one with fewer rows"), "{large}");
    std::fs::write(&file, b"nothing").unwrap();
    let nothing = say(&port, &["put", &file.display().to_string()]).unwrap_err();
    assert!(nothing.contains("large.qdm") && nothing.contains("too short"), "{nothing}");
    let absent = say(&port, &["put", "no-such.qdm"]).unwrap_err();
    assert!(absent.contains("no-such.qdm: cannot be read"), "{absent}");
    let unnamed = say("", &["info"]).unwrap_err();
    assert!(unnamed.contains("tcp:HOST:PORT"), "{unnamed}");
    assert!(say(&port, &["bench", "--runs", "0"]).is_err());
}
