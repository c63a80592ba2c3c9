//! The compiler on the circuits it was made for, and on random ones.

use qdllm_runtime::{Model, Scratch};
use qdllm_tools::deploy::inputs_of;
use qdllm_tools::processor::topology::Processor;
use qdllm_tools::qasm;
use qdllm_tools::statevector::StateVector;
use qdllm_tools::transpile::check::Report;
use qdllm_tools::transpile::source::Source;
use qdllm_tools::transpile::{Compiled, Options, Plan};

const RANDOM: [&str; 2] =
    [include_str!("data/qdllm11_random0.qasm"), include_str!("data/qdllm11_random1.qasm")];

fn compile(text: &str, processor: &Processor, options: Options) -> Vec<Compiled> {
    let source = Source::from_circuit(&qasm::read(text).unwrap()).unwrap();
    let compiled = Plan::new(source, processor, options).unwrap().compile(&[]).unwrap();
    for part in &compiled {
        for op in &part.circuit.ops {
            if let [a, b] = *op.on() {
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
    let bytes = include_bytes!("../../tests/vectors/words_v1.qdm");
    let model = Model::parse(bytes).unwrap();
    let processor = Processor::baihua().unwrap();
    let plan = Plan::new(Source::from_model(&model), &processor, Options::default()).unwrap();
    assert_eq!(plan.circuits(), 2);
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
    let bytes = include_bytes!("../../tests/vectors/words_v1.qdm");
    let model = Model::parse(bytes).unwrap();
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
    let model = Model::parse(include_bytes!("../../tests/vectors/words_v1.qdm")).unwrap();
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
