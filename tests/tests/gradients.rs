//! The adjoint gradient against `MindQuantum`'s numbers, against finite differences, and in lanes.

use qdllm_runtime::circuit::paper;
use qdllm_runtime::fuse::Fused;
use qdllm_tests::vectors::{mindquantum_cases, single_z};
use qdllm_trainer::adjoint::{Bound, Work, to_parameters};
use qdllm_trainer::lanes::{LANES, Lanes};

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
        let expectations = bound.expectations(&mut work, &case.encoder_angles);
        let gradient = bound.gradient(&mut work, &case.cotangent);
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

#[test]
fn lanes_give_each_sample_what_it_would_get_alone() {
    let circuit = circuit();
    let cases = mindquantum_cases();
    let parameters = &cases[0].ansatz_params;
    let column = |pick: fn(&qdllm_tests::vectors::Case) -> &Vec<f64>, q: usize| {
        let mut lanes = Lanes([0.0; LANES]);
        for (lane, case) in lanes.0.iter_mut().zip(&cases) {
            *lane = pick(case)[q] as f32;
        }
        lanes
    };
    let inputs: Vec<Lanes> = (0..11).map(|q| column(|c| &c.encoder_angles, q)).collect();
    let weights: Vec<Lanes> = (0..11).map(|q| column(|c| &c.cotangent, q)).collect();
    let bound = Bound::<f32>::new(&circuit, parameters);
    let mut work = Work::<Lanes>::default();
    let expectations = bound.expectations(&mut work, &inputs);
    let gradient = bound.gradient(&mut work, &weights);

    let exact = Bound::<f64>::new(&circuit, parameters);
    let mut alone = Work::<f64>::default();
    for (lane, case) in cases.iter().enumerate().take(LANES) {
        let lane_of = |v: &[Lanes]| v.iter().map(|l| f64::from(l.0[lane])).collect::<Vec<_>>();
        let e = exact.expectations(&mut alone, &case.encoder_angles);
        let g = exact.gradient(&mut alone, &case.cotangent);
        assert!(gap(&lane_of(&expectations), &e) < 2e-6);
        assert!(gap(&lane_of(&gradient.angles), &g.angles) < 2e-5);
        assert!(gap(&lane_of(&gradient.inputs), &g.inputs) < 2e-5);
    }
}
