//! The fused circuit against the plain simulator and against `MindQuantum`'s numbers.

use proptest::prelude::*;
use qdllm_runtime::circuit::fuse::{FuseError, Fused, FusedOp};
use qdllm_runtime::circuit::gate::{Angle, GATES, Gate, GateKind};
use qdllm_runtime::circuit::program::{Op, Program};
use qdllm_runtime::circuit::{encoder, paper};
use qdllm_runtime::format::encode::program_section;
use qdllm_runtime::math::Value;
use qdllm_runtime::state::StateI16;
use qdllm_runtime::state::StateVector;
use qdllm_runtime::state::kernels::Diagonal;
use qdllm_tests::plain;
use qdllm_tests::sample::{mindquantum_cases, single_z};

/// Runs a fused circuit with the runtime's kernels in f64.
fn run_f64(fused: &Fused, inputs: &[f64], parameters: &[f64]) -> Vec<f64> {
    let mut state = Box::new(StateVector::<f64>::new());
    state.start(inputs);
    for op in &fused.ops {
        match op {
            FusedOp::Phases(terms) => {
                let all = terms.iter().map(|(m, a)| (*m, a.value(parameters)));
                state.diagonal(&Diagonal::new(all, 1.0));
            }
            FusedOp::Ry(q, a) => {
                let (sin, cos) = Value::sin_cos(a.value(parameters) / 2.0);
                state.ry(*q as usize, cos, sin);
            }
            FusedOp::IndexMap(map) => state.map_indices(map),
        }
    }
    state.measure();
    let read = |&(mask, negated)| {
        if negated { -state.expectation(mask) } else { state.expectation(mask) }
    };
    fused.outputs.iter().map(read).collect()
}

/// An angle in radians as a phase: 2^32 is one turn.
fn phase(angle_rad: f32) -> u32 {
    (f64::from(angle_rad) / std::f64::consts::TAU * 4_294_967_296.0).round() as i64 as u32
}

/// Runs a stored program in 16-bit integers.
fn run_i16(program: &Program<'_>, angles_rad: &[f32]) -> Vec<f64> {
    let phases: Vec<u32> = angles_rad.iter().map(|&x| phase(x)).collect();
    let mut out = vec![0; program.outputs()];
    program.run_i16(&mut StateI16::new(), &phases, &mut out);
    out.into_iter().map(|x| f64::from(x) / f64::from(1 << 30)).collect()
}

fn largest_gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn paper_circuit_fuses_to_47_angles_in_two_diagonals() {
    let fused = Fused::new(paper(), 11, &single_z()).unwrap();
    // 144 angles; RY and RZ triples merge (to 20 RY and 11 RZ), the last RZ layer has no effect,
    // nor has RZ on qubit 10, which is never turned; RZZ(8,9) of layer 2 is an RZ before the CX block.
    assert_eq!(fused.angles(), 47);
    let phases = fused.ops.iter().filter(|op| matches!(op, FusedOp::Phases(_))).count();
    let maps = fused.ops.iter().filter(|op| matches!(op, FusedOp::IndexMap(_))).count();
    assert_eq!((phases, maps), (2, 1));
    assert!(matches!(fused.ops[0], FusedOp::Phases(_)), "begins with its diagonal");
    // The last CX block became the parities that the reference analysis gives.
    let masks: Vec<u16> = fused.outputs.iter().map(|o| o.0).collect();
    let bits = |qubits: &[u16]| qubits.iter().fold(0, |m, q| m | 1 << q);
    let mut expected = vec![bits(&[0, 1, 10])];
    expected.extend((2..=8).map(|q| bits(&[q])));
    expected.push(bits(&[1, 2, 3, 4, 5, 6, 7, 8]));
    expected.push(bits(&[1, 2, 3, 4, 5, 6, 7, 8, 9]));
    expected.push(bits(&[10]));
    assert_eq!(masks, expected);
}

#[test]
fn expectations_equal_mindquantum_in_f64_f32_and_i16() {
    let fused = Fused::new(paper(), 11, &single_z()).unwrap();
    let (mut worst64, mut worst32, mut worst16) = (0.0_f64, 0.0_f64, 0.0_f64);
    for case in mindquantum_cases() {
        let wide = run_f64(&fused, &case.encoder_angles, &case.ansatz_params);
        worst64 = worst64.max(largest_gap(&wide, &case.expectations));
        let section = program_section(&fused, &case.ansatz_params).unwrap();
        let program = Program::parse(&section).unwrap();
        let inputs: Vec<f32> = case.encoder_angles.iter().map(|&x| x as f32).collect();
        let mut out = [0.0_f32; 11];
        program.run(&mut StateVector::new(), &inputs, &mut out);
        let narrow: Vec<f64> = out.iter().map(|&x| f64::from(x)).collect();
        worst32 = worst32.max(largest_gap(&narrow, &case.expectations));
        worst16 = worst16.max(largest_gap(&run_i16(&program, &inputs), &case.expectations));
    }
    println!("largest error: f64 {worst64:.1e}, f32 {worst32:.1e}, i16 {worst16:.1e}");
    assert!(worst64 < 1e-12, "f64 {worst64:e}");
    assert!(worst32 < 2e-6, "f32 {worst32:e}");
    assert!(worst16 < 2e-3, "i16 {worst16:e}");
}

/// The gate that undoes one with constant angles.
fn inverse(gate: &Gate) -> Gate {
    let kind = match gate.kind {
        GateKind::S => GateKind::Sdg,
        GateKind::Sdg => GateKind::S,
        GateKind::T => GateKind::Tdg,
        GateKind::Tdg => GateKind::T,
        kind => kind,
    };
    let [t, phi, lambda] = gate.angles.map(|angle| match angle {
        Angle::Const(x) => Angle::Const(-x),
        other => other,
    });
    let angles = if kind == GateKind::U { [t, lambda, phi] } else { [t, phi, lambda] };
    Gate { kind, angles, ..*gate }
}

#[test]
fn every_gate_and_its_inverse_are_the_identity() {
    let turned = |t: f64| {
        (0..2).flat_map(move |q| {
            let angle = Angle::Const(t + f64::from(q));
            [GateKind::Ry, GateKind::Rz, GateKind::Rx].map(|k| Gate::rotation(k, q, angle))
        })
    };
    let run = |between: &[Gate]| {
        let gates = encoder(2).chain(turned(0.4)).chain(between.iter().copied());
        let fused = Fused::new(gates.chain(turned(1.3)), 2, &[1, 2, 3]).unwrap();
        run_f64(&fused, &[0.3, -0.8], &[])
    };
    let plain = run(&[]);
    for info in &GATES {
        let qubits = [0, u8::from(info.qubits == 2)];
        let gate = Gate { kind: info.kind, qubits, angles: [0.7, -1.1, 2.3].map(Angle::Const) };
        let gap = largest_gap(&run(&[gate, inverse(&gate)]), &plain);
        assert!(gap < 1e-14, "{}: {gap:e}", info.name);
        let alone = largest_gap(&run(&[gate]), &plain);
        assert!(alone > 1e-3, "{} changes nothing", info.name);
    }
}

/// Any gate of the table on `qubits` qubits, angles constant or one of 8 parameters.
fn any_gate(qubits: u8) -> impl Strategy<Value = Gate> {
    let angle = prop_oneof![(-7.0..7.0).prop_map(Angle::Const), (0u16..8).prop_map(Angle::Param),];
    (0..GATES.len(), 0..qubits, 1..qubits.max(2), [angle.clone(), angle.clone(), angle]).prop_map(
        move |(kind, a, step, angles)| {
            let two = GATES[kind].qubits == 2 && qubits > 1;
            // On one qubit only one-qubit gates make sense.
            let kind = if GATES[kind].qubits == 2 && !two { GateKind::H } else { GATES[kind].kind };
            let b = if two { (a + step) % qubits } else { a };
            Gate { kind, qubits: [a, b], angles }
        },
    )
}

fn any_circuit(
    qubits: u8,
    gates: usize,
) -> impl Strategy<Value = (u8, Vec<Gate>, Vec<f64>, Vec<f64>, Vec<u16>)> {
    (1..=qubits).prop_flat_map(move |n| {
        (
            Just(n),
            prop::collection::vec(any_gate(n), 0..gates),
            prop::collection::vec(-4.0..4.0, n as usize),
            prop::collection::vec(-4.0..4.0, 8),
            prop::collection::vec(0u16..1 << n, 1..6),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]
    #[test]
    fn fusion_changes_no_expectation_of_random_circuits(
        (qubits, gates, inputs, parameters, words) in any_circuit(6, 60)
    ) {
        let all = || encoder(qubits).chain(gates.iter().copied());
        let fused = Fused::new(all(), qubits, &words).unwrap();
        let state = plain::simulate(all(), qubits as usize, &inputs, &parameters);
        let expected: Vec<f64> = words.iter().map(|&m| plain::expectation(&state, m)).collect();
        let got = run_f64(&fused, &inputs, &parameters);
        prop_assert!(largest_gap(&got, &expected) < 1e-12, "{} {:?}", largest_gap(&got, &expected), fused);
    }
}

/// Runs a stored program one instruction at a time, without what [`Program::run`] does at once.
fn run_steps(program: &Program<'_>, inputs: &[f64]) -> Vec<f64> {
    let mut state = Box::new(StateVector::<f64>::new());
    state.start(inputs);
    for op in program.ops() {
        match op {
            Op::Phases(terms) => {
                state.diagonal(&Diagonal::new(terms.map(|(m, a)| (m, f64::from(a))), 1.0));
            }
            Op::Ry(q, a) => {
                let (sin, cos) = Value::sin_cos(f64::from(a) / 2.0);
                state.ry(q as usize, cos, sin);
            }
            Op::IndexMap(map) => state.map_indices(&map),
        }
    }
    state.measure();
    let read = |(mask, negated)| {
        if negated { -state.expectation(mask) } else { state.expectation(mask) }
    };
    program.words().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]
    #[test]
    fn a_program_gives_what_its_instructions_give_one_by_one(
        (qubits, gates, inputs, parameters, words) in any_circuit(11, 80)
    ) {
        let all = encoder(qubits).chain(gates.iter().copied());
        let fused = Fused::new(all, qubits, &words).unwrap();
        let section = program_section(&fused, &parameters).unwrap();
        let program = Program::parse(&section).unwrap();
        let mut out = vec![0.0_f64; words.len()];
        program.run(&mut StateVector::new(), &inputs, &mut out);
        let gap = largest_gap(&out, &run_steps(&program, &inputs));
        prop_assert!(gap < 1e-12, "{gap:e} {fused:?}");
        let angles: Vec<f32> = inputs.iter().map(|&x| x as f32).collect();
        let gap = largest_gap(&out, &run_i16(&program, &angles));
        prop_assert!(gap < 4e-3, "i16 {gap:e} {fused:?}");
    }
}

#[test]
fn circuits_that_cannot_be_fused_are_refused() {
    let bad = |gates: Vec<Gate>, n| Fused::new(gates.into_iter(), n, &[1]).unwrap_err();
    let cx = Gate::fixed(GateKind::Cx, 0, 0);
    assert_eq!(bad(vec![], 12), FuseError::QubitCount(12));
    assert_eq!(bad(encoder(2).chain([cx]).collect(), 2), FuseError::BadQubit(2));
    assert_eq!(bad(encoder(1).collect(), 2), FuseError::NoEncoder(1));
    let again = Gate::rotation(GateKind::Rx, 0, Angle::Input(0));
    assert_eq!(bad(encoder(2).chain([again]).collect(), 2), FuseError::InputOutsideEncoder(2));
}
