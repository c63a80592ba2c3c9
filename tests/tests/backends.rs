//! Compiled back ends: they give what they are defined to; sections that no compiler wrote are refused
//! or run without a panic. And the circuit in 16-bit integers against the same in floating point.

use proptest::prelude::*;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::compiled::Measured;
use qdllm_runtime::compiled::polynomial::{self, OwnedNode, Polynomial};
use qdllm_runtime::compiled::tensor_train::{self, Chain, Cores, Link, TensorTrain, Work};
use qdllm_runtime::format::encode::{FrontEndParts, Parts, encode};
use qdllm_runtime::format::{Kind, checksum, write};
use qdllm_runtime::text::pool::RowBits;
use qdllm_runtime::{
    Error, MAX_CLASSES, Model, Prediction, Probabilities, QUBITS, Scratch, ScratchI16,
};
use qdllm_tests::sample::{MEASURED, dense_parts, numbers, words_parts};

/// A polynomial of three classes on three qubits.
fn polynomial_section() -> Vec<u8> {
    let node = |depth, qubit, sine, weights: &[i16]| OwnedNode {
        depth,
        qubit,
        sine,
        weights: weights.to_vec(),
    };
    let nodes = [
        node(0, 2, false, &[]),
        node(1, 0, true, &[1 << 10, -300]),
        node(2, 1, true, &[77, 20_000]),
        node(0, 1, false, &[-4000, 5]),
    ];
    polynomial::section(&MEASURED, 10, &[1 << 24, -(1 << 23)], &nodes)
}

/// A train of three classes on three qubits: bonds 2 | 2 1.
fn chain(cores: Cores) -> Chain {
    let mut n = numbers();
    // Small enough that no vector leaves -2..2, where integers are held.
    let scale = match cores {
        Cores::F32 => 0.2,
        Cores::I16 => 0.2 * 8192.0,
        Cores::I8 => 0.2 * 64.0,
    };
    let mut entries =
        |count: usize| -> Vec<f32> { n.by_ref().take(count).map(|x| (x * scale) as f32).collect() };
    let (fraction, shift) = match cores {
        Cores::F32 => (0, 0),
        Cores::I16 => (13, 13),
        Cores::I8 => (6, 6),
    };
    let mut link = |qubit, from: usize, bond: usize, units: &[usize]| Link {
        qubit,
        bond: bond as u8,
        fraction,
        shift,
        pivots: (0..3 * from).map(|row| units.contains(&row)).collect(),
        rows: entries((3 * from - bond) * bond),
    };
    let left = vec![link(2, 1, 2, &[0, 2])];
    let right = vec![link(0, 1, 1, &[1]), link(1, 1, 2, &[0, 1])];
    let shifts = if cores == Cores::F32 { [0, 0] } else { [fraction, 12] };
    let node = entries(2 * 2 * 2);
    Chain { cores, left, right, shifts, node }
}

/// What a train gives, from its definition in f64.
fn plain_logits(chain: &Chain, angles: &[f64; 3]) -> [f64; 2] {
    let scale = |fraction: u8| f64::from(1_u32 << fraction);
    let side = |links: &[Link]| {
        links.iter().fold(vec![1.0], |vector, link| {
            let angle = angles[link.qubit as usize];
            let mut next = vec![0.0; link.bond as usize];
            let (mut unit, mut rows) = (0, link.rows.chunks(link.bond as usize));
            for (row, pivot) in link.pivots.iter().enumerate() {
                let value = vector[row / 3] * [1.0, angle.cos(), angle.sin()][row % 3];
                if *pivot {
                    next[unit] += value;
                    unit += 1;
                } else {
                    let entries = rows.next().unwrap();
                    for (n, x) in next.iter_mut().zip(entries) {
                        *n += value * f64::from(*x) / scale(link.fraction);
                    }
                }
            }
            next
        })
    };
    let (left, right) = (side(&chain.left), side(&chain.right));
    let last = chain.right[1].fraction;
    std::array::from_fn(|c| {
        (0..4)
            .map(|i| left[i / 2] * f64::from(chain.node[4 * c + i]) / scale(last) * right[i % 2])
            .sum()
    })
}

fn phase(angle: f64) -> u32 {
    (angle / std::f64::consts::TAU * 4_294_967_296.0).round() as i64 as u32
}

#[test]
fn a_polynomial_gives_its_sum_in_integers() {
    let section = polynomial_section();
    let polynomial = Polynomial::parse(&section, 3, 3).unwrap();
    assert_eq!(*polynomial.measured(), MEASURED);
    let mut n = numbers().map(|x| x * 7.0);
    for _ in 0..1000 {
        let a: [f64; 3] = std::array::from_fn(|_| n.next().unwrap());
        let mut phases = [0; QUBITS];
        phases.iter_mut().zip(a).for_each(|(p, x)| *p = phase(x));
        let mut logits = [7; 4];
        polynomial.logits(&phases, &mut logits);
        let (first, second) = (a[2].cos() * a[0].sin(), a[2].cos() * a[0].sin() * a[1].sin());
        let exact = [
            1.0 + first + 77.0 / 1024.0 * second - 4000.0 / 1024.0 * a[1].cos(),
            -0.5 - 300.0 / 1024.0 * first + 20_000.0 / 1024.0 * second + 5.0 / 1024.0 * a[1].cos(),
        ];
        assert_eq!((logits[0], logits[3]), (0, 7), "the first class is 0, what is beyond is left");
        for (q16, exact) in logits[1..3].iter().zip(exact) {
            // Each factor is within 1.5e-4, each product rounded to 6e-5; the largest weight is 20.
            let gap = (f64::from(*q16) / 65_536.0 - exact).abs();
            assert!(gap < 20.0 * 5e-4, "{gap:e}");
        }
    }
}

#[test]
fn a_train_gives_its_product_in_every_arithmetic() {
    for cores in [Cores::F32, Cores::I16, Cores::I8] {
        let chain = chain(cores);
        let section = tensor_train::section(&MEASURED, &chain);
        let train = TensorTrain::parse(&section, 3, 3).unwrap();
        assert_eq!((train.cores(), train.left(), train.widest()), (cores, 1, 2));
        let (mut work, mut n) = (Work::new(), numbers().map(|x| x * 4.0));
        // Integers: entries are whole already, vectors rounded to 2^-14 of at most 4.
        let near = if cores == Cores::F32 { 1e-5 } else { 3e-3 };
        for _ in 0..1000 {
            let a: [f64; 3] = std::array::from_fn(|_| n.next().unwrap());
            let exact = plain_logits(&whole(&chain), &a);
            let (mut floats, mut integers) = ([7.0; 4], [7; 4]);
            let mut phases = [0; QUBITS];
            phases.iter_mut().zip(a).for_each(|(p, x)| *p = phase(x));
            let done = train.logits(&phases, &mut work, &mut integers);
            let done_f32 = train.logits_f32(&a.map(|x| x as f32), &mut work, &mut floats);
            let found = if cores == Cores::F32 {
                assert_eq!((done, done_f32), (Err(Error::NoBackEnd), Ok(())));
                floats.map(f64::from)
            } else {
                assert_eq!((done, done_f32), (Ok(()), Err(Error::NoBackEnd)));
                integers.map(|x| f64::from(x) / 65_536.0)
            };
            assert_eq!(found[0], 0.0);
            for (found, exact) in found[1..3].iter().zip(exact) {
                assert!((found - exact).abs() < near, "{cores:?} {found} {exact}");
            }
        }
    }
}

/// Entries as they are stored: whole numbers where cores are integers.
fn whole(chain: &Chain) -> Chain {
    let mut chain = chain.clone();
    if chain.cores != Cores::F32 {
        let links = chain.left.iter_mut().chain(&mut chain.right).map(|link| &mut link.rows);
        links.chain([&mut chain.node]).flatten().for_each(|x| *x = x.trunc());
    }
    chain
}

#[test]
fn every_truncation_and_every_contradiction_is_refused() {
    let sections =
        [Cores::F32, Cores::I16, Cores::I8].map(|c| tensor_train::section(&MEASURED, &chain(c)));
    let parse = |s: &[u8], classes, qubits| TensorTrain::parse(s, classes, qubits).map(|_| ());
    for section in &sections {
        assert_eq!(parse(section, 3, 3), Ok(()));
        for end in 0..section.len() {
            assert_eq!(parse(&section[..end], 3, 3), Err(Error::BadBackEnd), "{end}");
        }
        assert!(parse(&[&section[..], &[0]].concat(), 3, 3).is_err(), "bytes follow");
        for (classes, qubits) in [(2, 3), (4, 3), (0, 3), (3, 2), (3, QUBITS + 1)] {
            assert_eq!(parse(section, classes, qubits), Err(Error::BadBackEnd));
        }
    }
    let section = polynomial_section();
    let parse = |s: &[u8], classes, qubits| Polynomial::parse(s, classes, qubits).map(|_| ());
    assert_eq!(parse(&section, 3, 3), Ok(()));
    for end in 0..section.len() {
        assert_eq!(parse(&section[..end], 3, 3), Err(Error::BadBackEnd), "{end}");
    }
    assert!(parse(&[&section[..], &[0]].concat(), 3, 3).is_err());
    for (classes, qubits) in [(2, 3), (4, 3), (0, 3), (3, 2), (3, QUBITS + 1)] {
        assert_eq!(parse(&section, classes, qubits), Err(Error::BadBackEnd));
    }
    for damage in [
        Measured { asked: 0.0, ..MEASURED },
        Measured { asked: 1.5, ..MEASURED },
        Measured { asked: f32::NAN, ..MEASURED },
        Measured { agreement: -0.1, ..MEASURED },
        Measured { largest_logit_error: f32::INFINITY, ..MEASURED },
    ] {
        assert_eq!(Measured::parse(&damage.bytes()), Err(Error::BadBackEnd), "{damage:?}");
    }
    assert_eq!(Measured::parse(&MEASURED.bytes()), Ok(MEASURED));
    assert!(Measured::parse(&[MEASURED.bytes(), vec![0]].concat()).is_err());
}

#[test]
fn a_model_with_a_contradicting_section_is_refused() {
    let bytes = encode(&words_parts(RowBits::Four)).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let with = |kind: Kind, section: Vec<u8>| {
        let old = Kind::ALL.iter().filter_map(|&k| Some((k, model.container().get(k)?.to_vec())));
        let file = write(&old.chain([(kind, section)]).collect::<Vec<_>>());
        Model::parse(&file)
            .map(|m| (m.polynomial().is_some(), m.tensor_train().is_some(), m.measured_i16()))
    };
    let mut wide = chain(Cores::I16);
    assert_eq!(with(Kind::Polynomial, polynomial_section()), Ok((true, false, None)));
    assert_eq!(
        with(Kind::TensorTrain, tensor_train::section(&MEASURED, &wide)),
        Ok((false, true, None))
    );
    assert_eq!(with(Kind::StatevectorI16, MEASURED.bytes()), Ok((false, false, Some(MEASURED))));
    assert_eq!(with(Kind::StatevectorI16, vec![]), Err(Error::BadBackEnd));
    wide.left[0].qubit = 11;
    assert_eq!(
        with(Kind::TensorTrain, tensor_train::section(&MEASURED, &wide)),
        Err(Error::BadBackEnd)
    );
    wide.left[0].qubit = 1;
    let twice = tensor_train::section(&MEASURED, &wide);
    assert_eq!(with(Kind::TensorTrain, twice), Err(Error::BadBackEnd), "a qubit twice");
    let mut not_finite = chain(Cores::F32);
    not_finite.node[3] = f32::NAN;
    let section = tensor_train::section(&MEASURED, &not_finite);
    assert_eq!(with(Kind::TensorTrain, section), Err(Error::NotFinite));
}

/// Runs whatever was accepted.
fn run_all(section: &[u8], classes: usize, qubits: usize, phases: &[u32; QUBITS]) {
    let mut logits = [0; MAX_CLASSES];
    if let Ok(polynomial) = Polynomial::parse(section, classes, qubits) {
        polynomial.logits(phases, &mut logits);
    }
    if let Ok(train) = TensorTrain::parse(section, classes, qubits) {
        let mut floats = [0.0; MAX_CLASSES];
        let angles = phases.map(|p| p as f32 * 1e-9);
        let done = train.logits(phases, &mut Work::new(), &mut logits);
        let done_f32 = train.logits_f32(&angles, &mut Work::new(), &mut floats);
        assert!(done.is_ok() != done_f32.is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_bytes_make_a_back_end_panic(
        tail in prop::collection::vec(any::<u8>(), 0..400),
        classes in 0..=MAX_CLASSES + 1,
        qubits in 0..=QUBITS + 1,
        phases in any::<[u32; QUBITS]>(),
    ) {
        run_all(&tail, classes, qubits, &phases);
        run_all(&[MEASURED.bytes(), tail].concat(), classes, qubits, &phases);
    }

    #[test]
    fn no_damage_makes_a_back_end_panic(
        which in 0..4_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        phases in any::<[u32; QUBITS]>(),
    ) {
        let mut section = match which {
            0 => polynomial_section(),
            1 => tensor_train::section(&MEASURED, &chain(Cores::F32)),
            2 => tensor_train::section(&MEASURED, &chain(Cores::I16)),
            _ => tensor_train::section(&MEASURED, &chain(Cores::I8)),
        };
        for (at, byte) in damage {
            let at = at.index(section.len());
            section[at] = byte;
        }
        run_all(&section, 3, 3, &phases);
    }
}

/// A probability may differ by this much: expectations within 2e-3, times weights of the head.
const NEAR: f32 = 4e-3;

#[test]
fn texts_are_classified_alike() {
    let words: Vec<&str> = "turn on off the light lamp set timer for minutes play music next song \
                            stop kitchen porch warm cold degrees add milk to list unknown 12"
        .split(' ')
        .collect();
    let (mut exact, mut small) = (Box::new(Scratch::new()), Box::new(ScratchI16::new()));
    for squash in [Squash::PiTanh, Squash::MinMax10] {
        for bits in [RowBits::Four, RowBits::Eight] {
            let mut parts = words_parts(bits);
            parts.squash = squash;
            let bytes = encode(&parts).unwrap();
            let model = Model::parse(&bytes).unwrap();
            let mut pick = numbers().map(|x| ((x + 1.0) * 12.99) as usize);
            for length in (0..40).cycle().take(400) {
                let text: Vec<&str> = pick.by_ref().take(length).map(|i| words[i]).collect();
                let text = text.join(" ");
                let a = model.classify(&text, &mut exact).unwrap();
                let b = model.classify_i16(&text, &mut small).unwrap();
                assert_eq!(a.found(), b.found(), "{text}");
                let gap = a.probabilities().iter().zip(b.probabilities());
                let gap = gap.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                assert!(gap < NEAR, "{squash:?} {bits:?} {gap:e}: {text}");
                if a.probability() > 0.5 + NEAR {
                    assert_eq!(a.class(), b.class(), "{text}");
                }
            }
        }
    }
}

#[test]
fn vectors_are_classified_alike_at_any_size() {
    let bytes = encode(&dense_parts()).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let (mut exact, mut small) = (Box::new(Scratch::new()), Box::new(ScratchI16::new()));
    let mut n = numbers().map(|x| x as f32);
    for size in [1e-6, 1e-3, 1.0, 1e3, 1e9] {
        for _ in 0..50 {
            let input: Vec<f32> = n.by_ref().take(4).map(|x| x * size).collect();
            let a = model.classify_vector(&input, &mut exact).unwrap();
            let b = model.classify_vector_i16(&input, &mut small).unwrap();
            let gap = (a.probability() - b.probability()).abs();
            assert!(a.class() == b.class() || a.probability() < 0.5 + NEAR, "{input:?}");
            assert!(gap < NEAR, "{gap:e} {input:?}");
        }
    }
    assert!(model.classify_vector_i16(&[0.0; 3], &mut small).is_err());
    assert!(model.classify_vector_i16(&[0.0, f32::NAN, 0.0, 0.0], &mut small).is_err());
}

#[test]
fn memory_is_what_the_documentation_says() {
    assert_eq!(size_of::<ScratchI16>(), 8452);
    assert_eq!(size_of::<qdllm_runtime::Probabilities>(), 256);
}

/// A model with sections of every compiled back end.
fn with_back_ends(parts: &Parts, cores: Cores) -> Vec<u8> {
    let plain = encode(parts).unwrap();
    let plain = Model::parse(&plain).unwrap();
    let train = tensor_train::section(&MEASURED, &chain(cores));
    let mut sections: Vec<(Kind, Vec<u8>)> = Kind::ALL
        .iter()
        .filter_map(|&kind| Some((kind, plain.container().get(kind)?.to_vec())))
        .chain([(Kind::Polynomial, polynomial_section()), (Kind::TensorTrain, train)])
        .collect();
    sections.sort_by_key(|(kind, _)| *kind);
    write(&sections)
}

/// Every back end's answer to a text.
fn answers<T>(
    model: &Model<'_>,
    text: &str,
    of: impl Fn(Result<Prediction<'_>, Error>) -> T,
) -> [T; 4] {
    let mut memory = Probabilities::new();
    [
        of(model.classify(text, &mut Box::new(Scratch::new()))),
        of(model.classify_i16(text, &mut Box::new(ScratchI16::new()))),
        of(model.classify_by_polynomial(text, &mut memory)),
        of(model.classify_by_tensor_train(text, &mut Work::new(), &mut Probabilities::new())),
    ]
}

#[test]
fn a_text_of_which_nothing_is_known_gets_the_shares_of_the_classes_and_is_rejected() {
    for (class_counts, shares) in [
        (vec![], [21_845, 21_845, 21_845]),
        (vec![0; 3], [21_845, 21_845, 21_845]),
        (vec![5, 0, 3], [40_960, 0, 24_576]),
        (vec![1, 1, 1], [21_846, 21_845, 21_845]),
        (vec![0, 7, 0], [1, 65_535, 0]),
    ] {
        let parts = Parts { class_counts, reject_below: 0.0, ..words_parts(RowBits::Eight) };
        let bytes = with_back_ends(&parts, Cores::F32);
        let model = Model::parse(&bytes).unwrap();
        for text in ["", "qwrtz", ":foo", "\u{1f600}"] {
            for all in answers(&model, text, |p| {
                let p = p.unwrap();
                assert!(p.is_rejected() && p.found() == 0, "{text:?}");
                p.probabilities().to_vec()
            }) {
                let near = |(p, share): (&f32, u16)| (p * 65_536.0 - f32::from(share)).abs() < 0.5;
                assert!(all.iter().zip(shares).all(near), "{text:?}: {all:?}");
            }
        }
        let known = answers(&model, "turn on", |p| p.unwrap().is_rejected());
        assert_eq!(known, [false; 4], "a threshold of 0 rejects nothing that is known");
    }
}

#[test]
fn numbers_that_are_finite_one_by_one_give_no_answer_that_is_not() {
    // Expectations of +-1 times these overflow; so do features of long vectors, and their squash.
    let mut huge_head = words_parts(RowBits::Eight);
    huge_head.head = [-3e38; 33].into_iter().chain([3e38; 3]).collect();
    let mut huge_scale = words_parts(RowBits::Eight);
    (huge_scale.squash, huge_scale.head) = (Squash::MinMax10, vec![1.0; 36]);
    if let FrontEndParts::Words { scale, bias, .. } = &mut huge_scale.front {
        (*scale, *bias) = ([3e38; 11], [-3e38; 11]);
        (scale[0], bias[0]) = (-3e38, 3e38);
    }
    for parts in [huge_head, huge_scale] {
        let bytes = with_back_ends(&parts, Cores::F32);
        let model = Model::parse(&bytes).unwrap();
        for text in ["turn on the light", "timer timer timer timer", "milk"] {
            answers(&model, text, check_answer);
        }
    }
    let mut scratch = Box::new(Scratch::new());
    let infinite = encode(&Parts { head: vec![3e38; 36], ..words_parts(RowBits::Eight) }).unwrap();
    let model = Model::parse(&infinite).unwrap();
    let found = model.classify("turn on the light", &mut scratch).map(|p| p.class());
    assert_eq!(found, Err(Error::LogitNotFinite));
}

/// Probabilities, all in 0..=1 and together 1.
fn check_answer(answer: Result<Prediction<'_>, Error>) -> bool {
    let Ok(p) = answer else {
        assert_eq!(answer.unwrap_err(), Error::LogitNotFinite);
        return false;
    };
    let all = p.probabilities();
    assert!(all.iter().all(|p| (0.0..=1.0).contains(p)), "{all:?}");
    assert!((all.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{all:?}");
    true
}

#[test]
fn ten_thousand_damaged_models_are_refused_or_answer_with_probabilities() {
    let (mut refused, mut answered, mut infinite) = (0, 0, 0);
    let mut pick = numbers().map(|x| ((x + 1.0) * f64::from(1 << 22)) as usize);
    for round in 0..10_000 {
        let cores = [Cores::F32, Cores::I16, Cores::I8][round % 3];
        let mut bytes = with_back_ends(&words_parts(RowBits::Eight), cores);
        let end = bytes.len() - 4;
        let mut next = |below: usize| pick.next().unwrap_or(0) % below;
        // One to four bytes, and in every third file a run of numbers that are nearly the largest.
        for _ in 0..=next(4) {
            bytes[next(end)] = next(256) as u8;
        }
        if next(3) == 0 {
            let at = next(end / 4 - 40);
            for chunk in bytes[4 * at..].chunks_exact_mut(4).take(1 + next(40)) {
                chunk.copy_from_slice(&(3e38_f32 * [1.0, -1.0][next(2)]).to_le_bytes());
            }
        }
        let sum = checksum(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
        let Ok(model) = Model::parse(&bytes) else {
            refused += 1;
            continue;
        };
        for sound in ["turn on the light", "qwrtz"].map(|text| {
            answers(&model, text, |p| match p {
                Err(Error::NoBackEnd | Error::WrongFrontEnd) => true,
                other => check_answer(other),
            })
        }) {
            answered += sound.iter().filter(|&&sound| sound).count();
            infinite += sound.iter().filter(|&&sound| !sound).count();
        }
    }
    println!("{refused} refused, {answered} answers, {infinite} without a finite logit");
    assert!(refused > 1000 && answered > 10_000 && infinite > 10);
}

#[test]
fn words_move_a_decision_that_is_certain() {
    let mut parts = words_parts(RowBits::Eight);
    parts.head.iter_mut().for_each(|weight| *weight *= 1000.0);
    let bytes = encode(&parts).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let text = "turn on the porch light";
    assert_eq!(model.classify(text, &mut Box::new(Scratch::new())).unwrap().probability(), 1.0);
    let moved = qdllm_trainer::inference::explain(&model, text).unwrap();
    assert!(moved.len() == 5 && moved.iter().all(|m| m.by.is_finite()));
    assert!(moved.iter().any(|m| m.by > 20.0), "in units of the logit: {moved:?}");
}
