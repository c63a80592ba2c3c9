//! Gradients of the host: the adjoint in f64 and the batches in registers against `MindQuantum`'s numbers in
//! double precision, the batches also against the f64 adjoint on random circuits.

use proptest::prelude::*;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::gate::{Angle, GATES, Gate, GateKind};
use qdllm_runtime::circuit::{encoder, paper};
use qdllm_tests::adjoint::{Work, expectations, gradient};
use qdllm_tests::sample::{mindquantum_cases, single_z};
use qdllm_trainer::gradient::batch::Batch;
use qdllm_trainer::gradient::{Bound, to_parameters};

fn circuit() -> Fused {
    Fused::new(paper(), 11, &single_z()).unwrap()
}

#[test]
fn gradients_equal_mindquantum_in_f64() {
    let circuit = circuit();
    let mut work = Work::<f64>::default();
    let mut worst = 0.0_f64;
    for case in mindquantum_cases() {
        let bound = Bound::<f64>::new(&circuit, &case.ansatz_params);
        let expectations = expectations(&bound, &mut work, &case.encoder_angles);
        let gradient = gradient(&bound, &mut work, &case.cotangent);
        let mut by_parameter = vec![0.0; 144];
        to_parameters(&circuit, &gradient.angles, &mut by_parameter);
        worst = worst
            .max(wide_gap(&expectations, &case.expectations))
            .max(wide_gap(&by_parameter, &case.grad_ansatz))
            .max(wide_gap(&gradient.inputs, &case.grad_encoder));
    }
    println!("largest error {worst:.1e}");
    assert!(worst < 1e-12, "{worst:e}");
}

fn gap(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(&x, y)| (f64::from(x) - y).abs()).fold(0.0, f64::max)
}

fn narrow(v: &[f64]) -> Vec<f32> {
    v.iter().map(|&x| x as f32).collect()
}

fn wide_gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn batches_equal_mindquantum() {
    let circuit = circuit();
    let (mut value, mut slope) = (0.0_f64, 0.0_f64);
    for case in mindquantum_cases() {
        let batch = Batch::new(&circuit, &case.ansatz_params);
        let (angles, cotangent) = (narrow(&case.encoder_angles), narrow(&case.cotangent));
        value = value.max(gap(&batch.run(&angles), &case.expectations));
        let (mut out, mut inputs) = ([0.0; 11], [0.0; 11]);
        let (mut work, mut sums) = (batch.work(true), batch.sums());
        batch.expectations(&mut work, &angles, &mut out);
        batch.gradient(&mut work, &cotangent, &mut inputs, &mut sums);
        value = value.max(gap(&out, &case.expectations));
        let mut by_parameter = vec![0.0; 144];
        to_parameters(&circuit, &batch.slopes(sums), &mut by_parameter);
        slope = slope
            .max(gap(&inputs, &case.grad_encoder))
            .max(wide_gap(&by_parameter, &case.grad_ansatz));
    }
    println!("largest error: expectations {value:.1e}, slopes {slope:.1e}");
    assert!(value < 2e-6, "{value:e}");
    assert!(slope < 2e-6, "{slope:e}");
}

#[test]
fn each_sample_of_a_batch_gets_what_it_would_get_alone() {
    let circuit = circuit();
    let cases = mindquantum_cases();
    let batch = Batch::new(&circuit, &cases[0].ansatz_params);
    let bound = Bound::<f64>::new(&circuit, &cases[0].ansatz_params);
    let mut alone = Work::<f64>::default();
    // More samples than lanes, and not a multiple of them.
    let inputs: Vec<f64> = (0..37 * 11).map(|i| f64::from(i) * 0.37 % 9.0 - 4.5).collect();
    let out = batch.run(&narrow(&inputs));
    for (row, angles) in out.chunks_exact(11).zip(inputs.chunks_exact(11)) {
        assert!(gap(row, &expectations(&bound, &mut alone, angles)) < 2e-6);
    }
}

#[test]
fn every_register_width_gives_the_same() {
    let circuit = circuit();
    let parameters = &mindquantum_cases()[0].ansatz_params;
    let rows = 2 * Batch::new(&circuit, parameters).lanes();
    let angles: Vec<f32> = (0..rows * 11).map(|i| i as f32 * 0.37 % 9.0 - 4.5).collect();
    let cotangent: Vec<f32> = (0..rows * 11).map(|i| (i % 7) as f32 * 0.2 - 0.5).collect();
    let all: Vec<_> = Batch::each_width(&circuit, parameters)
        .iter()
        .map(|batch| {
            let lanes = batch.lanes();
            let (mut work, mut sums) = (batch.work(true), batch.sums());
            let mut slopes = vec![0.0; angles.len()];
            for (i, slopes) in slopes.chunks_mut(lanes * 11).enumerate() {
                let own = i * lanes * 11..(i + 1) * lanes * 11;
                let mut out = vec![0.0; lanes * 11];
                batch.expectations(&mut work, &angles[own.clone()], &mut out);
                batch.gradient(&mut work, &cotangent[own], slopes, &mut sums);
            }
            (lanes, batch.run(&angles), slopes, batch.slopes(sums))
        })
        .collect();
    let lanes: Vec<usize> = all.iter().map(|x| x.0).collect();
    println!("lanes {lanes:?}");
    assert!(lanes.is_sorted() && lanes[0] == 1);
    assert_eq!(lanes.last(), Some(&Batch::new(&circuit, parameters).lanes()));
    let wide = |v: &[f32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    for (lanes, out, slopes, by_angle) in &all[1..] {
        let (_, one, one_slopes, one_by_angle) = &all[0];
        assert!(gap(out, &wide(one)) < 2e-6, "{lanes} lanes");
        assert!(gap(slopes, &wide(one_slopes)) < 1e-5, "{lanes} lanes");
        assert!(wide_gap(by_angle, one_by_angle) < 1e-4, "{lanes} lanes");
    }
}

/// Any gate of the table, angles constant or one of 8 parameters.
fn any_gate(qubits: u8) -> impl Strategy<Value = Gate> {
    let angle = prop_oneof![(-7.0..7.0).prop_map(Angle::Const), (0u16..8).prop_map(Angle::Param)];
    (0..GATES.len(), 0..qubits, 1..qubits.max(2), [angle.clone(), angle.clone(), angle]).prop_map(
        move |(kind, a, step, angles)| {
            let two = GATES[kind].qubits == 2 && qubits > 1;
            let kind = if GATES[kind].qubits == 2 && !two { GateKind::H } else { GATES[kind].kind };
            Gate { kind, qubits: [a, if two { (a + step) % qubits } else { a }], angles }
        },
    )
}

fn any_circuit() -> impl Strategy<Value = (u8, Vec<Gate>, Vec<f64>, Vec<f64>, Vec<u16>)> {
    (1u8..=11).prop_flat_map(|n| {
        (
            Just(n),
            prop::collection::vec(any_gate(n), 0..40),
            prop::collection::vec(-4.0..4.0, 2 * n as usize),
            prop::collection::vec(-4.0..4.0, 8),
            prop::collection::vec(0u16..1 << n, 1..6),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]
    #[test]
    fn batches_equal_the_f64_adjoint_on_random_circuits(
        (qubits, gates, angles, parameters, words) in any_circuit()
    ) {
        let n = qubits as usize;
        let circuit =
            Fused::new(encoder(qubits).chain(gates.iter().copied()), qubits, &words).unwrap();
        let batch = Batch::new(&circuit, &parameters);
        let lanes = batch.lanes().min(2);
        let angles = &angles[..lanes * n];
        let bound = Bound::<f64>::new(&circuit, &parameters);
        let (mut work, mut sums, mut alone) = (batch.work(true), batch.sums(), Work::default());
        let cotangent: Vec<f64> =
            (0..lanes * words.len()).map(|i| 0.7 - 0.3 * (i % 5) as f64).collect();
        let (mut out, mut inputs) = (vec![0.0; lanes * words.len()], vec![0.0; lanes * n]);
        batch.expectations(&mut work, &narrow(angles), &mut out);
        batch.gradient(&mut work, &narrow(&cotangent), &mut inputs, &mut sums);
        let mut by_angle = vec![0.0; circuit.angles()];
        for (lane, angles) in angles.chunks_exact(n).enumerate() {
            let rows = lane * words.len()..(lane + 1) * words.len();
            let e = expectations(&bound, &mut alone, angles);
            prop_assert!(gap(&out[rows.clone()], &e) < 1e-5);
            let g = gradient(&bound, &mut alone, &cotangent[rows]);
            prop_assert!(gap(&inputs[lane * n..(lane + 1) * n], &g.inputs) < 1e-4);
            by_angle.iter_mut().zip(&g.angles).for_each(|(a, b)| *a += b);
        }
        prop_assert!(wide_gap(&batch.slopes(sums), &by_angle) < 1e-4);
        prop_assert!(gap(&batch.run(&narrow(angles)), &out.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()) < 1e-5);
    }
}
