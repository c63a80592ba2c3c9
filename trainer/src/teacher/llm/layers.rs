//! Matrix products with an optional bias and LoRA pair, norms, softmax and activations: fused where nothing is trained, in steps that have a gradient where something is.

use candle_core::{D, Tensor};
use candle_nn::ops;

use crate::teacher::Result;
use crate::teacher::llm::config::architecture::Activation;

/// Two thin matrices whose product is added to a matrix (Hu et al., 2021).
#[derive(Debug, Clone)]
pub struct Lora {
    pub down: Tensor,
    pub up: Tensor,
    pub scale: f64,
}

/// `x W^T + b`, with the LoRA term `scale x A^T B^T` where there is one.
#[derive(Debug, Clone)]
pub struct Projection {
    weight: Tensor,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

impl Projection {
    pub fn new(weight: Tensor, bias: Option<Tensor>, lora: Option<Lora>) -> Self {
        Self { weight, bias, lora }
    }

    /// Maps the last axis of `x`, which may have two or three axes.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = product(x, &self.weight)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        if let Some(lora) = &self.lora {
            y = (y + (product(&product(x, &lora.down)?, &lora.up)? * lora.scale)?)?;
        }
        Ok(y)
    }
}

/// All rows at once as one flat matrix: quicker than a batch of small products.
fn product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let inputs = shape.pop().unwrap_or(0);
    shape.push(weight.dim(0)?);
    let rows = x.elem_count() / inputs.max(1);
    Ok(x.reshape((rows, inputs))?.matmul(&weight.t()?)?.reshape(shape)?)
}

#[derive(Debug, Clone)]
pub struct Normed {
    weight: Tensor,
    bias: Option<Tensor>,
    epsilon: f64,
}

impl Normed {
    pub fn new(weight: Tensor, bias: Option<Tensor>, epsilon: f64) -> Self {
        Self { weight, bias, epsilon }
    }

    /// Norms the last axis. `gradient` takes the steps that can be gone back.
    pub fn forward(&self, x: &Tensor, gradient: bool) -> Result<Tensor> {
        let epsilon = self.epsilon as f32;
        Ok(match (&self.bias, gradient) {
            (None, false) => ops::rms_norm(&x.contiguous()?, &self.weight, epsilon)?,
            (None, true) => ops::rms_norm_slow(x, &self.weight, epsilon)?,
            (Some(bias), false) => ops::layer_norm(&x.contiguous()?, &self.weight, bias, epsilon)?,
            (Some(bias), true) => ops::layer_norm_slow(x, &self.weight, bias, epsilon)?,
        })
    }
}

pub fn softmax(x: &Tensor, gradient: bool) -> Result<Tensor> {
    Ok(match gradient {
        true => ops::softmax(x, D::Minus1)?,
        false => ops::softmax_last_dim(x)?,
    })
}

impl Activation {
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Silu => x.silu()?,
            Self::GeluTanh => x.gelu()?,
            Self::Gelu => x.gelu_erf()?,
            Self::Relu => x.relu()?,
        })
    }
}
