//! An encoder as a feature extractor, as sentence-transformers use it: mean-pooled, length-normalised embeddings.

use candle_core::Device;

use super::config::Kind;
use super::encoder::{Encoder, unit_mean};
use super::pretrained::Pretrained;
use super::token_batch::Tokens;
use super::tokenizer::TextTokenizer;
use crate::teacher::{Description, Extractor, Pooled, Pooling, TeacherError};

const TOKENS_A_BATCH: usize = 1024;

pub struct SentenceEncoder {
    model: Encoder,
    tokenizer: TextTokenizer,
    device: Device,
    about: Description,
}

impl SentenceEncoder {
    /// Loads a checkpoint. Texts longer than `limit` tokens (the special ones included) are cut; the model's own limit
    /// applies too.
    pub fn load(
        mut model: Pretrained,
        limit: usize,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let Kind::Encoder(spec) = model.kind.clone() else {
            return Err(TeacherError::model(&model.path, "is a decoder, not an encoder"));
        };
        let limit = limit.clamp(2, spec.context.max(2));
        model.tokenizer.cut_at(limit)?;
        let mut parameters = model.parameters(device);
        let encoder = Encoder::load(&mut parameters, spec)?;
        parameters.finish()?;
        model.tokenizer.check_vocabulary(&model.path, encoder.vocabulary())?;
        let settings = format!("at most {limit} tokens, mean pooled, unit length");
        let (about, cell) =
            ([model.name, model.digest, settings], (encoder.depth(), Pooling::Mean));
        Ok(Self {
            about: Description::single(about, cell, encoder.width()),
            model: encoder,
            tokenizer: model.tokenizer,
            device: device.clone(),
        })
    }

    fn embed(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let states = self.model.last(&Tokens::mutual(rows, &self.device)?)?;
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        unit_mean(&states, &lengths, &self.device)
    }
}

impl Extractor for SentenceEncoder {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        self.tokenizer.batches(texts, TOKENS_A_BATCH, |ids| self.embed(ids))
    }
}
