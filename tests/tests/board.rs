//! The host's client and the firmware's app, real code at both ends, over TCP on this machine.

use qdllm_link::Fault;
use qdllm_link::message::Request;
use qdllm_runtime::{Model, Scratch};
use qdllm_tests::board::{MICROSECONDS, SLOT_BYTES, long_model, start};
use qdllm_tools::board::{BoardError, Client, Link, Port, transfer};
use std::io;
use std::net::{SocketAddr, TcpListener};
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
    let address = start(Some(MODEL.to_vec()), |about| about.with_ahead_bytes(4096));
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
    let address = start(Some(MODEL.to_vec()), |about| about.with_ahead_bytes(4096));
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
    let address = start(Some(MODEL.to_vec()), |about| about.with_ahead_bytes(4096));
    let file = long_model(MODEL, 20 * 1024);
    let mut client = bad(address, usize::MAX, 5003);
    client.patience = Duration::from_millis(500);
    let about = client.info().unwrap();
    let id = transfer::send_model(&mut client, &about, &file, &mut |_| {}).unwrap();
    assert!(client.switch(&Request::Activate(id)).unwrap());
}

#[test]
fn what_cannot_work_ends_with_a_sentence_that_says_what_to_do() {
    let address = start(Some(MODEL.to_vec()), |about| about.with_max_classes(2));
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
