//! The exact tensor train of a circuit equals the circuit: random ones, those that once failed, and the
//! preset.

use proptest::prelude::*;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::gate::{Angle, GATES, Gate, GateKind};
use qdllm_runtime::circuit::program::Program;
use qdllm_runtime::circuit::{encoder, paper};
use qdllm_runtime::compiled::Measured;
use qdllm_runtime::compiled::tensor_train::{self, Cores, TensorTrain, Work};
use qdllm_runtime::format::encode::program_section;
use qdllm_runtime::state::StateVector;
use qdllm_tests::sample::numbers;
use qdllm_tests::sample::single_z;
use qdllm_trainer::compile::coefficients::{Coefficients, Combined};
use qdllm_trainer::compile::tensor_train::exact_train;
use qdllm_trainer::compile::tensor_train::quantise::quantise;

/// What sections state here; nothing was measured.
const MEASURED: Measured = Measured {
    asked: 1.0,
    agreement: 1.0,
    texts: 0,
    largest_logit_error: 0.0,
    multiply_adds: 0,
    ram_bytes: 0,
};

/// The largest gap between a circuit's exact train and the circuit in f64, over all inputs: of
/// differences of expectations.
fn train_against_circuit(fused: &Fused, parameters: &[f64], inputs: &[Vec<f64>]) -> f64 {
    let outputs = fused.outputs.len();
    let one = |o| Combined {
        weights: (0..outputs).map(|i| f64::from(u8::from(i == o))).collect(),
        bias: 0.0,
    };
    let functions: Vec<Combined> = (0..outputs).map(one).collect();
    let tensor = Coefficients::new(fused, parameters, &functions);
    let gauged = exact_train(tensor).unwrap();
    let chain = quantise(&gauged, Cores::F32, &[]).unwrap();
    let section = tensor_train::section(&MEASURED, &chain);
    let train = TensorTrain::parse(&section, outputs, fused.qubits as usize).unwrap();
    let program = program_section(fused, parameters).unwrap();
    let program = Program::parse(&program).unwrap();
    let mut worst = 0.0_f64;
    for angles in inputs {
        let mut exact = vec![0.0; outputs];
        program.run(&mut StateVector::<f64>::new(), angles, &mut exact);
        let narrow: Vec<f32> = angles.iter().map(|&x| x as f32).collect();
        let mut found = vec![0.0; outputs];
        train.logits_f32(&narrow, &mut Work::new(), &mut found).unwrap();
        for (f, e) in found.iter().zip(&exact) {
            worst = worst.max((f64::from(*f) - (e - exact[0])).abs());
        }
    }
    worst
}

/// Any gate of the table on `qubits` qubits, angles constant.
fn any_gate(qubits: u8) -> impl Strategy<Value = Gate> {
    let angle = || (-7.0..7.0).prop_map(Angle::Const);
    (0..GATES.len(), 0..qubits, 1..qubits.max(2), [angle(), angle(), angle()]).prop_map(
        move |(kind, a, step, angles)| {
            let two = GATES[kind].qubits == 2 && qubits > 1;
            let kind = if GATES[kind].qubits == 2 && !two { GateKind::H } else { GATES[kind].kind };
            let b = if two { (a + step) % qubits } else { a };
            Gate { kind, qubits: [a, b], angles }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(50),
        failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn the_exact_train_of_random_circuits_equals_the_statevector(
        (qubits, gates, words, inputs) in (1..=6_u8).prop_flat_map(|n| (
            Just(n),
            prop::collection::vec(any_gate(n), 0..40),
            prop::collection::vec(0u16..1 << n, 2..6),
            prop::collection::vec(prop::collection::vec(-4.0..4.0, n as usize), 8),
        ))
    ) {
        let all = encoder(qubits).chain(gates.iter().copied());
        let fused = Fused::new(all, qubits, &words).unwrap();
        let gap = train_against_circuit(&fused, &[], &inputs);
        prop_assert!(gap < 1e-5, "{gap:e} {fused:?}");
    }
}

/// A gate, its qubits and its angles.
type Given = (GateKind, [u8; 2], &'static [f64]);
/// Qubits, gates and read-outs of a circuit.
type Known = (u8, &'static [Given], &'static [u16]);

/// Two circuits whose trains differed by 9e-3 and 1e-3 when singular values came from nalgebra.
#[rustfmt::skip]
const NEAR_EQUAL: [Known; 2] = {
    use GateKind::*;
    [
        (6, &[
            (H, [0, 0], &[]),
            (Cx, [2, 3], &[]),
            (Cx, [1, 0], &[]),
            (Rx, [0, 0], &[5.361549086045429]),
            (S, [2, 2], &[]),
            (H, [2, 2], &[]),
            (Cz, [2, 0], &[]),
            (Rxx, [3, 5], &[3.0132793019050848]),
            (Cry, [5, 4], &[-1.4695049655723758]),
            (Cz, [5, 3], &[]),
            (P, [4, 4], &[-1.848796499781974]),
            (Rzz, [1, 3], &[-2.865068189149568]),
            (Rz, [2, 2], &[0.022914309401504303]),
            (Sdg, [3, 3], &[]),
            (Cry, [0, 3], &[2.5097078939805995]),
            (U, [5, 5], &[-4.328288855701177, 2.6635072161459936, -4.912204248501379]),
            (Crz, [1, 3], &[1.888212844318725]),
            (Rx, [3, 3], &[4.859018536819392]),
            (U, [0, 0], &[5.2795785954409835, -0.40640714130093164, -0.8872621388295906]),
            (Cp, [1, 5], &[-4.317790744417309]),
            (Crx, [0, 2], &[5.707364071218955]),
            (Crz, [1, 5], &[6.7530786342425]),
            (U, [2, 2], &[0.9663923985197597, 5.550967316397161, 4.052938563499455]),
            (Cz, [5, 2], &[]),
            (Ryy, [0, 5], &[5.255308098450658]),
            (Rzz, [1, 4], &[0.227598185209055]),
            (Y, [5, 5], &[]),
            (X, [0, 0], &[]),
            (T, [3, 3], &[]),
            (Y, [1, 1], &[]),
        ], &[24, 60, 46]),
        (4, &[
            (Rxx, [1, 0], &[-6.476390795961525]),
            (Crz, [3, 2], &[-2.7794856779181227]),
            (Ry, [2, 2], &[-5.520698670213796]),
            (Rzz, [3, 1], &[-6.092224920617058]),
            (Cry, [0, 2], &[-0.4572552164553531]),
            (Cry, [3, 0], &[-6.741739131322509]),
            (Cz, [3, 0], &[]),
            (Y, [0, 0], &[]),
            (Cz, [1, 0], &[]),
            (Cp, [0, 2], &[1.2954006878578967]),
            (Sdg, [1, 1], &[]),
            (Crx, [3, 2], &[-5.947482681052005]),
            (Ryy, [3, 2], &[5.654316463021451]),
            (T, [2, 2], &[]),
            (Cry, [0, 2], &[-3.122089279702123]),
            (Cx, [3, 0], &[]),
            (P, [3, 3], &[4.221009739096159]),
            (U, [0, 0], &[3.124235550549286, -1.349446598928296, -1.7846166570462765]),
            (Crz, [2, 1], &[5.709688056858875]),
            (Ryy, [2, 1], &[1.2968655263863769]),
            (Y, [3, 3], &[]),
        ], &[8, 4, 9, 15, 7]),
    ]
};

#[test]
fn the_exact_train_of_circuits_that_once_failed_equals_the_statevector() {
    for (qubits, gates, words) in NEAR_EQUAL {
        let gates = gates.iter().map(|&(kind, qubits, given)| {
            let mut angles = [Angle::Const(0.0); 3];
            angles.iter_mut().zip(given).for_each(|(to, &x)| *to = Angle::Const(x));
            Gate { kind, qubits, angles }
        });
        let fused = Fused::new(encoder(qubits).chain(gates), qubits, words).unwrap();
        let mut n = numbers().map(|x| 4.0 * x);
        let inputs: Vec<Vec<f64>> =
            (0..100).map(|_| n.by_ref().take(qubits.into()).collect()).collect();
        let gap = train_against_circuit(&fused, &[], &inputs);
        assert!(gap < 1e-5, "{gap:e}");
    }
}

#[test]
fn the_exact_train_of_the_preset_equals_the_statevector() {
    // Three read-outs with wide support and one without: all eleven take a minute longer.
    let words: Vec<u16> = [0, 8, 9, 10].iter().map(|&o| single_z()[o]).collect();
    let fused = Fused::new(paper(), 11, &words).unwrap();
    let mut n = numbers();
    let parameters: Vec<f64> = n.by_ref().take(144).map(|x| 0.6 * x).collect();
    let inputs: Vec<Vec<f64>> =
        (0..50).map(|_| n.by_ref().take(11).map(|x| 3.2 * x).collect()).collect();
    let gap = train_against_circuit(&fused, &parameters, &inputs);
    println!("largest gap {gap:.1e}");
    assert!(gap < 1e-5, "{gap:e}");
}
