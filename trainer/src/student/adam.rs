//! Adam (arXiv 1412.6980) with a state that can be saved and restored exactly.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Parameters that one task updates; a fixed number, so that results do not depend on threads.
const CHUNK: usize = 8192;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: u64,
}

impl Adam {
    pub fn new(count: usize) -> Self {
        Self { mean: vec![0.0; count], square: vec![0.0; count], steps: 0 }
    }

    /// One step: `rate` gives (learning rate, weight decay) of each parameter; the decay is decoupled
    /// (`AdamW`, arXiv 1711.05101) and shrinks a parameter by `rate * decay` of itself.
    pub fn step(
        &mut self,
        parameters: &mut [f32],
        gradient: &[f32],
        rate: impl Fn(usize) -> (f32, f32) + Sync,
    ) {
        self.steps += 1;
        let steps = self.steps.min(1 << 24) as i32;
        let (fix1, fix2) = (1.0 - BETA1.powi(steps), 1.0 - BETA2.powi(steps));
        parameters
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(self.mean.par_chunks_mut(CHUNK))
            .zip(self.square.par_chunks_mut(CHUNK))
            .enumerate()
            .for_each(|(chunk, (((parameters, gradient), mean), square))| {
                for (i, (p, &g)) in parameters.iter_mut().zip(gradient).enumerate() {
                    mean[i] = BETA1 * mean[i] + (1.0 - BETA1) * g;
                    square[i] = BETA2 * square[i] + (1.0 - BETA2) * g * g;
                    let step = (mean[i] / fix1) / ((square[i] / fix2).sqrt() + EPSILON);
                    let (rate, decay) = rate(chunk * CHUNK + i);
                    *p -= rate * (step + decay * *p);
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_and_a_parabola_is_descended() {
        let mut x = [3.0_f32];
        let mut adam = Adam::new(1);
        adam.step(&mut x, &[6.0], |_| (0.1, 0.0));
        assert!((x[0] - 2.9).abs() < 1e-6, "a first step has the size of the rate");
        for _ in 0..500 {
            let slope = [2.0 * x[0]];
            adam.step(&mut x, &slope, |_| (0.1, 0.0));
        }
        assert!(x[0].abs() < 1e-2, "{}", x[0]);
    }
}
