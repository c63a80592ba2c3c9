//! The model file: frozen samples still read, every damage is an error, and `FORMAT.md` says what the code does.

use qdllm_runtime::circuit::program::MAX_OUTPUTS;
use qdllm_runtime::circuit::program::MAX_TERMS;
use qdllm_runtime::compiled::polynomial::{MAX_NODES, VALUE_BITS, WEIGHT_BITS};
use qdllm_runtime::compiled::tensor_train::{MAX_BOND, Work};
use qdllm_runtime::format::encode::{FrontEndParts, encode};
use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::format::meta::TOKEN_RULES;
use qdllm_runtime::format::{
    CHECKSUM_BYTES, ENTRY_BYTES, HEADER_BYTES, Kind, MAGIC, VERSION, checksum,
};
use qdllm_runtime::text::ngram::grams;
use qdllm_runtime::text::pool::RowBits;
use qdllm_runtime::text::vocabulary::{MAX_BUCKET_BITS, MAX_ROWS};
use qdllm_runtime::{Error, MAX_CLASSES, Model, Probabilities, QUBITS, Scratch};
use qdllm_tests::sample::{
    COMPACT_KINDS, compact_codes, compact_parts, dense_parts, unicode_parts, words_parts,
};
use std::collections::HashMap;
use std::path::Path;

const TEXTS: [&str; 4] =
    ["turn on the porch light", "set timer for 10 minutes", "", "unknown words only"];

fn sample() -> Vec<u8> {
    encode(&words_parts(RowBits::Four)).unwrap()
}

/// Puts a right checksum on changed bytes, so that the checks behind it are reached.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - CHECKSUM_BYTES;
    let crc = checksum(&bytes[..body]);
    bytes[body..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Accents composed and decomposed, a byte order mark, a soft hyphen, a joiner, emoji and flags; signs and digits.
const UNICODE_TEXTS: [&str; 6] = [
    "\u{feff}TÚRN ŌŅ the pôrch lįght",
    "tu\u{301}rn o\u{304}n the po\u{302}rch li\u{328}ght",
    "set ti\u{ad}mer for min\u{200d}utes",
    "lamp💡💡off🇩🇪🇫🇷song❤️",
    "10 minutes++ milk:)",
    "ąęł",
];

#[test]
fn the_frozen_samples_of_version_1_read_as_ever() {
    reads_as_ever("words_v1.qdm", &sample(), (1, 24), &TEXTS);
    let unicode = encode(&unicode_parts()).unwrap();
    reads_as_ever("words_rules3_v1.qdm", &unicode, (1, 24), &UNICODE_TEXTS);
}

#[test]
fn the_frozen_sample_of_version_2_reads_as_ever() {
    let texts = [&TEXTS[..], &UNICODE_TEXTS].concat();
    reads_as_ever("compact_v2.qdm", &encode(&compact_parts()).unwrap(), (2, 0), &texts);
}

/// The features of a compact model by a plain map and the words of `FORMAT.md`, beside the runtime's.
#[test]
fn a_compact_table_gives_what_a_map_would() {
    let parts = compact_parts();
    let FrontEndParts::Compact { levels, lift, scale, bias, .. } = &parts.front else { panic!() };
    let bytes = encode(&parts).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let map: HashMap<u32, [u8; 2]> = compact_codes().into_iter().collect();
    let mut foreign = 0;
    for text in [&TEXTS[..], &UNICODE_TEXTS].concat() {
        let hashes: Vec<u32> = grams(text, COMPACT_KINDS).map(|g| g.hash).collect();
        let own = |hash: &&u32| map.contains_key(hash);
        assert!(hashes.iter().filter(own).all(|&hash| model.knows(hash)), "{text}");
        let taken = hashes.iter().filter(|&&hash| !map.contains_key(&hash) && model.knows(hash));
        if taken.clone().count() > 0 {
            foreign += 1;
            continue;
        }
        let mut sums = [0_i32; 2];
        for codes in hashes.iter().filter_map(|hash| map.get(hash)) {
            for (d, sum) in sums.iter_mut().enumerate() {
                *sum += i32::from(levels[8 * d + usize::from(codes[d])]);
            }
        }
        let found = hashes.iter().filter(own).count();
        let (features, known) = model.text_features(text).unwrap();
        assert_eq!(known.known as usize, found, "{text}");
        for (q, feature) in features.iter().enumerate() {
            let lifted: i32 = (0..2).map(|d| i32::from(lift[2 * q + d]) * sums[d]).sum();
            let divisor = (found.max(1) as f32).sqrt();
            let expected = lifted as f32 * scale[q] / divisor + bias[q];
            assert!((feature - expected).abs() < 1e-5, "{text} {q}: {feature} {expected}");
        }
    }
    assert!(foreign < 5, "{foreign} texts have n-grams that pass for others");
}

fn reads_as_ever(name: &str, today: &[u8], (version, rows): (u16, u16), texts: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    // QDLLM_FREEZE=1 writes the sample of a new version; an old one is never written again.
    if std::env::var_os("QDLLM_FREEZE").is_some() {
        std::fs::write(&path, today).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let model = Model::parse(&bytes).unwrap();
    assert_eq!((model.classes(), model.label(1), model.label(9)), (3, "timer", ""));
    assert_eq!(model.version(), version);
    if let FrontEnd::Words { rows: stated, .. } = model.meta().front {
        assert_eq!(stated, rows);
        assert_eq!(model.source().unwrap().angles_rad().count(), 144);
    }
    assert_eq!(model.provenance().next(), Some(("made by", "the sample of the format's tests")));
    let mut scratch = Scratch::new();
    let mut got = String::new();
    for &text in texts {
        let p = model.classify(text, &mut scratch).unwrap();
        let all: Vec<String> = p.probabilities().iter().map(|x| format!("{x:.5}")).collect();
        got +=
            &format!("{text}|{}|{}|{}|{}\n", p.class(), p.found(), p.is_rejected(), all.join(" "));
    }
    let frozen = path.with_extension("txt");
    if std::env::var_os("QDLLM_FREEZE").is_some() {
        std::fs::write(&frozen, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(frozen).unwrap());
    assert_eq!(bytes, today, "today's encoder still writes it the same way");
}

#[test]
fn the_frozen_dense_sample_of_version_1_reads_as_ever() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/dense_v1.qdm");
    if std::env::var_os("QDLLM_FREEZE").is_some() {
        std::fs::write(&path, encode(&dense_parts()).unwrap()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes, encode(&dense_parts()).unwrap());
    let model = Model::parse(&bytes).unwrap();
    let mut scratch = Scratch::new();
    let p = model.classify_vector(&[0.5, -1.0, 2.0, 0.1], &mut scratch).unwrap();
    let shown = format!("{} {:.5}", p.class(), p.probability());
    assert_eq!(shown, "1 0.83386");
}

#[test]
fn every_truncation_is_refused() {
    let bytes = sample();
    for length in 0..bytes.len() {
        assert!(Model::parse(&bytes[..length]).is_err(), "{length} bytes were accepted");
        assert!(Model::from_region(&bytes[..length]).is_err());
    }
    let mut longer = bytes.clone();
    longer.extend_from_slice(&[0xff; 100]);
    assert_eq!(Model::parse(&longer).unwrap_err(), Error::LengthMismatch);
    assert!(Model::from_region(&longer).is_ok(), "a flash region is longer than the model");
}

#[test]
fn every_single_bit_flip_is_refused() {
    [sample(), encode(&compact_parts()).unwrap()].into_iter().for_each(every_flip_is_refused);
}

fn every_flip_is_refused(mut bytes: Vec<u8>) {
    for i in 0..bytes.len() * 8 {
        bytes[i / 8] ^= 1 << (i % 8);
        assert!(Model::parse(&bytes).is_err(), "flip of bit {i} was accepted");
        assert!(Model::from_region(&bytes).is_err(), "flip of bit {i} was accepted in a region");
        bytes[i / 8] ^= 1 << (i % 8);
    }
}

#[test]
fn damage_behind_a_right_checksum_never_panics_and_what_is_accepted_runs() {
    [sample(), encode(&compact_parts()).unwrap()].iter().for_each(|bytes| damage(bytes));
}

fn damage(bytes: &[u8]) {
    let mut scratch = Scratch::new();
    let (mut refused, mut ran) = (0, 0);
    for i in 0..(bytes.len() - CHECKSUM_BYTES) * 8 {
        let mut changed = bytes.to_vec();
        changed[i / 8] ^= 1 << (i % 8);
        match Model::parse(&resealed(changed)) {
            Err(_) => refused += 1,
            Ok(model) => {
                match model.classify(TEXTS[0], &mut scratch) {
                    Ok(p) => assert!(p.class() < model.classes() && p.probability() <= 1.0),
                    Err(error) => assert_eq!(error, Error::LogitNotFinite),
                }
                ran += 1;
            }
        }
    }
    println!("{refused} refused, {ran} ran");
    assert!(refused > 300 && ran > 1000, "{refused} refused, {ran} ran");
}

#[test]
fn errors_name_what_is_wrong() {
    let bytes = sample();
    let with = |at: usize, value: u8| {
        let mut b = bytes.clone();
        b[at] = value;
        Model::parse(&resealed(b)).unwrap_err()
    };
    assert_eq!(Model::parse(b"").unwrap_err(), Error::TooShort);
    assert_eq!(Model::parse(&[b'x'; 64]).unwrap_err(), Error::BadMagic);
    assert_eq!(with(4, 3), Error::UnsupportedVersion);
    assert_eq!(with(4, 0), Error::UnsupportedVersion);
    assert_eq!(with(12, 0x7f), Error::UnknownSection);
    // The zero after a kind, of one that every reader must know and of one that may be skipped.
    assert_eq!(with(14, 1), Error::UnknownSection);
    let sections = usize::from(bytes[6]);
    let skipped = (0..sections).map(|i| 12 + 12 * i).find(|&at| bytes[at + 1] == 0x80).unwrap();
    assert_eq!(with(skipped + 2, 1), Error::UnknownSection);
    assert_eq!(with(16, 1), Error::BadDirectory);
    let refused = |change: fn(&mut qdllm_runtime::format::encode::Parts)| {
        let mut parts = words_parts(RowBits::Eight);
        change(&mut parts);
        encode(&parts).unwrap_err()
    };
    assert_eq!(refused(|p| p.labels.truncate(1)), Error::BadClassCount);
    assert_eq!(refused(|p| p.labels = vec!["x".into(); MAX_CLASSES + 1]), Error::BadClassCount);
    assert_eq!(refused(|p| p.labels[0] = String::new()), Error::BadLabels);
    assert_eq!(refused(|p| p.labels[0] = "on\u{1b}[2J".into()), Error::BadLabels);
    assert_eq!(refused(|p| p.labels[0] = "on\u{9b}".into()), Error::BadLabels);
    assert_eq!(refused(|p| p.labels[0] = p.labels[1].clone()), Error::BadLabels);
    assert_eq!(refused(|p| p.head[3] = f32::NAN), Error::NotFinite);
    assert_eq!(refused(|p| p.head.truncate(5)), Error::BadHead);
    assert_eq!(refused(|p| p.parameters[0] = f64::INFINITY), Error::NotFinite);
    assert_eq!(refused(|p| p.temperature = 0.0), Error::BadMeta);
    assert_eq!(refused(|p| p.reject_below = 1.5), Error::BadMeta);
    let unsorted = refused(|p| {
        if let FrontEndParts::Words { keys, .. } = &mut p.front {
            keys.swap(0, 1);
        }
    });
    assert_eq!(unsorted, Error::BadVocabulary);
}

#[test]
fn newer_kinds_of_n_grams_need_newer_token_rules() {
    let mut parts = words_parts(RowBits::Eight);
    let plain = encode(&parts).unwrap();
    let FrontEndParts::Words { kinds, .. } = &mut parts.front else { unreachable!() };
    (kinds.bigrams, kinds.trigrams, kinds.edges) = (true, true, true);
    let (wanted, bytes) = (*kinds, encode(&parts).unwrap());
    let model = Model::parse(&bytes).unwrap();
    let FrontEnd::Words { kinds, token_rules, .. } = model.meta().front else { unreachable!() };
    assert_eq!((kinds, token_rules), (wanted, 2));
    assert_eq!(bytes.len(), plain.len(), "the kinds take the room that two flags took");
    // Classes, front end, token rules, neighbours, prefixes: the head of the meta section.
    let at = |bytes: &[u8], head: [u8; 5]| bytes.windows(5).position(|w| w == head).unwrap();
    let (old, new) = (at(&plain, [3, 0, 1, 0, 0]), at(&bytes, [3, 0, 2, 7, 0]));
    assert_eq!(old, new);
    for (rules, neighbours, error) in [
        (1, 7, Error::BadMeta),
        (1, 2, Error::BadMeta),
        (2, 8, Error::BadMeta),
        (3, 16, Error::BadMeta),
        (4, 7, Error::UnsupportedVersion),
        (0, 1, Error::UnsupportedVersion),
    ] {
        let mut changed = bytes.clone();
        (changed[new + 2], changed[new + 3]) = (rules, neighbours);
        assert_eq!(Model::parse(&resealed(changed)).unwrap_err(), error, "{rules} {neighbours}");
    }
}

#[test]
fn a_model_refuses_input_for_another_front_end() {
    let (words, dense) = (sample(), encode(&dense_parts()).unwrap());
    let (words, dense) = (Model::parse(&words).unwrap(), Model::parse(&dense).unwrap());
    let mut scratch = Scratch::new();
    assert_eq!(words.classify_vector(&[0.0; 4], &mut scratch).unwrap_err(), Error::WrongFrontEnd);
    assert_eq!(dense.classify("hello", &mut scratch).unwrap_err(), Error::WrongFrontEnd);
    assert_eq!(
        dense.classify_vector(&[0.0; 3], &mut scratch).unwrap_err(),
        Error::WrongInputLength
    );
    let bad = [0.0, f32::NAN, 0.0, 0.0];
    assert_eq!(dense.classify_vector(&bad, &mut scratch).unwrap_err(), Error::InputNotFinite);
    let p = dense.classify_vector(&[0.5, -1.0, 2.0, 0.1], &mut scratch).unwrap();
    assert!((p.probabilities().iter().sum::<f32>() - 1.0).abs() < 1e-6);
}

#[test]
fn top_k_falls_and_scratch_has_its_stated_size() {
    let bytes = sample();
    let model = Model::parse(&bytes).unwrap();
    let mut scratch = Scratch::new();
    let p = model.classify(TEXTS[0], &mut scratch).unwrap();
    let top: Vec<(usize, f32)> = p.top(10).collect();
    assert_eq!(top.len(), 3);
    assert!(top.windows(2).all(|w| w[0].1 >= w[1].1));
    assert_eq!(top[0], (p.class(), p.probability()));
    // 16 KiB of amplitudes, 16 expectations, 64 probabilities, alignment.
    assert_eq!(size_of::<Scratch>(), 16384 + 64 + 256 + 64);
    assert!(size_of::<Scratch>() <= 17 * 1024);
}

const DOCUMENT: &str = include_str!("../../runtime/FORMAT.md");

#[test]
fn every_section_is_in_the_document() {
    for &kind in Kind::ALL {
        let row = format!("| {:#06x} | {} |", kind as u16, kind.name());
        assert!(DOCUMENT.contains(&row), "FORMAT.md has no row {row}");
    }
    let rows = DOCUMENT.lines().filter(|l| l.starts_with("| 0x")).count();
    assert_eq!(rows, Kind::ALL.len(), "the document lists a section that the code does not have");
}

#[test]
fn numbers_in_the_document_are_those_of_the_code() {
    let magic = std::str::from_utf8(&MAGIC).unwrap();
    assert!(DOCUMENT.contains(&format!("magic `{magic}`")));
    assert!(DOCUMENT.contains(&format!("format versions 1 and {VERSION}")));
    assert!(DOCUMENT.contains(&format!("fewer than {} bytes", HEADER_BYTES + CHECKSUM_BYTES)));
    assert!(DOCUMENT.contains(&format!("| 12 | {ENTRY_BYTES} a section |")) && HEADER_BYTES == 12);
    assert!(DOCUMENT.contains(&format!("| classes | `u8` | 2 to {MAX_CLASSES} |")));
    assert!(DOCUMENT.contains(&format!("1 to {MAX_ROWS}")));
    assert!(DOCUMENT.contains(&format!("| `u8` | 0 to {MAX_BUCKET_BITS} |")));
    assert!(DOCUMENT.contains(&format!(
        "| `u8` | 1 to {TOKEN_RULES}: the rules of `text/token.rs` and `text/ngram.rs`; "
    )));
    assert!(DOCUMENT.contains(&format!("qubits `u8` (1 to {QUBITS})")));
    assert!(DOCUMENT.contains(&format!("outputs `u8` (1 to {MAX_OUTPUTS})")));
    assert!(DOCUMENT.contains(&format!("terms `u8` (at most {MAX_TERMS})")));
    assert!(DOCUMENT.contains(&format!("number of nodes, `u16` (at most\n{MAX_NODES})")));
    let [least, most] = [WEIGHT_BITS.start(), WEIGHT_BITS.end()];
    assert!(DOCUMENT.contains(&format!("fraction bits of a weight `f`, `u8` ({least} to {most})")));
    assert!(DOCUMENT.contains(&format!("in units of `2^-({VALUE_BITS} + f)`")));
    assert!(DOCUMENT.contains(&format!("the site writes (1 to {MAX_BOND}, and")));
    assert_eq!(
        (size_of::<Work>() + size_of::<Probabilities>(), size_of::<Probabilities>()),
        (1024, 256)
    );
    assert!(DOCUMENT.contains("A train takes 1024 bytes, a polynomial 256."));
    assert_eq!(size_of::<Scratch>() - 16 * 1024, 384);
    assert!(DOCUMENT.contains("16 KiB of amplitudes and 384 bytes"));
}
