//! `qdllm-hw board` at real serial devices: pairs of pseudo terminals, good use and bad.
#![cfg(unix)]

use clap::Parser as _;
use qdllm_tests::board::{line, long_model, start_serial};
use qdllm_tools::board::Port;
use qdllm_tools::cli::{Cli, Command};
use qdllm_tools::commands::board;
use std::io::{Read as _, Write as _};

const MODEL: &[u8] = include_bytes!("../vectors/words_v1.qdm");

/// What the command prints, or the error's words.
fn say(port: &str, arguments: &[&str]) -> Result<String, String> {
    let words = ["qdllm-hw", "board", "--port", port].into_iter().chain(arguments.iter().copied());
    let Command::Board(args) = Cli::try_parse_from(words).map_err(|e| e.to_string())?.command
    else {
        return Err("another command".to_owned());
    };
    let mut out = Vec::new();
    board::answer(&args, &mut out).map_err(|error| format!("{error:#}"))?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

#[test]
fn a_serial_line_carries_everything() {
    let port = start_serial(MODEL.to_vec(), usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.qdm");
    std::fs::write(&file, long_model(MODEL, 30_000)).unwrap();
    assert!(say(&port, &["info"]).unwrap().contains("slot 0     in use (1532 bytes)"));
    let put = say(&port, &["put", &file.display().to_string(), "--activate"]).unwrap();
    assert!(put.contains("sent and in use") && put.contains("slot in use: 1"), "{put}");
    assert!(say(&port, &["classify", "turn on the porch light"]).unwrap().contains("light"));
    assert!(say(&port, &["rollback"]).unwrap().contains("slot in use: 0"));
    // The one before is in use again: there is nothing new to activate.
    let nothing = say(&port, &["activate"]).unwrap_err();
    assert!(nothing.contains("given up"), "{nothing}");
    // The same file again: it is sent anew, not taken for the one that was given up.
    let put = say(&port, &["put", &file.display().to_string(), "--activate"]).unwrap();
    assert!(put.contains("slot in use: 1"), "{put}");
    let nothing = say(&port, &["activate"]).unwrap_err();
    assert!(nothing.contains("rollback"), "{nothing}");
}

#[test]
fn a_port_that_another_program_has_is_named_as_busy() {
    let port = start_serial(MODEL.to_vec(), usize::MAX);
    let monitor = Port::open(&port, 115_200).unwrap();
    let busy = say(&port, &["info"]).unwrap_err();
    assert!(busy.contains("in use by another program: close"), "{busy}");
    drop(monitor);
    assert!(say(&port, &["info"]).is_ok());
}

#[test]
fn what_is_no_port_is_said_so() {
    let absent = say("/dev/ttyNOSUCH9", &["info"]).unwrap_err();
    assert!(absent.contains("there is no port /dev/ttyNOSUCH9; "), "{absent}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = say(&file.path().display().to_string(), &["info"]).unwrap_err();
    assert!(file.contains("names no port: give a device such as"), "{file}");
}

#[test]
fn a_line_with_nobody_at_its_end_is_found_out() {
    let (_silent, port) = line();
    let silent = say(&port, &["info"]).unwrap_err();
    assert!(silent.contains("is open, but nothing answers: check"), "{silent}");
    assert!(silent.contains("flash the firmware"), "{silent}");
}

#[test]
fn a_line_that_sends_everything_back_is_found_out() {
    let (mut echo, port) = line();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        loop {
            match echo.read(&mut buffer) {
                Ok(count) => echo.write_all(&buffer[..count]).unwrap(),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    });
    let echo = say(&port, &["info"]).unwrap_err();
    assert!(echo.contains("only sends back what it is sent"), "{echo}");
}

#[test]
fn a_cable_pulled_in_the_middle_of_put_says_how_to_go_on() {
    let port = start_serial(MODEL.to_vec(), 12_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.qdm");
    let model = long_model(MODEL, 30_000);
    std::fs::write(&file, &model).unwrap();
    let lost = say(&port, &["put", &file.display().to_string(), "--activate"]).unwrap_err();
    assert!(lost.contains(&format!(" of {} bytes; ", model.len())), "{lost}");
    assert!(lost.contains("was lost after ") && !lost.contains("after 0 of"), "{lost}");
    assert!(lost.contains("keeps the model that it has: check the cable"), "{lost}");
}
