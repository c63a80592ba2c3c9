//! The layers of a model from tensors by name and shape, with an adapter merged in or new LoRA matrices beside them:
//! matrix products with an optional bias and LoRA pair, norms and softmax, fused where nothing is trained, in steps that
//! have a gradient where something is.

use crate::seed;
use crate::teacher::llm::config::architecture::{Family, Spec};
use crate::teacher::llm::lora::adapter::Adapter;
use crate::teacher::llm::weights::Tensors;
use anyhow::{Result, bail};
use candle_core::{D, Device, Tensor, Var};
use candle_nn::ops;
use rand::Rng as _;
use std::collections::BTreeMap;
use std::fmt::Display;

/// LoRA matrices that are to be trained: made by the name of the matrix they stand beside.
pub struct Trainable {
    /// Last parts of the names of the matrices that get them.
    pub targets: Vec<String>,
    pub rank: usize,
    pub scale: f64,
    /// The variables so far, by PEFT's names less `base_model.model.`.
    pub variables: BTreeMap<String, Var>,
    pub seed: u64,
}

pub struct Parameters<'a> {
    pub tensors: &'a mut dyn Tensors,
    pub spec: Spec,
    pub adapter: Option<Adapter>,
    /// What is to be trained; `None` when the model only reads.
    pub trainable: Option<Trainable>,
    pub device: Device,
}

impl Parameters<'_> {
    /// A name as checkpoints of the bare model have it.
    fn bare<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.spec.family.inner())
    }

    /// An error that names the file of the weights.
    pub fn refuse<T>(&self, what: impl Display) -> Result<T> {
        bail!("{}: {what}", self.tensors.path().display())
    }

    /// The shape of a tensor as the adapter or the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let own = |name| self.tensors.shape(name);
        let adapted = self.adapter.as_ref().and_then(|adapter| adapter.shape(name));
        adapted.or_else(|| own(name)).or_else(|| self.bare(name).and_then(own))
    }

    pub fn maybe(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let mut found = self.tensors.get(name)?;
        if let (None, Some(bare)) = (&found, self.bare(name)) {
            found = self.tensors.get(bare)?;
        }
        if found.is_none() {
            found = self.of_joined(name, shape)?;
        }
        if let Some(adapter) = &mut self.adapter {
            found = adapter.apply(name, found)?;
        }
        let Some(tensor) = found else { return Ok(None) };
        if tensor.dims() != shape {
            return self.refuse(format!(
                "tensor `{}` has shape {:?}, the configuration asks for {shape:?}; take both from the same model",
                self.tensors.own_name(name),
                tensor.dims()
            ));
        }
        Ok(Some(tensor.to_device(&self.device)?))
    }

    /// A matrix out of one that some files (Phi 3) hold joined from several.
    fn of_joined(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let Spec { heads, kv_heads, head_width, feed, .. } = self.spec;
        for (part, joined, from) in [
            ("q_proj", "qkv_proj", 0),
            ("k_proj", "qkv_proj", heads * head_width),
            ("v_proj", "qkv_proj", (heads + kv_heads) * head_width),
            ("gate_proj", "gate_up_proj", 0),
            ("up_proj", "gate_up_proj", feed),
        ] {
            let Some(stem) = name.strip_suffix(".weight").and_then(|n| n.strip_suffix(part)) else {
                continue;
            };
            let whole = self.tensors.get(&format!("{stem}{joined}.weight"))?;
            let whole = whole.filter(|t| t.dims().first() >= Some(&(from + shape[0])));
            return Ok(whole.map(|t| t.narrow(0, from, shape[0])?.contiguous()).transpose()?);
        }
        Ok(None)
    }

    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.maybe(name, shape)?.map_or_else(
            || {
                let own = self.tensors.own_name(name);
                self.refuse(format!("tensor `{own}` is missing; fetch the model again"))
            },
            Ok,
        )
    }

    /// The matrix `name.weight` of outputs and inputs, with `name.bias` where asked for.
    pub fn linear(&mut self, name: &str, size: [usize; 2], bias: bool) -> Result<Projection> {
        let weight = self.tensor(&format!("{name}.weight"), &size)?;
        let bias = bias.then(|| self.tensor(&format!("{name}.bias"), &size[..1])).transpose()?;
        let trainable = self.trainable.as_mut().filter(|trainable| trainable.wants(name));
        let lora = trainable.map(|t| t.lora(name, size, &self.device)).transpose()?;
        Ok(Projection { weight, bias, lora })
    }

    /// The norm `name` over `width` numbers; `gamma` and `beta` are understood as the names they once had.
    pub fn norm(&mut self, name: &str, width: usize) -> Result<Normed> {
        let Spec { family, epsilon, .. } = self.spec;
        let mut tensor =
            |new: &str, old: &str| match self.maybe(&format!("{name}.{old}"), &[width])? {
                Some(tensor) => anyhow::Ok(tensor),
                None => self.tensor(&format!("{name}.{new}"), &[width]),
            };
        let mut weight = tensor("weight", "gamma")?;
        if family == Family::Gemma3 {
            // Its files hold the weight less 1.
            weight = (weight + 1.0)?;
        }
        let bias = (!family.is_like_llama()).then(|| tensor("bias", "beta")).transpose()?;
        let gradient = self.trainable.is_some();
        Ok(Normed { weight, bias, epsilon: epsilon as f32, gradient })
    }

    /// A matrix of a classification head: from the checkpoint, or a variable when the head is to be trained.
    pub fn head(&mut self, name: &str, size: [usize; 2], bias: bool) -> Result<Projection> {
        let Some(trainable) = &mut self.trainable else { return self.linear(name, size, bias) };
        let mut new = |part: &str, shape: &[usize]| {
            trainable.variable(&format!("{name}.{part}"), shape, &self.device)
        };
        let weight = new("weight", &size)?;
        let bias = bias.then(|| new("bias", &size[..1])).transpose()?;
        Ok(Projection { weight, bias, lora: None })
    }

    /// Ends the loading: an adapter must have been used up.
    pub fn finish(self) -> Result<Option<Trainable>> {
        if let Some(adapter) = &self.adapter {
            adapter.check_used()?;
        }
        Ok(self.trainable)
    }
}

impl Trainable {
    fn wants(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or(name);
        self.targets.iter().any(|target| target == last)
    }

    /// A LoRA pair begins as nothing: the first matrix random, the second zero. Heads begin small.
    fn variable(&mut self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
        let inputs = shape.last().copied().unwrap_or(1).max(1) as f32;
        let reach =
            if name.contains(".lora_A.") { 1.0 / inputs.sqrt() } else { 0.02 * 3f32.sqrt() };
        let mut draw = seed::stream(self.seed, &format!("tune {name}"));
        let zero = name.ends_with(".lora_B.weight") || name.ends_with(".bias");
        let value = |_| if zero { 0.0 } else { draw.random_range(-reach..reach) };
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(value).collect();
        let variable = Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?;
        let tensor = variable.as_tensor().clone();
        self.variables.insert(name.to_owned(), variable);
        Ok(tensor)
    }

    fn lora(&mut self, name: &str, size: [usize; 2], device: &Device) -> Result<Lora> {
        let (down, up) = ([self.rank, size[1]], [size[0], self.rank]);
        let down = self.variable(&format!("{name}.lora_A.weight"), &down, device)?;
        let up = self.variable(&format!("{name}.lora_B.weight"), &up, device)?;
        Ok(Lora { down, up, scale: self.scale })
    }
}

/// Two thin matrices whose product is added to a matrix (Hu et al., 2021).
struct Lora {
    down: Tensor,
    up: Tensor,
    scale: f64,
}

/// `x W^T + b`, with the LoRA term `scale x A^T B^T` where there is one.
pub struct Projection {
    weight: Tensor,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

impl Projection {
    /// The product with a matrix that is held already.
    pub fn plain(weight: Tensor) -> Self {
        Self { weight, bias: None, lora: None }
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

pub struct Normed {
    weight: Tensor,
    bias: Option<Tensor>,
    epsilon: f32,
    /// Whether to take the steps that can be gone back.
    gradient: bool,
}

impl Normed {
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Self { weight, bias, epsilon, gradient } = self;
        Ok(match (bias, gradient) {
            (None, false) => ops::rms_norm(&x.contiguous()?, weight, *epsilon)?,
            (None, true) => ops::rms_norm_slow(x, weight, *epsilon)?,
            (Some(bias), false) => ops::layer_norm(&x.contiguous()?, weight, bias, *epsilon)?,
            (Some(bias), true) => ops::layer_norm_slow(x, weight, bias, *epsilon)?,
        })
    }
}

pub fn softmax(x: &Tensor, gradient: bool) -> Result<Tensor> {
    Ok(if gradient { ops::softmax(x, D::Minus1)? } else { ops::softmax_last_dim(x)? })
}
