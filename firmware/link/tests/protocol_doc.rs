//! The examples in `firmware/PROTOCOL.md` are the bytes that this crate makes, and its list of numbers is
//! the list of faults.

use qdllm_link::Fault;
use qdllm_link::frame::{WIRE_BYTES, decode, encode, open};
use qdllm_link::message::{Announced, Class, Cost, Info, ModelId, Request, Response, Slot};
use serde::Serialize;

const DOC: &str = include_str!("../../PROTOCOL.md");

const MODEL: ModelId = ModelId { length: 1532, checksum: 0x7f65_fa72 };

fn bytes(number: u16, message: &impl Serialize) -> Vec<u8> {
    let mut buffer = [0; WIRE_BYTES];
    encode(number, message, &mut buffer).unwrap().to_vec()
}

fn row(what: &str, bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("| {what} | `{}` |", hex.join(" "))
}

fn rows() -> Vec<String> {
    let info = Info {
        firmware: "0.1.0",
        board: "pico",
        engine: "statevector i16",
        capacity: 65_280,
        ahead_bytes: 2048,
        max_classes: 64,
        engine_ram_bytes: 8448,
        static_ram_bytes: 11_000,
        stack_bytes: 3000,
        key: None,
        floor: 0,
        active: Some(0),
        model: Some(MODEL),
        classes: 3,
        version: 0,
    };
    let class = Class {
        label: "light",
        class: 0,
        probability: 0.75,
        rejected: false,
        found: 2,
        probabilities: &[0, 0, 64, 63, 0, 0, 128, 62, 0, 0, 0, 0],
        cost: Cost { instructions: 0, cycles: 300, microseconds: 5 },
    };
    // The last bytes of the model: a board takes any other number than 28 there for a wrong size.
    let (offset, data) = (MODEL.length - 28, &[7; 28]);
    let announced = Announced { body: 0x1234_5678, version: 7, minimum: 5, signature: &[9; 64] };
    vec![
        row("request 1, Info", &bytes(1, &Request::Info)),
        row("request 2, Slot 1", &bytes(2, &Request::Slot(1))),
        row("request 3, Classify `light on`", &bytes(3, &Request::Classify("light on"))),
        row("request 4, Begin", &bytes(4, &Request::Begin(MODEL))),
        row("request 5, Chunk at 1504 of 28 bytes", &bytes(5, &Request::Chunk { offset, data })),
        row("request 6, Finish", &bytes(6, &Request::Finish(MODEL))),
        row("request 7, Activate", &bytes(7, &Request::Activate(MODEL))),
        row("request 8, Rollback", &bytes(8, &Request::Rollback(MODEL))),
        row("request 9, Bench of 10", &bytes(9, &Request::Bench { runs: 10 })),
        row(
            "request 10, BeginSigned",
            &bytes(10, &Request::BeginSigned { model: MODEL, announced }),
        ),
        row("answer 1, Info", &bytes(1, &Response::Info(info))),
        row(
            "answer 2, Slot with fault 120",
            &bytes(
                2,
                &Response::Slot(Slot {
                    id: ModelId { length: 0, checksum: 0 },
                    sequence: 0,
                    fault: 120,
                }),
            ),
        ),
        row("answer 3, Class", &bytes(3, &Response::Class(class))),
        row("answer 4, Received 0", &bytes(4, &Response::Received(0))),
        row(
            "answer 5, Fault 141, expected 1024",
            &bytes(5, &Response::Fault { number: 141, expected: 1024 }),
        ),
        row("answer 7, Switched, reset", &bytes(7, &Response::Switched { reset: true })),
        row(
            "answer 9, Bench",
            &bytes(9, &Response::Bench(Cost { instructions: 0, cycles: 300, microseconds: 5 })),
        ),
    ]
}

#[test]
fn the_examples_are_what_the_code_makes() {
    let rows = rows();
    let missing: Vec<&String> = rows.iter().filter(|row| !DOC.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "not in the document:\n{missing:#?}");
    let shown = DOC.lines().filter(|line| line.contains("| `00 00 ")).count();
    assert_eq!(shown, rows.len(), "the document shows other examples, too");
}

#[test]
fn the_examples_read_back() {
    for line in DOC.lines().filter(|line| line.contains("| `00 00 ")) {
        let hex = line.split('`').rev().nth(1).unwrap();
        let mut bytes: Vec<u8> =
            hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(bytes.pop(), Some(0));
        let sealed = decode(&mut bytes[2..]).unwrap();
        if line.starts_with("| request") {
            open::<Request<'_>>(sealed).unwrap();
        } else {
            open::<Response<'_>>(sealed).unwrap();
        }
    }
}

#[test]
fn every_fault_is_listed_with_its_number_and_words() {
    let numbers = DOC.split("\n## ").find(|part| part.starts_with("Numbers")).unwrap();
    for number in 0..=u8::MAX {
        let listed = numbers.contains(&format!("\n| {number} | "));
        match Fault::from_number(number) {
            Some(fault) => {
                let row = format!("\n| {number} | {fault} |");
                assert!(numbers.contains(&row), "missing: {row}");
            }
            None => assert!(!listed, "{number} is listed and unknown"),
        }
    }
}
