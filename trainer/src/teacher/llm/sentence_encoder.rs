//! An encoder as a feature extractor, as sentence-transformers use it: mean-pooled, length-normalised embeddings.

use candle_core::Device;

use crate::teacher::llm::causal_lm::check_vocabulary;
use crate::teacher::llm::encoder::{Encoder, unit_mean};
use crate::teacher::llm::pretrained::{Kind, Pretrained};
use crate::teacher::llm::token_batch::Tokens;
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::{Cell, Extractor, Identity, Pooled, Pooling, TeacherError};

const TOKENS_A_BATCH: usize = 1024;

pub struct SentenceEncoder {
    model: Encoder,
    reader: TextTokenizer,
    device: Device,
    limit: usize,
    cells: [Cell; 1],
    name: String,
    digest: String,
}

impl SentenceEncoder {
    /// Loads a checkpoint. Texts longer than `limit` tokens (the special ones included) are cut; the model's own limit
    /// applies too.
    pub fn load(
        mut checkpoint: Pretrained,
        limit: usize,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let Kind::Encoder(spec) = checkpoint.kind.clone() else {
            return Err(TeacherError::model(&checkpoint.path, "is a decoder, not an encoder"));
        };
        let limit = limit.clamp(2, spec.context.max(2));
        checkpoint.reader.cut_at(limit)?;
        let mut loader = checkpoint.loader(device);
        let model = Encoder::load(&mut loader, spec)?;
        loader.finish()?;
        check_vocabulary(&checkpoint.path, &checkpoint.reader, model.vocabulary())?;
        Ok(Self {
            cells: [Cell { layer: model.depth(), pooling: Pooling::Mean }],
            model,
            reader: checkpoint.reader,
            device: device.clone(),
            limit,
            name: checkpoint.name,
            digest: checkpoint.digest,
        })
    }

    fn embed(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let tokens = Tokens::mutual(rows, &self.device)?;
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        let mut out = Vec::new();
        self.model.run(&tokens, self.model.depth(), |layer, states| {
            if layer == self.model.depth() {
                out = unit_mean(states, &lengths, &self.device)?;
            }
            Ok(())
        })?;
        Ok(out)
    }
}

impl Extractor for SentenceEncoder {
    fn identity(&self) -> Identity {
        Identity {
            name: self.name.clone(),
            digest: self.digest.clone(),
            settings: format!("at most {} tokens, mean pooled, unit length", self.limit),
        }
    }

    fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn width(&self) -> usize {
        self.model.width()
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        self.reader.batches(texts, TOKENS_A_BATCH, |ids| self.embed(ids))
    }
}
