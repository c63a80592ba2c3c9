//! Language models run here: decoders and encoders on weights that are read from a file or a folder.

pub mod causal_lm;
pub mod classifier;
pub mod config;
#[cfg(feature = "hub")]
pub mod hub;
pub mod layers;
/// LoRA adapters in PEFT's layout: merged into a model as it is loaded, or trained.
pub mod lora {
    pub mod adapter;
    pub mod checkpoint;
    pub mod train;
}
pub mod pretrained;
pub mod token_batch;
pub mod tokenizer;
pub mod transformer;
pub mod weights;

use crate::teacher::Extractor;
use crate::teacher::llm::causal_lm::Causal;
pub use crate::teacher::llm::pretrained::Reading;
use crate::teacher::llm::pretrained::{Pretrained, TextVectors, sentences};
use anyhow::Result;
use candle_core::Device;
use std::path::Path;

/// The device that models run on: the first GPU in a build with `cuda`, else this processor.
pub fn device() -> Result<Device> {
    #[cfg(feature = "cuda")]
    return Ok(Device::new_cuda(0)?);
    #[cfg(not(feature = "cuda"))]
    Ok(Device::Cpu)
}

pub fn extractor(path: &Path, reading: &Reading) -> Result<Box<dyn Extractor>> {
    let checkpoint = Pretrained::open(path, reading.adapter.as_deref())?;
    Ok(match checkpoint.spec.family.is_encoder() {
        true => Box::new(sentences(checkpoint, reading.limit, &device()?)?),
        false => Box::new(Causal::load(checkpoint, reading, &device()?)?),
    })
}

pub fn causal(path: &Path, reading: &Reading) -> Result<Causal> {
    Causal::load(Pretrained::open(path, reading.adapter.as_deref())?, reading, &device()?)
}

pub fn head(path: &Path, reading: &Reading) -> Result<TextVectors> {
    let checkpoint = Pretrained::open(path, reading.adapter.as_deref())?;
    classifier::scores(checkpoint, reading.limit, &device()?)
}
