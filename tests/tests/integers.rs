//! Models run in 16-bit integers against the same models in floating point.

use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::encode;
use qdllm_runtime::text::pool::RowBits;
use qdllm_runtime::{Model, Scratch, ScratchI16};
use qdllm_tests::sample::{dense_parts, numbers, words_parts};

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
