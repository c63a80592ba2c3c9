//! `FORMAT.md` says what the code does.

use qdllm_runtime::circuit::program::MAX_OUTPUTS;
use qdllm_runtime::circuit::program::MAX_TERMS;
use qdllm_runtime::compiled::polynomial::{MAX_NODES, VALUE_BITS, WEIGHT_BITS};
use qdllm_runtime::compiled::tensor_train::{MAX_BOND, Work};
use qdllm_runtime::format::meta::TOKEN_RULES;
use qdllm_runtime::format::{CHECKSUM_BYTES, ENTRY_BYTES, HEADER_BYTES, Kind, MAGIC, VERSION};
use qdllm_runtime::text::vocabulary::{MAX_BUCKET_BITS, MAX_ROWS};
use qdllm_runtime::{MAX_CLASSES, Probabilities, QUBITS, Scratch};

const TEXT: &str = include_str!("../../runtime/FORMAT.md");

#[test]
fn every_section_is_in_the_document() {
    for kind in Kind::ALL {
        let row = format!("| {:#06x} | {} |", kind as u16, kind.name());
        assert!(TEXT.contains(&row), "FORMAT.md has no row {row}");
    }
    let rows = TEXT.lines().filter(|l| l.starts_with("| 0x")).count();
    assert_eq!(rows, Kind::ALL.len(), "the document lists a section that the code does not have");
}

#[test]
fn numbers_in_the_document_are_those_of_the_code() {
    let magic = std::str::from_utf8(&MAGIC).unwrap();
    assert!(TEXT.contains(&format!("magic `{magic}`")));
    assert!(TEXT.contains(&format!("format version {VERSION}")));
    assert!(TEXT.contains(&format!("fewer than {} bytes", HEADER_BYTES + CHECKSUM_BYTES)));
    assert!(TEXT.contains(&format!("| 12 | {ENTRY_BYTES} a section |")) && HEADER_BYTES == 12);
    assert!(TEXT.contains(&format!("| classes | `u8` | 2 to {MAX_CLASSES} |")));
    assert!(TEXT.contains(&format!("1 to {MAX_ROWS}")));
    assert!(TEXT.contains(&format!("| `u8` | 0 to {MAX_BUCKET_BITS} |")));
    assert!(TEXT.contains(&format!(
        "| `u8` | 1 or {TOKEN_RULES}: the rules of `text/token.rs` and `text/ngram.rs` |"
    )));
    assert!(TEXT.contains(&format!("qubits `u8` (1 to {QUBITS})")));
    assert!(TEXT.contains(&format!("outputs `u8` (1 to {MAX_OUTPUTS})")));
    assert!(TEXT.contains(&format!("terms `u8` (at most {MAX_TERMS})")));
    assert!(TEXT.contains(&format!("number of nodes, `u16` (at most\n{MAX_NODES})")));
    let [least, most] = [WEIGHT_BITS.start(), WEIGHT_BITS.end()];
    assert!(TEXT.contains(&format!("fraction bits of a weight `f`, `u8` ({least} to {most})")));
    assert!(TEXT.contains(&format!("in units of `2^-({VALUE_BITS} + f)`")));
    assert!(TEXT.contains(&format!("the site writes (1 to {MAX_BOND}, and")));
    assert_eq!(
        (size_of::<Work>() + size_of::<Probabilities>(), size_of::<Probabilities>()),
        (1024, 256)
    );
    assert!(TEXT.contains("A train takes 1024 bytes, a polynomial 256."));
    assert_eq!(size_of::<Scratch>() - 16 * 1024, 384);
    assert!(TEXT.contains("16 KiB of amplitudes and 384 bytes"));
}
