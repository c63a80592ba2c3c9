//! The host's client and the command `qdllm-hw board` against the firmware's app, real code at both ends, over
//! TCP on this machine and at serial devices: good use and bad.

use clap::Parser as _;
use ed25519_compact::{KeyPair, Seed};
use qdllm_app::BoardConfig;
use qdllm_host::hex;
use qdllm_link::message::Request;
use qdllm_link::{Fault, frame};
use qdllm_runtime::format::{Container, Kind, write};
use qdllm_runtime::{Model, Scratch};
use qdllm_tests::board::{MICROSECONDS, SLOT_BYTES, long_model, start};
use qdllm_tools::board::{BoardError, Client, Link, Port, transfer};
use qdllm_tools::cli::{Cli, Command};
use qdllm_tools::commands::board;
use qdllm_tools::keys;
use serde_json::Value;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

const MODEL: &[u8] = include_bytes!("../vectors/words_v1.qdm");

fn connect(address: SocketAddr) -> Client<Port> {
    let name = format!("tcp:{address}");
    Client::new(Port::open(&name, 115_200).unwrap(), &name)
}

#[test]
fn the_board_answers_as_the_host_does() {
    let mut client = connect(start(Some(MODEL.to_vec()), |about| about));
    let about = client.info().unwrap();
    assert_eq!((about.board.as_str(), about.active_slot, about.classes), ("host", Some(0), 3));
    assert_eq!(about.capacity_bytes, SLOT_BYTES - 256);
    let model = Model::parse(MODEL).unwrap();
    for text in ["turn on the porch light", "", "set a timer for ten minutes", "play \u{e9}"] {
        let answer = client.classify(text).unwrap();
        let mut scratch = Scratch::new();
        let expected = model.classify(text, &mut scratch).unwrap();
        assert_eq!(answer.probabilities, expected.probabilities());
        assert_eq!(answer.label, model.label(expected.class()));
        assert_eq!(answer.found, expected.found());
        assert_eq!(answer.cost.microseconds, MICROSECONDS);
    }
    assert_eq!(client.bench(3).unwrap().microseconds, MICROSECONDS);
    // Longer than a frame takes: refused here, and the next request is answered.
    let long = client.classify(&"x ".repeat(2000)).unwrap_err();
    assert!(matches!(long, BoardError::Refused(Fault::FrameTooLong)), "{long}");
    assert!(client.info().is_ok());
}

#[test]
fn put_activate_and_roll_back() {
    let address = start(Some(MODEL.to_vec()), |about| BoardConfig { ahead_bytes: 4096, ..about });
    let mut client = connect(address);
    let about = client.info().unwrap();
    let file = long_model(MODEL, 35 * 1024);
    let mut heard = Vec::new();
    let id =
        transfer::send_model(&mut client, &about, &file, &mut |bytes| heard.push(bytes)).unwrap();
    assert!(heard.is_sorted() && heard.last() == Some(&(file.len() as u32)), "{heard:?}");
    // Put again: nothing is sent.
    heard.clear();
    transfer::send_model(&mut client, &about, &file, &mut |bytes| heard.push(bytes)).unwrap();
    assert_eq!(heard, [file.len() as u32]);
    assert!(client.switch(&Request::Activate(id)).unwrap());
    let mut again = || Ok(connect(address));
    let (mut client, about) = transfer::restarted(client, &mut again, Some(id)).unwrap();
    assert_eq!((about.model, about.active_slot), (Some(id), Some(1)));
    assert_eq!(client.classify("turn on the porch light").unwrap().label, "light");
    assert!(!client.switch(&Request::Activate(id)).unwrap());
    assert!(client.switch(&Request::Rollback(id)).unwrap());
    let (_, about) = transfer::restarted(client, &mut again, None).unwrap();
    assert_eq!(about.model, Some(transfer::id(MODEL).unwrap()));
}

#[test]
fn a_board_without_a_model_says_so_and_takes_one() {
    let address = start(None, |about| about);
    let mut client = connect(address);
    let about = client.info().unwrap();
    assert_eq!((about.model, about.active_slot), (None, None));
    let refused = client.classify("hello").unwrap_err();
    assert!(matches!(refused, BoardError::Refused(Fault::SlotBlank)), "{refused}");
    let id = transfer::send_model(&mut client, &about, MODEL, &mut |_| {}).unwrap();
    client.switch(&Request::Activate(id)).unwrap();
    let (mut client, _) =
        transfer::restarted(client, &mut || Ok(connect(address)), Some(id)).unwrap();
    assert!(client.classify("hello").is_ok());
}

/// A link that breaks, or damages and loses bytes.
struct Bad {
    port: Port,
    /// Bytes that still go through before the link breaks.
    left: usize,
    /// Every so many bytes one is changed; 0 is never.
    damage: usize,
    sent: usize,
}

impl Link for Bad {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.left {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.left -= bytes.len();
        let mut bytes = bytes.to_vec();
        for byte in &mut bytes {
            self.sent += 1;
            if self.damage > 0 && self.sent.is_multiple_of(self.damage) {
                *byte ^= 0x10;
            }
        }
        self.port.send(&bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        self.port.receive(buffer, wait)
    }
}

fn bad(address: SocketAddr, left: usize, damage: usize) -> Client<Bad> {
    let port = Port::open(&format!("tcp:{address}"), 0).unwrap();
    Client::new(Bad { port, left, damage, sent: 0 }, "bad")
}

#[test]
fn a_broken_link_is_taken_up_where_it_broke() {
    let address = start(Some(MODEL.to_vec()), |about| BoardConfig { ahead_bytes: 4096, ..about });
    let file = long_model(MODEL, 20 * 1024);
    let mut client = bad(address, 12_000, 0);
    let about = client.info().unwrap();
    let lost = transfer::send_model(&mut client, &about, &file, &mut |_| {}).unwrap_err();
    assert!(matches!(lost, BoardError::Lost { .. }), "{lost}");
    assert!(lost.to_string().contains("of 20"), "{lost}");
    drop(client);
    let mut client = connect(address);
    let mut first = None;
    transfer::send_model(&mut client, &about, &file, &mut |bytes| {
        first.get_or_insert(bytes);
    })
    .unwrap();
    // What was on its way when the link broke may or may not have arrived.
    assert!(first > Some(6 * 1024), "went on at {first:?}");
    assert_eq!(client.info().unwrap().model, Some(transfer::id(MODEL).unwrap()));
}

#[test]
fn damaged_frames_are_sent_again() {
    let address = start(Some(MODEL.to_vec()), |about| BoardConfig { ahead_bytes: 4096, ..about });
    let file = long_model(MODEL, 20 * 1024);
    let mut client = bad(address, usize::MAX, 5003);
    client.patience = Duration::from_millis(500);
    let about = client.info().unwrap();
    let id = transfer::send_model(&mut client, &about, &file, &mut |_| {}).unwrap();
    assert!(client.switch(&Request::Activate(id)).unwrap());
}

#[test]
fn what_cannot_work_ends_with_a_sentence_that_says_what_to_do() {
    let address = start(Some(MODEL.to_vec()), |about| BoardConfig { max_classes: 2, ..about });
    let mut client = connect(address);
    let about = client.info().unwrap();
    let error = |file: &[u8]| transfer::check(&about, file).unwrap_err().to_string();
    assert!(error(&long_model(MODEL, 80_000)).contains("fewer rows"));
    assert!(error(MODEL).contains("3 classes and this board takes 2"));
    assert!(error(b"not a model").contains("too short"));
    let open = |name: &str| Port::open(name, 115_200).map(drop).unwrap_err().to_string();
    assert!(
        open("/dev/no-such-port").contains("plug the board in"),
        "{}",
        open("/dev/no-such-port")
    );
    assert!(open("tcp:nonsense").contains("tcp:HOST:PORT"));
    // A port that this test keeps and on which nothing listens.
    let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    dead.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let free = dead.local_addr().unwrap().as_socket().unwrap();
    assert!(open(&format!("tcp:{free}")).contains("start the emulator"));
}

#[test]
fn what_is_no_qdllm_board_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (greeted, greeting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut streams = Vec::new();
        for stream in listener.incoming().flatten() {
            use io::Write as _;
            let mut stream = stream;
            let _ = stream.write_all(b"login: ");
            streams.push(stream);
            let _ = greeted.send(());
        }
    });
    let mut client = connect(address);
    // However busy this machine is, the words are there before the client's patience ends.
    greeting.recv().unwrap();
    client.patience = Duration::from_millis(100);
    let error = client.info().unwrap_err();
    assert!(matches!(error, BoardError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("flash the firmware"), "{error}");
}

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
    let port =
        port(start(Some(MODEL.to_vec()), |about| BoardConfig { ahead_bytes: 4096, ..about }));
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

/// The key of the boards that have one.
fn key() -> KeyPair {
    KeyPair::from_seed(Seed::new([3; 32]))
}

fn signed(model: &[u8], version: u32, minimum: u32) -> Vec<u8> {
    keys::sign(Path::new("model"), model, &key(), version, minimum).unwrap()
}

fn with_key(about: BoardConfig) -> BoardConfig {
    BoardConfig { key: Some(*key().pk), ahead_bytes: 4096, ..about }
}

#[test]
fn a_board_with_a_key_is_told_first_what_is_signed() {
    let address = start(Some(signed(MODEL, 5, 5)), with_key);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let new = signed(&long_model(MODEL, 20_000), 6, 5);
    let put = say(&port(address), &["put", &file("new", &new), "--activate"]).unwrap();
    assert!(put.contains("sent and in use"), "{put}");
    // Its lowest version is that of the one before: the way back is open.
    assert_eq!(json(&port(address), &["info"])["slots"][0]["fault"], 0);
    assert_eq!(json(&port(address), &["rollback"])["bytes"], signed(MODEL, 5, 5).len());
    // A higher one closes it, and that is said before somebody needs it.
    let higher = file("higher", &signed(&long_model(MODEL, 19_000), 7, 6));
    say(&port(address), &["put", &higher, "--activate"]).unwrap();
    let info = say(&port(address), &["info"]).unwrap();
    assert!(info.contains("slot 0     model is older than this board still takes"), "{info}");
    assert!(say(&port(address), &["rollback"]).unwrap_err().contains("number 153"));
    // Signed before there were announcements: refused, with what to do, by whichever end is newer.
    let container = Container::parse(&new).unwrap();
    let kinds = container.kinds().filter(|&kind| kind != Kind::Announcement);
    let sections = kinds.map(|kind| (kind, container.get(kind).unwrap().to_vec()));
    let before = write(&sections.collect::<Vec<_>>());
    let refused = say(&port(address), &["put", &file("before", &before)]).unwrap_err();
    assert!(refused.contains("sign it anew") && refused.contains("number 154"), "{refused}");
}

/// A link to a board of before: it does not know what begins with an announcement.
struct Before(Port);

impl Link for Before {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = bytes[2..bytes.len() - 1].to_vec();
        let decoded = frame::decode(&mut inner).unwrap().to_vec();
        match frame::open::<Request<'_>>(&decoded) {
            Ok((number, Request::BeginSigned { .. })) => {
                let mut buffer = [0; frame::WIRE_BYTES];
                self.0.send(frame::encode(number, &250_u8, &mut buffer).unwrap())
            }
            _ => self.0.send(bytes),
        }
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        self.0.receive(buffer, wait)
    }
}

#[test]
fn a_board_of_before_takes_what_is_signed_today() {
    let address = start(Some(MODEL.to_vec()), |about| about);
    let mut client = Client::new(Before(Port::open(&port(address), 0).unwrap()), "before");
    let mut about = client.info().unwrap();
    about.key = Some(hex::encode(&key().pk[..8]));
    let file = signed(MODEL, 6, 6);
    let id = transfer::send_model(&mut client, &about, &file, &mut |_| {}).unwrap();
    assert!(client.switch(&Request::Activate(id)).unwrap());
}

/// Pairs of pseudo terminals.
#[cfg(unix)]
mod serial {
    use super::{MODEL, say};
    use qdllm_tests::board::{line, long_model, start_serial};
    use qdllm_tools::board::Port;
    use std::io::{Read as _, Write as _};

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
}
