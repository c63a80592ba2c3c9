//! What each back end of the runtime gives for a text.

use super::agreement::CircuitInputs;
use qdllm_runtime::Model;
use qdllm_runtime::compiled::polynomial::Polynomial;
use qdllm_runtime::compiled::tensor_train::{Cores, TensorTrain, Work};
use qdllm_runtime::state::StateI16;

/// The polynomial's logits for text number `i`.
pub fn polynomial(runtime: &Polynomial<'_>, seen: &CircuitInputs, i: usize) -> Vec<f32> {
    let mut logits = vec![0; seen.logits[i].len()];
    runtime.logits(&seen.phases[i], &mut logits);
    from_q16(&logits)
}

/// The train's logits for text number `i`.
pub fn train(runtime: &TensorTrain<'_>, seen: &CircuitInputs, i: usize) -> Vec<f32> {
    let classes = seen.logits[i].len();
    let mut work = Work::new();
    let (mut floats, mut integers) = (vec![0.0; classes], vec![0; classes]);
    let done = if runtime.cores() == Cores::F32 {
        runtime.logits_f32(&seen.angles[i], &mut work, &mut floats)
    } else {
        runtime.logits(&seen.phases[i], &mut work, &mut integers)
    };
    debug_assert!(done.is_ok(), "the cores were asked about");
    if runtime.cores() == Cores::F32 { floats } else { from_q16(&integers) }
}

/// The logits of the circuit in 16-bit integers for text number `i`.
pub fn statevector_i16(model: &Model<'_>, seen: &CircuitInputs, i: usize) -> Vec<f32> {
    let mut state = Box::new(StateI16::new());
    let mut logits = vec![0; seen.logits[i].len()];
    model.logits_i16(&seen.phases[i], &mut state, &mut logits);
    from_q16(&logits)
}

fn from_q16(logits: &[i32]) -> Vec<f32> {
    logits.iter().map(|&x| x as f32 / 65_536.0).collect()
}
