//! A causal language model as a feature extractor: prompt, decoder and pooling put together.

use candle_core::Device;

use super::batching::by_length;
use super::config::Kind;
use super::decoder::Decoder;
use super::pretrained::Pretrained;
use super::prompt::{Prompt, Prompted};
use super::token_batch::Tokens;
use super::tokenizer::TextTokenizer;
use crate::teacher::pooling::{Cell, Pooling, pool};
use crate::teacher::{Description, Extractor, Identity, Pooled, TeacherError};

/// Padded tokens a batch: enough to keep both cores busy, small enough that activations stay under 50 MB.
pub(crate) const TOKENS_A_BATCH: usize = 512;

pub struct Causal {
    pub(crate) model: Decoder,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) device: Device,
    prompt: Prompt,
    limit: usize,
    about: Description,
}

impl Causal {
    /// Loads a checkpoint. `limit` is the most tokens a prompted text may take, longer texts are cut; `layers` are
    /// those whose states are wanted, each with both poolings, or none for [`spread`] over the depth.
    pub fn load(
        mut pretrained: Pretrained,
        template: &str,
        limit: usize,
        layers: &[usize],
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let path = pretrained.path.clone();
        let Kind::Decoder(spec) = pretrained.kind.clone() else {
            let what = "is an encoder, which continues no text; zero-shot needs a causal model";
            return Err(TeacherError::model(&path, what));
        };
        let prompt = Prompt::parse(template, &mut pretrained.tokenizer)?;
        let limit = limit.min(spec.context);
        if prompt.overhead() >= limit {
            let what = format!(
                "the prompt alone fills the limit of {limit} tokens; shorten it or raise the limit"
            );
            return Err(TeacherError::model(&path, what));
        }
        if let Some(layer) = layers.iter().find(|&&layer| layer > spec.depth) {
            let what = format!("has {} layers, layer {layer} was asked for", spec.depth);
            return Err(TeacherError::model(&path, what));
        }
        pretrained.tokenizer.check_vocabulary(&path, spec.vocabulary)?;
        let mut parameters = pretrained.parameters(device);
        let model = Decoder::load(&mut parameters, spec, limit, device)?;
        parameters.finish()?;
        let layers = if layers.is_empty() { spread(model.depth()) } else { layers.to_vec() };
        let both =
            |&layer: &usize| [Pooling::Mean, Pooling::Last].map(|pooling| Cell { layer, pooling });
        let cells: Vec<Cell> = layers.iter().flat_map(both).collect();
        let named: Vec<String> = cells.iter().map(ToString::to_string).collect();
        let summary = format!("prompt {template:?}, at most {limit} tokens");
        let identity = Identity {
            name: pretrained.name,
            digest: pretrained.digest,
            settings: format!("{summary}, {}", named.join(", ")),
        };
        Ok(Self {
            about: Description { identity, summary, cells, width: model.width() },
            model,
            tokenizer: pretrained.tokenizer,
            device: device.clone(),
            prompt,
            limit,
        })
    }

    pub fn depth(&self) -> usize {
        self.model.depth()
    }

    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    pub fn fill(&self, texts: &[&str]) -> Result<Vec<Prompted>, TeacherError> {
        texts.iter().map(|text| self.prompt.fill(text, self.limit, &self.tokenizer)).collect()
    }
}

/// Six layers at even steps, the last one among them (all when there are fewer).
pub fn spread(depth: usize) -> Vec<usize> {
    let mut layers: Vec<usize> = (1..=6).map(|i| (i * depth).div_ceil(6)).collect();
    layers.dedup();
    layers
}

impl Extractor for Causal {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        let rows = self.fill(texts)?;
        let Description { cells, width, .. } = &self.about;
        let depth = cells.iter().map(|c| c.layer).max().unwrap_or(0);
        let empty = |row: &Prompted| Pooled {
            values: vec![0.0; cells.len() * width],
            tokens: row.ids.len(),
            cut: row.cut,
        };
        let mut out: Vec<Pooled> = rows.iter().map(empty).collect();
        let lengths: Vec<usize> = rows.iter().map(|r| r.ids.len()).collect();
        for group in by_length(&lengths, TOKENS_A_BATCH) {
            let ids: Vec<&[u32]> = group.iter().map(|&i| rows[i].ids.as_slice()).collect();
            let tokens = Tokens::causal(&ids, &self.device)?;
            self.model.run(&tokens, depth, |layer, states| {
                for (slot, cell) in cells.iter().enumerate().filter(|(_, c)| c.layer == layer) {
                    for (row, &i) in group.iter().enumerate() {
                        let pooled =
                            pool(states, row, &rows[i].text, lengths[i] - 1, cell.pooling)?;
                        out[i].values[slot * width..(slot + 1) * width].copy_from_slice(&pooled);
                    }
                }
                Ok(())
            })?;
        }
        Ok(out)
    }
}
