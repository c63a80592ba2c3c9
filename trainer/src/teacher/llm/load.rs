//! Opens a path as what its contents allow: an extractor of hidden states, a causal model, a classifier.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::causal_lm::Causal;
use super::config::Kind;
use super::pretrained::Pretrained;
use super::sentence_encoder::SentenceEncoder;
use crate::teacher::head::HeadScores;
use crate::teacher::{Extractor, TeacherError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Prompt of causal models, with `{text}` in it.
    pub prompt: String,
    pub limit: usize,
    /// Layers to try, or none for six spread over the depth.
    pub layers: Vec<usize>,
    pub adapter: Option<PathBuf>,
}

/// The device that models run on: the first GPU in a build with `cuda`, else this processor.
pub fn device() -> Result<Device, TeacherError> {
    #[cfg(feature = "cuda")]
    return Ok(Device::new_cuda(0)?);
    #[cfg(not(feature = "cuda"))]
    Ok(Device::Cpu)
}

pub fn extractor(path: &Path, reading: &Reading) -> Result<Box<dyn Extractor>, TeacherError> {
    let checkpoint = Pretrained::open(path, reading.adapter.as_deref())?;
    let (limit, layers) = (reading.limit, &reading.layers);
    Ok(match checkpoint.kind {
        Kind::Decoder(_) => {
            Box::new(Causal::load(checkpoint, &reading.prompt, limit, layers, &device()?)?)
        }
        Kind::Encoder(_) => Box::new(SentenceEncoder::load(checkpoint, limit, &device()?)?),
    })
}

pub fn causal(path: &Path, reading: &Reading) -> Result<Causal, TeacherError> {
    let checkpoint = Pretrained::open(path, reading.adapter.as_deref())?;
    Causal::load(checkpoint, &reading.prompt, reading.limit, &reading.layers, &device()?)
}

pub fn head(path: &Path, reading: &Reading) -> Result<HeadScores, TeacherError> {
    let checkpoint = Pretrained::open(path, reading.adapter.as_deref())?;
    HeadScores::load(checkpoint, reading.limit, &device()?)
}
