//! `AdamW` (Loshchilov & Hutter, 2019) over named variables, with a state that can be written down.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};

use crate::teacher::Result;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

pub struct AdamW {
    /// Means of the gradients and of their squares, by variable.
    pub moments: BTreeMap<String, (Tensor, Tensor)>,
    pub updates: u64,
    decay: f64,
}

impl AdamW {
    /// Zero moments for these variables; `decay` draws matrices (not biases) towards 0.
    pub fn new(variables: &BTreeMap<String, Var>, decay: f64) -> Result<Self> {
        let mut moments = BTreeMap::new();
        for (name, variable) in variables {
            let zero = variable.zeros_like()?;
            moments.insert(name.clone(), (zero.clone(), zero));
        }
        Ok(Self { moments, updates: 0, decay })
    }

    pub fn update(
        &mut self,
        variables: &BTreeMap<String, Var>,
        gradients: &BTreeMap<String, Tensor>,
        rate: f64,
    ) -> Result<()> {
        self.updates += 1;
        let steps = self.updates.min(1 << 30) as i32;
        let (unbias1, unbias2) = (1.0 - BETA1.powi(steps), 1.0 - BETA2.powi(steps));
        for (name, variable) in variables {
            let (Some(gradient), Some((mean, square))) =
                (gradients.get(name), self.moments.get_mut(name))
            else {
                continue;
            };
            // Detached: a moment that remembered how it came about would keep every step in memory.
            *mean = ((&*mean * BETA1)? + (gradient * (1.0 - BETA1))?)?.detach();
            *square = ((&*square * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?.detach();
            let root = ((&*square / unbias2)?.sqrt()? + EPSILON)?;
            let step = ((&*mean / unbias1)? / root)?;
            let decay = if variable.rank() > 1 { rate * self.decay } else { 0.0 };
            let kept = (variable.as_tensor() * (1.0 - decay))?;
            variable.set(&(kept - (step * rate)?)?.detach())?;
        }
        Ok(())
    }
}

/// Scales gradients so that all of them together are at most `limit` long; gives the length they had.
pub fn clip(gradients: &mut BTreeMap<String, Tensor>, limit: f64) -> Result<f64> {
    let mut square = 0.0;
    for gradient in gradients.values() {
        square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let length = square.sqrt();
    if length > limit {
        for gradient in gradients.values_mut() {
            *gradient = (&*gradient * (limit / length))?;
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn a_bowl_is_descended_and_the_first_step_is_the_rate() {
        let start = Tensor::new(&[[3f32, -2.0]], &Device::Cpu).unwrap();
        let variables = BTreeMap::from([("x".to_owned(), Var::from_tensor(&start).unwrap())]);
        let mut adam = AdamW::new(&variables, 0.0).unwrap();
        let x = &variables["x"];
        for step in 0..300 {
            let loss = x.sqr().unwrap().sum_all().unwrap();
            let mut store = loss.backward().unwrap();
            let gradients = BTreeMap::from([("x".to_owned(), store.remove(x).unwrap())]);
            adam.update(&variables, &gradients, 0.05).unwrap();
            if step == 0 {
                let now: Vec<Vec<f32>> = x.to_vec2().unwrap();
                assert!(
                    (now[0][0] - 2.95).abs() < 1e-4 && (now[0][1] + 1.95).abs() < 1e-4,
                    "{now:?}"
                );
            }
        }
        let worst = x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(worst < 0.05, "{worst}");
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_left() {
        let three_four = Tensor::new(&[3f32, 4.0], &Device::Cpu).unwrap();
        let mut gradients = BTreeMap::from([("g".to_owned(), three_four)]);
        assert!((clip(&mut gradients, 10.0).unwrap() - 5.0).abs() < 1e-6);
        assert_eq!(gradients["g"].to_vec1::<f32>().unwrap(), [3.0, 4.0]);
        clip(&mut gradients, 1.0).unwrap();
        let short = gradients["g"].to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        assert!((short[0] - 0.6).abs() < 1e-6 && (short[1] - 0.8).abs() < 1e-6, "{short:?}");
    }
}
