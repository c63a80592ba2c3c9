//! Counts to a decision: the errors it states against the spread of many repetitions, read-out errors
//! undone, and input that it refuses.

use qdllm_tools::readout::{BitError, Counts, LinearHead, Part, Readout, answer, expectations};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn readout(bits: &[u8], negated: bool) -> Readout {
    Readout { bits: bits.to_vec(), negated }
}

/// Three outputs that share bits, so that their values are correlated.
fn readouts() -> Vec<Readout> {
    vec![readout(&[0], false), readout(&[0, 1], true), readout(&[1, 2], false)]
}

fn head() -> LinearHead {
    LinearHead {
        weights: vec![vec![1.5, -0.7, 0.2], vec![-0.4, 0.9, 1.1], vec![0.3, 0.3, -2.0]],
        biases: vec![1.5, -0.2, 0.0],
        labels: ["no", "yes", "perhaps"].map(String::from).to_vec(),
        temperature: 1.3,
        reject_below: 0.0,
    }
}

const TRUTH: [f64; 8] = [0.3, 0.05, 0.1, 0.2, 0.02, 0.18, 0.05, 0.1];
const OTHER: [f64; 8] = [0.05, 0.25, 0.1, 0.1, 0.2, 0.1, 0.15, 0.05];

fn sample(truth: &[f64; 8], errors: &[BitError], shots: u64, rng: &mut ChaCha8Rng) -> Counts {
    let one = |rng: &mut ChaCha8Rng| {
        let mut left = rng.random::<f64>();
        let mut x = truth.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        let x = x.get_or_insert(7);
        errors.iter().enumerate().fold(*x as u64, |x, (bit, e)| {
            let p = if x >> bit & 1 == 1 { e.zero_from_one } else { e.one_from_zero };
            x ^ u64::from(rng.random::<f64>() < p) << bit
        })
    };
    Counts::new((0..shots).map(|_| (one(rng), 1)), 3).unwrap()
}

fn exact(truth: &[f64; 8], r: &Readout) -> f64 {
    let sign = |x: usize| {
        let ones = r.bits.iter().filter(|&&b| x >> b & 1 == 1).count() + usize::from(r.negated);
        if ones % 2 == 0 { 1.0 } else { -1.0 }
    };
    (0..8).map(|x| truth[x] * sign(x)).sum()
}

fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

#[test]
fn stated_errors_are_the_spread_of_repetitions_and_undone_errors_leave_no_bias() {
    let (head, readouts, weights) = (head(), readouts(), [0.7, 0.3]);
    let misread = [
        BitError { one_from_zero: 0.03, zero_from_one: 0.1 },
        BitError { one_from_zero: 0.08, zero_from_one: 0.02 },
        BitError { one_from_zero: 0.01, zero_from_one: 0.06 },
    ];
    let expected: Vec<f64> = readouts
        .iter()
        .map(|r| weights[0] * exact(&TRUTH, r) + weights[1] * exact(&OTHER, r))
        .collect();
    let logits = head.logits(&expected);
    for errors in [&[] as &[BitError], &misread] {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let answers: Vec<_> = (0..400)
            .map(|_| {
                let counts = [&TRUTH, &OTHER].map(|t| sample(t, errors, 500, &mut rng));
                let undo = (!errors.is_empty()).then(|| errors.to_vec());
                let part = |i: usize| Part {
                    weight: weights[i],
                    readouts: &readouts,
                    counts: counts[i].clone(),
                    errors: undo.clone(),
                };
                answer(&head, &[part(0), part(1)]).unwrap()
            })
            .collect();
        let judge = |name: &str, values: Vec<f64>, stated: Vec<f64>, truth: f64| {
            let (mean, sd) = spread(&values);
            let claimed = stated.iter().sum::<f64>() / stated.len() as f64;
            // 400 repetitions know a standard deviation to 3.5 per cent; four times that.
            assert!((claimed / sd - 1.0).abs() < 0.15, "{name}: {claimed} stated, {sd} seen");
            assert!((mean - truth).abs() < 4.0 * sd / 20.0, "{name}: {mean}, truth {truth}");
        };
        for c in 0..3 {
            let values = answers.iter().map(|a| a.logits[c]).collect();
            let stated = answers.iter().map(|a| a.logit_errors[c]).collect();
            judge("logit", values, stated, logits[c]);
            let values = answers.iter().map(|a| a.expectations.values[c]).collect();
            let stated = answers.iter().map(|a| a.expectations.errors[c]).collect();
            judge("expectation", values, stated, expected[c]);
        }
        // The two leading classes are far apart, so every repetition ranks them alike.
        assert!(answers.iter().all(|a| a.class == answers[0].class && a.margin > 0.0));
        let margin = |a: &qdllm_tools::readout::Answer| a.margin;
        let mut sorted = logits.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        judge(
            "margin",
            answers.iter().map(margin).collect(),
            answers.iter().map(|a| a.margin_error).collect(),
            sorted[0] - sorted[1],
        );
        let top = head.probabilities(&logits)[answers[0].class];
        let (mean, sd) = spread(&answers.iter().map(|a| a.probability).collect::<Vec<_>>());
        assert!((mean - top).abs() < 0.01, "{mean} {top}");
        let stated = spread(&answers.iter().map(|a| a.probability_error).collect::<Vec<_>>()).0;
        assert!((stated / sd - 1.0).abs() < 0.2, "probability: {stated} stated, {sd} seen");
    }
}

#[test]
fn ignored_read_out_errors_are_a_bias() {
    let errors = [BitError { one_from_zero: 0.1, zero_from_one: 0.2 }; 3];
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let counts = sample(&TRUTH, &errors, 20_000, &mut rng);
    let readouts = readouts();
    let part = Part { weight: 1.0, readouts: &readouts, counts, errors: None };
    let plain = expectations(std::slice::from_ref(&part), 3).unwrap();
    let undone = expectations(&[Part { errors: Some(errors.to_vec()), ..part }], 3).unwrap();
    let off = |e: &qdllm_tools::readout::Estimate, k: usize| {
        (e.values[k] - exact(&TRUTH, &readouts[k])).abs()
    };
    assert!(off(&plain, 0) > 5.0 * plain.errors[0]);
    for k in 0..3 {
        assert!(off(&undone, k) < 4.0 * undone.errors[k]);
        assert!(undone.errors[k] > plain.errors[k], "undoing errors costs variance");
    }
}

#[test]
fn what_gives_no_answer_is_named() {
    let (head, readouts) = (head(), readouts());
    let counts = Counts::new([(1, 10), (6, 20)], 3).unwrap();
    let part = Part { weight: 1.0, readouts: &readouts, counts, errors: None };
    let part = || part.clone();
    assert!(answer(&head, &[part()]).is_ok());
    let refused = |parts: &[Part<'_>], why: &str| {
        let error = answer(&head, parts).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&[], "sum to -0, not to 1");
    refused(&[part(), part()], "sum to 2, not to 1");
    let short = Part { readouts: &readouts[..2], ..part() };
    refused(&[short], "circuit 1 gives 2 outputs; the model takes 3");
    let narrow = Counts::new([(1, 10)], 2).unwrap();
    refused(&[Part { counts: narrow, ..part() }], "circuit 1 reads c[2]; its counts have 2 bits");
    let one = Counts::new([(1, 1)], 3).unwrap();
    refused(&[Part { counts: one, ..part() }], "circuit 1 has 1 shots; at least 2 are needed");
    let noise = [BitError::default(), BitError { one_from_zero: 0.5, zero_from_one: 0.5 }];
    refused(
        &[Part { errors: Some(noise.to_vec()), ..part() }],
        "circuit 1: the read-out errors of c[1]",
    );
}
