//! The compiler on the circuits it was made for, and on random ones over the whole gate table; the simulator
//! against the runtime's fuser and kernels.

use crate::MODEL;
use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::gate::{Angle, GATES, Gate, GateKind};
use qdllm_runtime::state::StateVector as Kernels;
use qdllm_runtime::state::kernels::Diagonal;
use qdllm_runtime::{Model, Scratch};
use qdllm_tools::circuit::{Circuit, read};
use qdllm_tools::processor::Processor;
use qdllm_tools::statevector::StateVector;
use qdllm_tools::transpile::check::Report;
use qdllm_tools::transpile::source::{Source, inputs_of};
use qdllm_tools::transpile::{Compiled, Options, Plan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::{FRAC_PI_2, PI};

const RANDOM: [&str; 2] =
    [include_str!("data/qdllm11_random0.qasm"), include_str!("data/qdllm11_random1.qasm")];

fn compile(text: &str, processor: &Processor, options: Options) -> Vec<Compiled> {
    let source = Source::from_circuit(&read(text).unwrap()).unwrap();
    let compiled = Plan::new(source, processor, options).unwrap().compile(&[]).unwrap();
    for part in &compiled {
        for gate in &part.circuit.gates {
            if let [a, b] = *gate.on() {
                assert!(processor.coupled(a, b), "{a}-{b} is no coupler");
            }
        }
    }
    compiled
}

#[test]
fn rewrites_bring_the_reference_circuit_to_36_cz_on_baihua() {
    let processor = Processor::baihua().unwrap();
    for text in RANDOM {
        let compiled = compile(text, &processor, Options::default());
        assert_eq!(compiled.len(), 2);
        for part in compiled {
            let report = Report::of(&part.circuit, &processor);
            println!("{report}");
            assert!(report.cz <= 36 && report.cz_depth <= 18, "{report}");
            assert_eq!(report.physical.len(), 10);
        }
    }
}

#[test]
fn without_rewrites_the_reference_circuit_stays_within_its_bounds() {
    let options = Options { rewrite: false, ..Options::default() };
    for text in RANDOM {
        for (target, cz, depth) in [("baihua", 62, 51), ("line:11", 95, usize::MAX)] {
            let processor = Processor::named(target).unwrap();
            let compiled = compile(text, &processor, options);
            assert_eq!(compiled.len(), 1);
            let report = Report::of(&compiled[0].circuit, &processor);
            println!("{target}: {report}");
            assert!(report.cz <= cz && report.cz_depth <= depth, "{target}: {report}");
        }
    }
}

/// What running the compiled circuits exactly would give for output `k`.
fn expectation(parts: &[Compiled], k: usize) -> f64 {
    let of = |part: &Compiled| {
        let used = part.circuit.used();
        let state = StateVector::after(&part.circuit, &used).unwrap();
        let qubit = |bit: u8| part.circuit.measures.iter().find(|m| m.1 == bit).unwrap().0;
        let place = |q: u8| used.iter().position(|&u| u == q).unwrap();
        let readout = &part.readouts[k];
        let mask = readout.bits.iter().fold(0, |m, &b| m | 1_usize << place(qubit(b)));
        let sum: f64 = state
            .weights()
            .enumerate()
            .map(|(x, a)| if (x & mask).count_ones() % 2 == 0 { a } else { -a })
            .sum();
        part.weight * if readout.negated { -sum } else { sum }
    };
    parts.iter().map(of).sum()
}

#[test]
fn one_plan_serves_every_text_and_gives_the_models_expectations() {
    let model = Model::parse(MODEL).unwrap();
    let processor = Processor::baihua().unwrap();
    let plan = Plan::new(Source::from_model(&model), &processor, Options::default()).unwrap();
    assert_eq!(plan.compile(&[0.0; 11]).unwrap().len(), 2);
    let mut scratch = Scratch::new();
    for text in ["turn on the light", "play music", "", "set a timer for warm milk", "unknown"] {
        let compiled = plan.compile(&inputs_of(&model, text).unwrap()).unwrap();
        let prediction = model.classify(text, &mut scratch).unwrap();
        for (k, &e) in prediction.expectations().iter().enumerate() {
            let ours = expectation(&compiled, k);
            assert!((ours - f64::from(e)).abs() < 1e-5, "{text}, output {k}: {ours} and {e}");
        }
    }
}

#[test]
fn a_model_without_named_angles_compiles_from_its_program() {
    let model = Model::parse(MODEL).unwrap();
    let named = Source::from_model(&model);
    let program = Source::from_program(&model);
    assert_ne!(named, program);
    let processor = Processor::named("line:11").unwrap();
    let plan = Plan::new(program, &processor, Options::default()).unwrap();
    let inputs = inputs_of(&model, "turn on the light").unwrap();
    let compiled = plan.compile(&inputs).unwrap();
    let other = Plan::new(named, &processor, Options::default()).unwrap().compile(&inputs).unwrap();
    for k in 0..11 {
        // The program holds its angles in f32.
        assert!((expectation(&compiled, k) - expectation(&other, k)).abs() < 1e-5, "output {k}");
    }
    for part in &compiled {
        println!("from the program, on a line: {}", Report::of(&part.circuit, &processor));
    }
}

#[test]
fn an_angle_that_is_no_number_is_refused() {
    let model = Model::parse(MODEL).unwrap();
    let processor = Processor::baihua().unwrap();
    let plan = Plan::new(Source::from_model(&model), &processor, Options::default()).unwrap();
    let error = plan.compile(&[0.0, f64::NAN]).unwrap_err();
    assert!(error.to_string().contains("input 1"), "{error}");
}

#[test]
fn calibration_chooses_the_qubits() {
    // A line of 30 whose couplers are bad but for those among qubits 12 to 21.
    let couplers: Vec<String> = (0..29)
        .map(|q| {
            let fidelity = if (12..21).contains(&q) { 0.995 } else { 0.93 };
            format!(r#""C{q}": {{"qubits_index": [{q}, {}], "fidelity": {fidelity}}}"#, q + 1)
        })
        .collect();
    let qubits: Vec<String> =
        (0..30).map(|q| format!(r#""Q{q}": {{"index": {q}, "fidelity": 0.999}}"#)).collect();
    let text = format!(
        r#"{{"qubits_info": {{{}}}, "couplers_info": {{{}}}}}"#,
        qubits.join(", "),
        couplers.join(", ")
    );
    let processor = Processor::from_json(&text).unwrap();
    let compiled = compile(RANDOM[0], &processor, Options::default());
    assert_eq!(
        Report::of(&compiled[0].circuit, &processor).physical,
        (12..=21).collect::<Vec<u8>>()
    );
}

fn random_circuit(rng: &mut ChaCha8Rng, qubits: u8, gates: usize) -> Circuit {
    let mut circuit = Circuit { qubits: qubits.into(), bits: qubits.into(), ..Circuit::default() };
    while circuit.gates.len() < gates {
        let kind = GATES[rng.random_range(0..GATES.len())].kind;
        let a = rng.random_range(0..qubits);
        let b = if kind.info().qubits == 1 { a } else { rng.random_range(0..qubits) };
        if kind.info().qubits == 2 && a == b {
            continue;
        }
        let mut gate = Gate::fixed(kind, a, b);
        for angle in &mut gate.angles[..kind.info().angles] {
            // Special angles too: they make gates vanish, or cost one CZ.
            *angle = Angle::Const(match rng.random_range(0..6) {
                0 => FRAC_PI_2 * f64::from(rng.random_range(-4..=4_i32)),
                1 => 0.0,
                _ => rng.random_range(-PI..PI),
            });
        }
        circuit.gates.push(gate);
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
            Fused::new(encoder.chain(body.gates.iter().copied()), qubits, &readouts).unwrap();
        let mut state = Kernels::<f64>::new();
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
        let rx = |q: u8| Gate::rotation(GateKind::Rx, q, Angle::Const(angles[q as usize]));
        let encoder = (0..qubits).map(rx);
        whole.gates = encoder.chain(body.gates.iter().copied()).collect();
        let all: Vec<u8> = (0..qubits).collect();
        let weights: Vec<f64> = StateVector::after(&whole, &all).unwrap().weights().collect();
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
    // With a folder in QDLLM_RANDOM_CIRCUITS the circuits are kept there, for tests/peers/cz.py.
    let folder = std::env::var_os("QDLLM_RANDOM_CIRCUITS").map(std::path::PathBuf::from);
    let devices = ["baihua", "line:11", "grid:3x4"].map(|name| Processor::named(name).unwrap());
    for i in 0..100 {
        let qubits = rng.random_range(1..=11_u8);
        let gates = rng.random_range(1..60);
        let circuit = if qubits == 1 {
            // Two qubits, of which one is never entangled nor measured.
            let mut one = random_circuit(&mut rng, 2, gates);
            one.gates.retain(|gate| gate.on() == [0]);
            one.measures = vec![(0, 0)];
            one
        } else {
            random_circuit(&mut rng, qubits, gates)
        };
        // What is compiled is what its text says.
        let circuit = read(&circuit.write()).unwrap();
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{i:03}.qasm")), circuit.write()).unwrap();
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
                        circuit.write()
                    )
                });
                let total: f64 = compiled.iter().map(|c| c.weight).sum();
                assert!((total - 1.0).abs() < 1e-12);
                if !rewrite {
                    // Every qubit is read as in the source: bit k is output k.
                    let bits = compiled[0].readouts.iter().map(|r| r.bits.clone());
                    assert!(bits.eq((0..circuit.measures.len() as u8).map(|k| vec![k])));
                }
                for gate in compiled.iter().flat_map(|c| &c.circuit.gates) {
                    if let [a, b] = *gate.on() {
                        assert_eq!(gate.kind, GateKind::Cz);
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

/// `U U^dagger U` with barriers between, or without, for a `U` of the whole gate table.
fn folded(body: &Circuit, barriers: bool) -> String {
    let inverse = |gate: &Gate| {
        let mut inverse = *gate;
        let minus = |angle| if let Angle::Const(x) = angle { Angle::Const(-x) } else { angle };
        inverse.angles = gate.angles.map(minus);
        match gate.kind {
            GateKind::U => inverse.angles.swap(1, 2),
            GateKind::S => inverse.kind = GateKind::Sdg,
            GateKind::Sdg => inverse.kind = GateKind::S,
            GateKind::T => inverse.kind = GateKind::Tdg,
            GateKind::Tdg => inverse.kind = GateKind::T,
            _ => {}
        }
        inverse
    };
    let back: Vec<Gate> = body.gates.iter().rev().map(inverse).collect();
    let mut whole = body.clone();
    whole.gates.extend(back);
    whole.gates.extend_from_slice(&body.gates);
    let (n, all) = (body.gates.len(), (0..body.qubits as u8).collect::<Vec<u8>>());
    whole.barriers = if barriers { vec![(n, all.clone()), (2 * n, all)] } else { Vec::new() };
    whole.write()
}

#[test]
fn a_barrier_is_a_fence_through_every_step() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for i in 0..20 {
        let body = random_circuit(&mut rng, 2 + i % 4, 12);
        for target in ["full:6", "line:6"] {
            let processor = Processor::named(target).unwrap();
            for rewrite in [true, false] {
                let options = Options { rewrite, tries: 3, ..Options::default() };
                let fenced = compile(&folded(&body, true), &processor, options);
                // A mixture would have been made of what the qubits begin in.
                assert_eq!(fenced.len(), 1);
                let circuit = &fenced[0].circuit;
                assert_eq!(read(&circuit.write()).unwrap().gates, circuit.gates);
                let cz = |range: std::ops::Range<usize>| {
                    circuit.gates[range].iter().filter(|g| g.on().len() == 2).count()
                };
                let at: Vec<usize> = circuit.barriers.iter().map(|b| b.0).collect();
                let &[first, second] = &at[..] else { panic!("{i}: {at:?} of 2 barriers") };
                let parts = [cz(0..first), cz(first..second), cz(second..circuit.gates.len())];
                // A unitary takes as many wherever it stands, and its inverse as many; routing may add to each.
                if target == "full:6" {
                    assert!(parts.iter().all(|&n| n == parts[0]), "circuit {i}: {parts:?}");
                } else {
                    let least = compile(
                        &folded(&body, true),
                        &Processor::named("full:6").unwrap(),
                        options,
                    );
                    let least = least[0].circuit.gates.iter().filter(|g| g.on().len() == 2).count();
                    assert!(3 * parts[1].max(1) >= least / 3, "circuit {i}: {parts:?}, {least}");
                }
            }
        }
    }
}

#[test]
fn gates_fold_only_where_no_barrier_stands() {
    let processor = Processor::named("full:3").unwrap();
    let text = |body: &str| {
        format!(
            "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[3];\ncreg c[3];\n{body}\nmeasure q -> c;"
        )
    };
    let counted = |body: &str| {
        for rewrite in [true, false] {
            for basis in [
                qdllm_tools::transpile::native::Basis::HRz,
                qdllm_tools::transpile::native::Basis::U,
            ] {
                let options = Options { rewrite, basis, ..Options::default() };
                let all = compile(&text(body), &processor, options);
                let circuit = &all[0].circuit;
                let two = circuit.gates.iter().filter(|g| g.on().len() == 2).count();
                println!("{body}: {rewrite} {basis:?}: {two} CZ, {} gates", circuit.gates.len());
                if body.contains("barrier") {
                    return (two, circuit.gates.len() - two, circuit.barriers.len());
                }
            }
        }
        (0, 0, 0)
    };
    let cx = "cx q[0],q[1];";
    assert_eq!(counted(&format!("{cx} barrier q; {cx} barrier q; {cx}")).0, 3);
    // Exchanges are gates there, too.
    assert_eq!(counted("swap q[0],q[1]; barrier q; swap q[0],q[1];").0, 6);
    let one = counted("h q[0]; barrier q[0]; h q[0]; barrier q[0]; h q[0];");
    assert_eq!((one.0, one.2), (0, 2));
    assert!(one.1 >= 3, "{one:?}");
    let phase = counted("rz(1) q[0]; barrier q; rz(-1) q[0]; barrier q; rz(1) q[0];");
    assert_eq!(phase, (0, 3, 2));
    // What a barrier does not name goes past it.
    let past = counted(&format!("{cx} barrier q[2]; {cx} h q[2];"));
    assert_eq!(past.0, 0);
    // Right before the measurements there always is one, and it is no fence.
    let last = |body: &str| compile(&text(body), &processor, Options::default())[0].circuit.write();
    assert_eq!(last("h q[0]; cx q[0],q[1];"), last("h q[0]; cx q[0],q[1]; barrier q;"));
}
