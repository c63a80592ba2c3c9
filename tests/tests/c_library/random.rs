//! Models and texts made at random, such as no trainer and no person would: every switch of the format, every token rule.

use qdllm_runtime::compiled::polynomial::{OwnedNode, section};
use qdllm_runtime::format::{Kind, write};
use qdllm_runtime::text::ngram::{GramKinds, LONGEST_RUN, Runs, grams};
use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};
use qdllm_tests::sample::MEASURED;
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngCore as _};
use rand_chacha::ChaCha8Rng;

/// Pieces of texts: one of them alone, or many together, with nothing or a space between.
const PIECES: [&str; 64] = [
    "turn",
    "turning",
    "ON",
    "off",
    "the",
    "lights",
    "Lamp",
    "in",
    "kitchen",
    "please",
    "soooo",
    "coool",
    "don't",
    "can’t",
    "`a`",
    "10:30",
    "2005",
    "b12",
    "7",
    "http://a.b/c?d!",
    "HTTPS://x",
    "www.",
    "wWw.y z",
    "htt",
    "@some_one",
    "@",
    "@@a",
    "!",
    "!!!",
    "?!",
    "??",
    ".",
    "..",
    "...",
    "-",
    "--",
    "€5",
    "C++",
    "c#",
    ":-)",
    "ÉCOLE",
    "naïve",
    "e\u{301}cole",
    "Łódź",
    "Straße",
    "Ǆǯ",
    "ΆΝΘΡΩΠΟΣ",
    "ἄνθρωπος",
    "Ёлка",
    "Їжак",
    "ПРИВЕТ",
    "日本語",
    "か\u{3099}",
    "\u{1112}\u{1161}\u{11ab}",
    "\u{feff}",
    "o\u{ad}ff",
    "👍🏽",
    "😀😀",
    "🇩🇪🇫🇷🇩",
    "❤️",
    "\u{200b}",
    "\t",
    "\u{3000}",
    "×÷",
];

/// Characters of the blocks that the rules speak of, and of any.
fn character(random: &mut ChaCha8Rng) -> char {
    let blocks: [(u32, u32); 15] = [
        (0, 0x80),
        (0x80, 0x250),
        (0x300, 0x370),
        (0x370, 0x530),
        (0x1100, 0x1200),
        (0x1ab0, 0x1f00),
        (0x1e00, 0x2000),
        (0x2000, 0x2c00),
        (0x3000, 0x3100),
        (0xac00, 0xd800),
        (0xf000, 0x1_0000),
        (0x1_f000, 0x1_fb00),
        (0x1_f1e6, 0x1_f200),
        (0xe_0000, 0xe_1001),
        (0, 0x11_0000),
    ];
    let (from, to) = *blocks.choose(random).unwrap();
    char::from_u32(random.random_range(from..to)).unwrap_or('\u{fffd}')
}

/// A text in UTF-8, in one of four cases damaged.
pub fn text(random: &mut ChaCha8Rng) -> Vec<u8> {
    let (mut bytes, mut utf8) = (Vec::new(), [0; 4]);
    let spaced = random.random_bool(0.7);
    let most = if random.random_bool(0.05) { 120 } else { 14 };
    for _ in 0..random.random_range(0..=most) {
        match random.random_range(0..10) {
            0..7 => bytes.extend_from_slice(PIECES.choose(random).unwrap().as_bytes()),
            _ => bytes.extend_from_slice(character(random).encode_utf8(&mut utf8).as_bytes()),
        }
        if spaced && random.random_bool(0.8) {
            bytes.push(b' ');
        }
    }
    if random.random_bool(0.25) && !bytes.is_empty() {
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[at] = random.random(),
                1 => bytes.insert(
                    at,
                    *[0x80, 0xc3, 0xe2, 0xed, 0xf0, 0xf4, 0xff].choose(random).unwrap(),
                ),
                _ => bytes.truncate(at + 1),
            }
        }
    }
    bytes
}

fn varint(mut x: u32, bytes: &mut Vec<u8>) {
    while x > 127 {
        bytes.push(x as u8 | 0x80);
        x >>= 7;
    }
    bytes.push(x as u8);
}

fn noise(random: &mut ChaCha8Rng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    random.fill_bytes(&mut bytes);
    bytes
}

fn floats(numbers: impl Iterator<Item = f32>) -> Vec<u8> {
    numbers.flat_map(f32::to_le_bytes).collect()
}

fn polynomial(random: &mut ChaCha8Rng, others: usize) -> Vec<u8> {
    let (mut nodes, mut deepest) = (Vec::new(), 0);
    for _ in 0..random.random_range(0..60) {
        let depth = random.random_range(0..=deepest);
        deepest = (depth + 1).min(10);
        let weighted = random.random_bool(0.7);
        let weights = (0..if weighted { others } else { 0 }).map(|_| random.random()).collect();
        let (qubit, sine) = (random.random_range(0..11), random.random());
        nodes.push(OwnedNode { depth, qubit, sine, weights });
    }
    let constants: Vec<i32> = (0..others).map(|_| random.random::<i32>() >> 3).collect();
    section(&MEASURED, random.random_range(10..=16), &constants, &nodes)
}

/// A model of random switches, sizes and tables. What it decides means nothing.
pub fn model(random: &mut ChaCha8Rng) -> Vec<u8> {
    let compact = random.random_bool(0.5);
    let classes = *[2, 3, 8, 64].choose(random).unwrap();
    let rules = random.random_range(1..=3);
    let bits = random.random::<u8>() & [1, 7, 15][rules as usize - 1];
    let prefixes: bool = random.random();
    let pool = random.random_range(0..2);
    let mut kinds = GramKinds {
        bigrams: bits & 1 > 0,
        prefixes,
        trigrams: bits & 2 > 0,
        edges: bits & 4 > 0,
        signs: bits & 8 > 0,
        unicode: rules == 3,
        ..GramKinds::default()
    };
    let mut meta =
        vec![classes as u8, if compact { 2 } else { 0 }, rules, bits, u8::from(prefixes)];
    let mut sections = Vec::new();
    if compact {
        if random.random_bool(0.5) {
            let longest = random.random_range(1..=LONGEST_RUN as u8);
            kinds.runs = Runs { shortest: random.random_range(0..=longest), longest };
        }
        kinds.cut = if random.random_bool(0.5) { 0 } else { random.random_range(1..9) };
        let rank = random.random_range(1..=44_usize);
        let code_bits = random.random_range(1..=4_u8);
        let fingerprint = random.random_range(0..4_usize);
        let slots = random.random_range(32..700_u32);
        meta.extend([kinds.cut, kinds.runs.shortest, kinds.runs.longest, pool]);
        meta.extend([rank as u8, code_bits, fingerprint as u8, random.random()]);
        varint(slots, &mut meta);
        let columns = fingerprint + rank * code_bits as usize;
        sections.push((Kind::Table, noise(random, columns * slots.div_ceil(8) as usize)));
        sections.push((Kind::Levels, noise(random, rank << code_bits)));
        sections.push((Kind::Lift, noise(random, 11 * rank)));
    } else {
        let count = random.random_range(1..400);
        let bits = bucket_bits_for(count);
        let texts: Vec<Vec<u8>> = (0..count).map(|_| text(random)).collect();
        let texts = texts.iter().map(|text| String::from_utf8_lossy(text).into_owned());
        let mut keys: Vec<u32> = texts
            .flat_map(|text| {
                grams(&text, kinds).map(|gram| key(gram.hash, bits)).collect::<Vec<_>>()
            })
            .take(2 * count)
            .collect();
        keys.push(7);
        keys.sort_unstable();
        keys.dedup();
        let eight: bool = random.random();
        meta.push(pool);
        varint(keys.len() as u32, &mut meta);
        meta.extend([bits, u8::from(eight)]);
        let ends = (1..=1_u32 << bits).map(|end| keys.partition_point(|k| k >> 16 < end) as u16);
        sections.push((Kind::Buckets, ends.flat_map(u16::to_le_bytes).collect()));
        sections.push((Kind::Keys, keys.iter().flat_map(|&k| (k as u16).to_le_bytes()).collect()));
        let bytes = if eight { 11 * keys.len() } else { (11 * keys.len()).div_ceil(2) };
        sections.push((Kind::Rows, noise(random, bytes)));
    }
    meta.push(0);
    let reject_below = if random.random_bool(0.5) { 0.0 } else { random.random::<f32>() };
    let temperature = 10_f32.powf(random.random_range(-2.0..2.0));
    meta.extend(floats([temperature, reject_below].into_iter()));
    let size = 10_f32.powf(random.random_range(-7.0..0.0));
    let scale: Vec<f32> =
        (0..22).map(|i| random.random_range(-1.0..1.0) * if i < 11 { size } else { 1.0 }).collect();
    let mut labels = vec![classes as u8];
    for class in 0..classes {
        let name = format!("class {class}");
        labels.push(name.len() as u8);
        labels.extend(name.as_bytes());
    }
    let mut head = floats([0.01, 0.001].into_iter());
    head.extend([0; 11]);
    head.extend(noise(random, 13 * classes));
    sections.extend([
        (Kind::Meta, meta),
        (Kind::Labels, labels),
        (Kind::Scale, floats(scale.into_iter())),
        (Kind::Angles, noise(random, 94)),
        (Kind::SmallHead, head),
        (Kind::Polynomial, polynomial(random, classes - 1)),
    ]);
    if random.random_bool(0.5) {
        let mut shares = vec![(65536 / classes) as u16; classes];
        shares[1] = (65536 - 65536 / classes * (classes - 1)) as u16;
        sections.push((Kind::Shares, shares.into_iter().flat_map(u16::to_le_bytes).collect()));
    }
    write(&sections)
}
