//! Tensors by name and shape for the parts of a model, with an adapter merged in or new LoRA matrices beside them.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};

use crate::teacher::llm::config::architecture::Norm;
use crate::teacher::llm::layers::{Lora, Normed, Projection};
use crate::teacher::llm::lora::adapter::Adapter;
use crate::teacher::llm::weights::Tensors;
use crate::teacher::{Result, TeacherError};

/// Numbers for a new variable of a name and shape.
pub type Draw = Box<dyn Fn(&str, &[usize]) -> Vec<f32>>;

/// LoRA matrices that are to be trained: made by the name of the matrix they stand beside.
pub struct Trainable {
    /// Last parts of the names of the matrices that get them.
    pub targets: Vec<String>,
    pub rank: usize,
    pub scale: f64,
    /// The variables so far, by PEFT's names less `base_model.model.`.
    pub variables: BTreeMap<String, Var>,
    /// Numbers for a new variable of a name and shape.
    pub draw: Draw,
}

pub struct Parameters<'a> {
    tensors: &'a mut dyn Tensors,
    /// Name of the inner model, which checkpoints of the bare model leave out.
    inner: &'static str,
    adapter: Option<Adapter>,
    /// What is to be trained; `None` when the model only reads.
    pub trainable: Option<Trainable>,
    device: Device,
}

impl<'a> Parameters<'a> {
    /// Reads from `tensors`, whose names may or may not begin with `inner.`.
    pub fn new(
        tensors: &'a mut dyn Tensors,
        inner: &'static str,
        adapter: Option<Adapter>,
        device: &Device,
    ) -> Self {
        Self { tensors, inner, adapter, trainable: None, device: device.clone() }
    }

    fn bare<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.inner).and_then(|rest| rest.strip_prefix('.'))
    }

    /// The shape of a tensor as the adapter or the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let own = |name| self.tensors.shape(name);
        self.adapter
            .as_ref()
            .and_then(|adapter| adapter.shape(name))
            .or_else(|| own(name))
            .or_else(|| self.bare(name).and_then(own))
    }

    pub fn maybe(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let mut found = self.tensors.get(name)?;
        if let (None, Some(bare)) = (&found, self.bare(name)) {
            found = self.tensors.get(bare)?;
        }
        if let Some(adapter) = &mut self.adapter {
            found = adapter.apply(name, found)?;
        }
        let Some(tensor) = found else {
            return Ok(None);
        };
        if tensor.dims() != shape {
            let what = format!(
                "tensor `{}` has shape {:?}, the configuration asks for {shape:?}; take both from the same model",
                self.tensors.own_name(name),
                tensor.dims()
            );
            return Err(TeacherError::model(self.tensors.path(), what));
        }
        Ok(Some(tensor.to_device(&self.device)?))
    }

    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.maybe(name, shape)? {
            Some(tensor) => Ok(tensor),
            None => {
                let own = self.tensors.own_name(name);
                let what = format!("tensor `{own}` is missing; fetch the model again");
                Err(TeacherError::model(self.tensors.path(), what))
            }
        }
    }

    /// The matrix `name.weight` of `rows` outputs and `columns` inputs, with `name.bias` where asked for.
    pub fn linear(
        &mut self,
        name: &str,
        (rows, columns): (usize, usize),
        bias: bool,
    ) -> Result<Projection> {
        let weight = self.tensor(&format!("{name}.weight"), &[rows, columns])?;
        let bias = bias.then(|| self.tensor(&format!("{name}.bias"), &[rows])).transpose()?;
        let lora = match &mut self.trainable {
            Some(trainable) if trainable.wants(name) => {
                Some(trainable.lora(name, (rows, columns), &self.device)?)
            }
            _ => None,
        };
        Ok(Projection::new(weight, bias, lora))
    }

    /// The norm `name` over `width` numbers; `gamma` and `beta` are understood as the names they once had.
    pub fn norm(&mut self, name: &str, width: usize, norm: Norm) -> Result<Normed> {
        let mut tensor =
            |new: &str, old: &str| match self.maybe(&format!("{name}.{old}"), &[width])? {
                Some(tensor) => Ok::<_, TeacherError>(tensor),
                None => self.tensor(&format!("{name}.{new}"), &[width]),
            };
        let weight = tensor("weight", "gamma")?;
        Ok(match norm {
            Norm::Rms { epsilon, plus_one } => {
                Normed::new(if plus_one { (weight + 1.0)? } else { weight }, None, epsilon)
            }
            Norm::Layer { epsilon } => Normed::new(weight, Some(tensor("bias", "beta")?), epsilon),
        })
    }

    /// A matrix of a classification head: from the checkpoint, or a variable when the head is to be trained.
    pub fn head(
        &mut self,
        name: &str,
        (rows, columns): (usize, usize),
        bias: bool,
    ) -> Result<Projection> {
        let Some(trainable) = &mut self.trainable else {
            return self.linear(name, (rows, columns), bias);
        };
        let weight =
            trainable.variable(format!("{name}.weight"), &[rows, columns], &self.device)?;
        let bias = match bias {
            true => Some(trainable.variable(format!("{name}.bias"), &[rows], &self.device)?),
            false => None,
        };
        Ok(Projection::new(weight, bias, None))
    }

    pub fn path(&self) -> &std::path::Path {
        self.tensors.path()
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

    pub fn variable(&mut self, name: String, shape: &[usize], device: &Device) -> Result<Tensor> {
        let values = (self.draw)(&name, shape);
        let variable = Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?;
        let tensor = variable.as_tensor().clone();
        self.variables.insert(name, variable);
        Ok(tensor)
    }

    fn lora(
        &mut self,
        name: &str,
        (rows, columns): (usize, usize),
        device: &Device,
    ) -> Result<Lora> {
        let down = self.variable(format!("{name}.lora_A.weight"), &[self.rank, columns], device)?;
        let up = self.variable(format!("{name}.lora_B.weight"), &[rows, self.rank], device)?;
        Ok(Lora { down, up, scale: self.scale })
    }
}
