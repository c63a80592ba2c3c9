//! A matrix product with an optional bias and an optional LoRA pair that is trained beside it.

use candle_core::Tensor;

use crate::teacher::TeacherError;

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
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TeacherError> {
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
fn product(x: &Tensor, weight: &Tensor) -> Result<Tensor, TeacherError> {
    let mut shape = x.dims().to_vec();
    let inputs = shape.pop().unwrap_or(0);
    shape.push(weight.dim(0)?);
    let rows = x.elem_count() / inputs.max(1);
    Ok(x.reshape((rows, inputs))?.matmul(&weight.t()?)?.reshape(shape)?)
}
