//! A folder's `config.json` read into an architecture, in the wordings of transformers 4 and 5: one file a family.

pub mod architecture;
pub mod bert;
mod bloom;
pub mod json;
mod llama;
mod opt;

use architecture::{Family, Spec};
use bert::EncoderSpec;
use json::JsonObject;

use crate::teacher::TeacherError;

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Decoder(Spec),
    Encoder(EncoderSpec),
}

impl Kind {
    pub fn read(config: &JsonObject) -> Result<Self, TeacherError> {
        let model_type = config.text("model_type")?.unwrap_or_default();
        let spec = match model_type {
            "llama" => llama::read(Family::Llama, config)?,
            "qwen2" => llama::read(Family::Qwen2, config)?,
            "qwen3" => llama::read(Family::Qwen3, config)?,
            "gemma3_text" => llama::read(Family::Gemma3, config)?,
            "opt" => opt::read(config)?,
            "bloom" => bloom::read(config)?,
            "bert" | "distilbert" => {
                return EncoderSpec::read(config, model_type == "distilbert").map(Self::Encoder);
            }
            _ => {
                let supported = architecture::SUPPORTED;
                return Err(config.refuse(&format!(
                    "model type `{model_type}` is not supported; these are: {supported}"
                )));
            }
        };
        match spec.fault() {
            Some(fault) => Err(config.refuse(&fault)),
            None => Ok(Self::Decoder(spec)),
        }
    }

    pub fn context(&self) -> usize {
        match self {
            Self::Decoder(spec) => spec.context,
            Self::Encoder(spec) => spec.context,
        }
    }

    /// Name of the inner model in a checkpoint.
    pub fn inner(&self) -> &'static str {
        match self {
            Self::Decoder(spec) if spec.family == Family::Bloom => "transformer",
            Self::Decoder(_) => "model",
            Self::Encoder(spec) if spec.distilled => "distilbert",
            Self::Encoder(_) => "bert",
        }
    }
}
