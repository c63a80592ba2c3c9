//! Random circuits over the whole gate table: the simulator against the runtime's fuser and kernels,
//! and the compiler on three maps.

use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::gate::{Angle, GATES, Gate, GateKind};
use qdllm_runtime::state::StateVector;
use qdllm_runtime::state::kernels::Diagonal;
use qdllm_tools::circuit::{Circuit, Op};
use qdllm_tools::processor::topology::Processor;
use qdllm_tools::qasm;
use qdllm_tools::statevector;
use qdllm_tools::transpile::source::Source;
use qdllm_tools::transpile::{Options, Plan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{FRAC_PI_2, PI};

fn random_circuit(rng: &mut ChaCha8Rng, qubits: u8, gates: usize) -> Circuit {
    let mut circuit = Circuit { qubits: qubits.into(), bits: qubits.into(), ..Circuit::default() };
    while circuit.ops.len() < gates {
        let kind = GATES[rng.random_range(0..GATES.len())].kind;
        let a = rng.random_range(0..qubits);
        let b = if kind.info().qubits == 1 { a } else { rng.random_range(0..qubits) };
        if kind.info().qubits == 2 && a == b {
            continue;
        }
        let mut op = Op::two(kind, a, b);
        for angle in &mut op.angles_rad[..kind.info().angles] {
            // Special angles too: they make gates vanish, or cost one CZ.
            *angle = match rng.random_range(0..6) {
                0 => FRAC_PI_2 * f64::from(rng.random_range(-4..=4_i32)),
                1 => 0.0,
                _ => rng.random_range(-PI..PI),
            };
        }
        circuit.ops.push(op);
    }
    circuit.measures = (0..qubits).filter(|_| rng.random_range(0..5) > 0).map(|q| (q, q)).collect();
    if circuit.measures.is_empty() {
        circuit.measures.push((0, 0));
    }
    circuit
}

#[test]
fn the_simulator_agrees_with_the_runtime() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..30 {
        let qubits = rng.random_range(2..=6_u8);
        let body = random_circuit(&mut rng, qubits, 40);
        let angles: Vec<f64> = (0..qubits).map(|_| rng.random_range(-PI..PI)).collect();
        let encoder = (0..qubits).map(|q| Gate::rotation(GateKind::Rx, q, Angle::Input(q)));
        let readouts: Vec<u16> = (0..1 << qubits).collect();
        let fused =
            Fused::new(encoder.chain(body.ops.iter().map(Op::gate)), qubits, &readouts).unwrap();
        let mut state = StateVector::<f64>::new();
        state.start(&angles);
        for op in &fused.ops {
            match op {
                FusedOp::Ry(q, t) => {
                    let (sin, cos) = (t.value(&[]) / 2.0).sin_cos();
                    state.ry(*q as usize, cos, sin);
                }
                FusedOp::Phases(terms) => {
                    let terms = terms.iter().map(|(m, t)| (*m, t.value(&[])));
                    state.diagonal(&Diagonal::new(terms, 1.0));
                }
                FusedOp::IndexMap(map) => state.map_indices(map),
            }
        }
        state.measure();

        let mut whole = body.clone();
        let encoder = (0..qubits).map(|q| Op::one(GateKind::Rx, q, [angles[q as usize], 0.0, 0.0]));
        whole.ops = encoder.chain(body.ops.iter().copied()).collect();
        let all: Vec<u8> = (0..qubits).collect();
        let weights: Vec<f64> =
            statevector::StateVector::after(&whole, &all).unwrap().weights().collect();
        for (mask, (word, negated)) in fused.outputs.iter().enumerate() {
            let sign = if *negated { -1.0 } else { 1.0 };
            let ours: f64 = weights
                .iter()
                .enumerate()
                .map(|(x, a)| if (x & mask).count_ones() % 2 == 0 { *a } else { -a })
                .sum();
            assert!(
                (ours - sign * state.expectation(*word)).abs() < 1e-9,
                "word {mask:b}: {body:?}"
            );
        }
    }
}

#[test]
fn a_hundred_random_circuits_compile_for_three_maps() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // With a folder in QDLLM_RANDOM_CIRCUITS the circuits are kept there, for peers/transpile.py.
    let folder = std::env::var_os("QDLLM_RANDOM_CIRCUITS").map(std::path::PathBuf::from);
    let devices = ["baihua", "line:11", "grid:3x4"].map(|name| Processor::named(name).unwrap());
    for i in 0..100 {
        let qubits = rng.random_range(1..=11_u8);
        let gates = rng.random_range(1..60);
        let circuit = if qubits == 1 {
            // Two qubits, of which one is never entangled nor measured.
            let mut one = random_circuit(&mut rng, 2, gates);
            one.ops.retain(|op| op.on() == [0]);
            one.measures = vec![(0, 0)];
            one
        } else {
            random_circuit(&mut rng, qubits, gates)
        };
        // What is compiled is what its text says.
        let circuit = qasm::read(&qasm::write(&circuit)).unwrap();
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{i:03}.qasm")), qasm::write(&circuit)).unwrap();
        }
        let source = Source::from_circuit(&circuit).unwrap();
        for processor in &devices {
            for rewrite in [true, false] {
                let options = Options { rewrite, tries: 3, ..Options::default() };
                let plan = Plan::new(source.clone(), processor, options).unwrap();
                // `compile` judges the equivalence to 1e-9 and refuses to return what fails.
                let compiled = plan.compile(&[]).unwrap_or_else(|e| {
                    panic!(
                        "circuit {i}, {}, rewrite {rewrite}: {e}\n{}",
                        processor.name,
                        qasm::write(&circuit)
                    )
                });
                let total: f64 = compiled.iter().map(|c| c.weight).sum();
                assert!((total - 1.0).abs() < 1e-12);
                if !rewrite {
                    // Every qubit is read as in the source: bit k is output k.
                    let bits = compiled[0].readouts.iter().map(|r| r.bits.clone());
                    assert!(bits.eq((0..circuit.measures.len() as u8).map(|k| vec![k])));
                }
                for op in compiled.iter().flat_map(|c| &c.circuit.ops) {
                    if let [a, b] = *op.on() {
                        assert_eq!(op.kind, GateKind::Cz);
                        assert!(
                            processor.coupled(a, b),
                            "circuit {i}: {a}-{b} on {}",
                            processor.name
                        );
                    }
                }
            }
        }
    }
}
