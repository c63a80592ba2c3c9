//! The compiler on the circuits it was made for, and on random ones.

use qdllm_tools::device::Device;
use qdllm_tools::qasm;
use qdllm_tools::report::Report;
use qdllm_tools::source::Source;
use qdllm_tools::transpile::{Compiled, Options, Plan};

const RANDOM: [&str; 2] =
    [include_str!("data/qdllm11_random0.qasm"), include_str!("data/qdllm11_random1.qasm")];

fn compile(text: &str, device: &Device, options: Options) -> Vec<Compiled> {
    let source = Source::from_circuit(&qasm::read(text).unwrap()).unwrap();
    let compiled = Plan::new(source, device, options).unwrap().compile(&[]).unwrap();
    for part in &compiled {
        for op in &part.circuit.ops {
            if let [a, b] = *op.on() {
                assert!(device.coupled(a, b), "{a}-{b} is no coupler");
            }
        }
    }
    compiled
}

#[test]
fn rewrites_bring_the_reference_circuit_to_36_cz_on_baihua() {
    let device = Device::baihua().unwrap();
    for text in RANDOM {
        let compiled = compile(text, &device, Options::default());
        assert_eq!(compiled.len(), 2);
        for part in compiled {
            let report = Report::of(&part.circuit, &device);
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
        for (target, cz, depth) in [("baihua", 75, 51), ("line:11", 132, usize::MAX)] {
            let device = Device::named(target).unwrap();
            let compiled = compile(text, &device, options);
            assert_eq!(compiled.len(), 1);
            let report = Report::of(&compiled[0].circuit, &device);
            println!("{target}: {report}");
            assert!(report.cz <= cz && report.cz_depth <= depth, "{target}: {report}");
        }
    }
}
