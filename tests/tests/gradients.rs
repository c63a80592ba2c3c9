//! The adjoint gradient against `MindQuantum`'s numbers in double precision.

use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::paper;
use qdllm_tests::adjoint::{Work, expectations, gradient};
use qdllm_tests::vectors::{mindquantum_cases, single_z};
use qdllm_trainer::gradient::{Bound, to_parameters};

fn circuit() -> Fused {
    Fused::new(paper(), 11, &single_z()).unwrap()
}

fn gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
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
            .max(gap(&expectations, &case.expectations))
            .max(gap(&by_parameter, &case.grad_ansatz))
            .max(gap(&gradient.inputs, &case.grad_encoder));
    }
    println!("largest error {worst:.1e}");
    assert!(worst < 1e-12, "{worst:e}");
}
