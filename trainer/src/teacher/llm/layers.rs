//! Norms, softmax and activations: fused where nothing is trained, in steps that have a gradient where something is.

use candle_core::{D, Tensor};
use candle_nn::ops;

use super::config::architecture::{Activation, Norm};
use super::parameters::Parameters;
use crate::teacher::TeacherError;

#[derive(Debug, Clone)]
pub struct Normed {
    weight: Tensor,
    bias: Option<Tensor>,
    epsilon: f64,
}

impl Normed {
    /// Loads the norm `name` over `width` numbers; `gamma` and `beta` are understood as the names they once had.
    pub fn load(
        parameters: &mut Parameters<'_>,
        name: &str,
        width: usize,
        norm: Norm,
    ) -> Result<Self, TeacherError> {
        let mut tensor =
            |new: &str, old: &str| match parameters.maybe(&format!("{name}.{old}"), &[width])? {
                Some(tensor) => Ok::<_, TeacherError>(tensor),
                None => parameters.tensor(&format!("{name}.{new}"), &[width]),
            };
        let weight = tensor("weight", "gamma")?;
        Ok(match norm {
            Norm::Rms { epsilon, plus_one } => {
                let weight = if plus_one { (weight + 1.0)? } else { weight };
                Self { weight, bias: None, epsilon }
            }
            Norm::Layer { epsilon } => {
                Self { weight, bias: Some(tensor("bias", "beta")?), epsilon }
            }
        })
    }

    /// Norms the last axis. `gradient` takes the steps that can be gone back.
    pub fn forward(&self, x: &Tensor, gradient: bool) -> Result<Tensor, TeacherError> {
        let epsilon = self.epsilon as f32;
        Ok(match (&self.bias, gradient) {
            (None, false) => ops::rms_norm(&x.contiguous()?, &self.weight, epsilon)?,
            (None, true) => ops::rms_norm_slow(x, &self.weight, epsilon)?,
            (Some(bias), false) => ops::layer_norm(&x.contiguous()?, &self.weight, bias, epsilon)?,
            (Some(bias), true) => ops::layer_norm_slow(x, &self.weight, bias, epsilon)?,
        })
    }
}

pub fn softmax(x: &Tensor, gradient: bool) -> Result<Tensor, TeacherError> {
    Ok(match gradient {
        true => ops::softmax(x, D::Minus1)?,
        false => ops::softmax_last_dim(x)?,
    })
}

impl Activation {
    pub fn apply(self, x: &Tensor) -> Result<Tensor, TeacherError> {
        Ok(match self {
            Self::Silu => x.silu()?,
            Self::GeluTanh => x.gelu()?,
            Self::Gelu => x.gelu_erf()?,
            Self::Relu => x.relu()?,
        })
    }
}
