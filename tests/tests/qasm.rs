//! Circuits from OpenQASM 2 with named angles: read, fused and stored against the plain simulator.

use proptest::prelude::*;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::gate::{Angle, GATES, Gate};
use qdllm_runtime::circuit::qasm::{Circuit, Form};
use qdllm_runtime::circuit::{PAPER_ANGLES, paper, paper_ansatz};
use qdllm_runtime::format::encode::{Parts, encode};
use qdllm_runtime::text::pool::RowBits;
use qdllm_runtime::{Model, Scratch};
use qdllm_tests::adjoint::{Work, expectations};
use qdllm_tests::plain;
use qdllm_tests::sample::words_parts;
use qdllm_tests::sample::{mindquantum_cases, single_z};
use qdllm_trainer::gradient::Bound;
use std::fmt::Write as _;

const HEAD: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n";

/// QASM of the preset: parameters `a0`, `a1`, ... in the order of its angles.
fn paper_text(gates: impl Iterator<Item = Gate>) -> String {
    let mut text = format!("{HEAD}qreg q[11];\n");
    for gate in gates {
        let info = gate.kind.info();
        let angle = match gate.angles[0] {
            _ if info.angles == 0 => String::new(),
            Angle::Param(p) => format!("(a{p})"),
            Angle::Input(i) => format!("(x{i})"),
            Angle::Const(x) => format!("({x})"),
        };
        let _ = write!(text, "{}{angle} q[{}]", info.name, gate.qubits[0]);
        let second =
            if info.qubits == 2 { format!(",q[{}]", gate.qubits[1]) } else { String::new() };
        let _ = writeln!(text, "{second};");
    }
    text
}

#[test]
fn the_preset_written_as_qasm_is_the_same_fused_program() {
    let preset = Fused::new(paper(), 11, &single_z()).unwrap();
    for text in [paper_text(paper()), paper_text(paper_ansatz())] {
        let circuit = Circuit::read(&text).unwrap();
        assert_eq!(circuit.names.len(), PAPER_ANGLES);
        assert_eq!(circuit.fused().unwrap(), preset);
        assert!(circuit.encoded().eq(paper()), "the encoder is put in front where there is none");
    }
}

#[test]
fn a_model_carries_its_circuit_as_text() {
    let text = paper_text(paper_ansatz());
    let parts = words_parts(RowBits::Four);
    let by_name = Model::parse(&encode(&parts).unwrap()).map(|m| m.qasm().is_none());
    assert_eq!(by_name, Ok(true));
    let bytes = encode(&Parts { preset: None, qasm: Some(text.clone()), ..parts.clone() }).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let stored = model.qasm().unwrap();
    assert!(model.source().is_none() && stored.circuit == text);
    let angles: Vec<f64> = stored.angles_rad().map(f64::from).collect();
    assert!(angles.iter().zip(&parts.parameters).all(|(a, b)| (a - b).abs() < 1e-7));
    // Reading the text again gives the program that the file holds.
    let again = Circuit::read(stored.circuit).unwrap().fused().unwrap();
    assert!(again.outputs.iter().copied().eq(model.program().words()));
    let mut scratch = Scratch::new();
    let here = model.classify("turn on the light", &mut scratch).unwrap().probabilities().to_vec();
    let bytes = encode(&parts).unwrap();
    let preset = Model::parse(&bytes).unwrap();
    assert_eq!(preset.classify("turn on the light", &mut scratch).unwrap().probabilities(), here);
}

#[test]
fn a_diagonal_with_more_phases_than_an_instruction_holds_is_stored_in_parts() {
    // CX ladders give each RZ its own word, 120 of them in one diagonal.
    let mut text = format!("{HEAD}qreg q[8];\nh q;\n");
    for i in 0..120 {
        let _ = writeln!(text, "cx q[{}],q[{}];rz(a{i}) q[{}];", i % 7, i % 7 + 1, i % 7 + 1);
        let _ = writeln!(text, "cx q[{}],q[{}];", (i * 5 + 3) % 8, (i * 3) % 8);
    }
    text.push_str("h q;\n");
    // A CX of a qubit with itself is no gate: leave those lines out.
    let text: String = text
        .lines()
        .filter(|l| !(0..8).any(|q| *l == format!("cx q[{q}],q[{q}];")))
        .map(|l| format!("{l}\n"))
        .collect();
    let circuit = Circuit::read(&text).unwrap();
    let fused = circuit.fused().unwrap();
    let named: Vec<f64> = (0..120).map(|i| (f64::from(i) * 0.7).sin()).collect();
    assert!(fused.angles() > 80, "{}", fused.angles());
    let section = qdllm_runtime::format::encode::program_section(&fused, &named).unwrap();
    let program = qdllm_runtime::circuit::program::Program::parse(&section).unwrap();
    let inputs: Vec<f64> = (0..8).map(|i| 0.3 * f64::from(i) - 1.0).collect();
    let mut out = [0.0_f32; 8];
    let narrow: Vec<f32> = inputs.iter().map(|&x| x as f32).collect();
    program.run(&mut qdllm_runtime::state::StateVector::new(), &narrow, &mut out);
    let state = plain::simulate(circuit.encoded(), 8, &inputs, &circuit.bound(&named));
    for (q, e) in out.iter().enumerate() {
        assert!((f64::from(*e) - plain::expectation(&state, 1 << q)).abs() < 5e-6, "{q}");
    }
}

#[test]
fn reference_expectations_come_from_the_text_too() {
    let fused = Circuit::read(&paper_text(paper_ansatz())).unwrap().fused().unwrap();
    for case in mindquantum_cases() {
        let bound = Bound::<f64>::new(&fused, &case.ansatz_params);
        let out = expectations(&bound, &mut Work::<f64>::default(), &case.encoder_angles);
        let gap = out.iter().zip(&case.expectations).map(|(a, b)| (a - b).abs());
        assert!(gap.fold(0.0, f64::max) < 1e-12);
    }
}

/// An angle as text: a number, a name, or something affine in names.
fn any_angle() -> impl Strategy<Value = String> {
    let name = prop_oneof!["p[0-3]", Just("theta".to_owned()), Just("k_1".to_owned())];
    prop_oneof![
        (-7.0..7.0).prop_map(|x: f64| format!("{x:?}")),
        name.clone(),
        (1..5, name.clone(), 1..7).prop_map(|(c, n, d)| format!("{c}*{n} + pi/{d}")),
        (name.clone(), name, -2.0..2.0)
            .prop_map(|(a, b, c): (_, _, f64)| format!("-({a} - {c:?}*{b})/2 - 0.25")),
    ]
}

/// A statement on `n` qubits; the two-qubit gates need two.
fn any_statement(n: usize) -> impl Strategy<Value = String> {
    (0..GATES.len(), 0..n, 1..n.max(2), [any_angle(), any_angle(), any_angle()], any::<bool>())
        .prop_map(move |(kind, a, step, angles, all)| {
            let info = &GATES[kind];
            if info.qubits == 2 && n == 1 {
                return "h q;".to_owned();
            }
            let angles = angles[..info.angles].join(" , ");
            let angles = if info.angles == 0 { angles } else { format!("( {angles} )") };
            match (info.qubits, all) {
                (1, true) => format!("{}{angles} q;", info.name),
                (1, false) => format!("{}{angles} q[{a}];", info.name),
                _ => format!("{}{angles} q[{a}], q[{}];", info.name, (a + step) % n),
            }
        })
}

fn any_text() -> impl Strategy<Value = (String, Vec<f64>, Vec<f64>)> {
    (1..=8_usize).prop_flat_map(|n| {
        (
            prop::collection::vec(any_statement(n), 0..30),
            prop::collection::vec(-4.0..4.0, n),
            prop::collection::vec(-4.0..4.0, 6),
            prop::collection::vec(any::<bool>(), n),
        )
            .prop_map(move |(statements, inputs, values, measured)| {
                let mut text =
                    format!("{HEAD}qreg q[{n}];\ncreg c[{n}];\n{}\n", statements.join("\n"));
                for q in (0..n).filter(|&q| measured[q]) {
                    let _ = writeln!(text, "measure q[{q}] -> c[{}];", n - 1 - q);
                }
                (text, inputs, values)
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]
    #[test]
    fn random_circuits_with_named_angles_equal_the_plain_simulator(
        (text, inputs, values) in any_text()
    ) {
        let circuit = Circuit::read(&text).unwrap();
        let again = Circuit::read(&circuit.write()).unwrap();
        prop_assert_eq!(&again.gates, &circuit.gates, "round trip");
        prop_assert_eq!(&again.measures, &circuit.measures);
        for form in [Form::Two, Form::Three] {
            let other = Circuit::read(&circuit.write_as(form)).unwrap();
            prop_assert_eq!(&other.gates, &again.gates, "{:?}", form);
            prop_assert_eq!(&other.measures, &circuit.measures);
        }
        // Names whose coefficients cancel are gone from the text; values go by name then.
        if again.names.len() == circuit.names.len() {
            prop_assert_eq!(&again, &circuit);
        }
        let named = &values[..circuit.names.len()];
        let state =
            plain::simulate(circuit.encoded(), circuit.qubits, &inputs, &circuit.bound(named));
        let bound = Bound::<f64>::new(&circuit.fused().unwrap(), named);
        let found = expectations(&bound, &mut Work::<f64>::default(), &inputs);
        let readouts = circuit.readouts();
        prop_assert_eq!(found.len(), readouts.len());
        for (mask, e) in readouts.into_iter().zip(found) {
            let exact = plain::expectation(&state, mask);
            prop_assert!((exact - e).abs() < 1e-12, "{} {}\n{}", exact, e, text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(OPENQASM 2.0;)?[ -~\n]{0,80}") {
        let _ = Circuit::read(&text);
    }
}
