//! A causal language model as a feature extractor: prompt, decoder and pooling put together.

use candle_core::Device;

use crate::teacher::llm::batching::by_length;
use crate::teacher::llm::decoder::Decoder;
use crate::teacher::llm::pretrained::{Kind, Pretrained};
use crate::teacher::llm::prompt::{Prompt, Prompted};
use crate::teacher::llm::token_batch::Tokens;
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::pooling::{Cell, Pooling, pool};
use crate::teacher::{Extractor, Identity, Pooled, TeacherError};

/// Padded tokens a batch: enough to keep both cores busy, small enough that activations stay under 50 MB.
pub(crate) const TOKENS_A_BATCH: usize = 512;

/// A decoder with its tokenizer and prompt.
pub struct Causal {
    pub(crate) model: Decoder,
    pub(crate) reader: TextTokenizer,
    pub(crate) device: Device,
    prompt: Prompt,
    limit: usize,
    cells: Vec<Cell>,
    name: String,
    digest: String,
}

impl Causal {
    /// Loads a checkpoint. `limit` is the most tokens a prompted text may take, longer texts are cut; `layers` are
    /// those whose states are wanted, each with both poolings, or none for [`spread`] over the depth.
    pub fn load(
        mut checkpoint: Pretrained,
        template: &str,
        limit: usize,
        layers: &[usize],
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let path = checkpoint.path.clone();
        let Kind::Decoder(spec) = checkpoint.kind.clone() else {
            let what = "is an encoder, which continues no text; zero-shot needs a causal model";
            return Err(TeacherError::model(&path, what));
        };
        let prompt = Prompt::parse(template, &mut checkpoint.reader)?;
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
        check_vocabulary(&path, &checkpoint.reader, spec.vocabulary)?;
        let mut loader = checkpoint.loader(device);
        let model = Decoder::load(&mut loader, spec, limit, device)?;
        loader.finish()?;
        let layers = if layers.is_empty() { spread(model.depth()) } else { layers.to_vec() };
        let both =
            |&layer: &usize| [Pooling::Mean, Pooling::Last].map(|pooling| Cell { layer, pooling });
        Ok(Self {
            model,
            reader: checkpoint.reader,
            device: device.clone(),
            prompt,
            limit,
            cells: layers.iter().flat_map(both).collect(),
            name: checkpoint.name,
            digest: checkpoint.digest,
        })
    }

    pub fn depth(&self) -> usize {
        self.model.depth()
    }

    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    pub fn fill(&self, texts: &[&str]) -> Result<Vec<Prompted>, TeacherError> {
        texts.iter().map(|text| self.prompt.fill(text, self.limit, &self.reader)).collect()
    }
}

/// Refuses a tokenizer with ids that the model has no embedding for.
pub fn check_vocabulary(
    path: &std::path::Path,
    reader: &TextTokenizer,
    rows: usize,
) -> Result<(), TeacherError> {
    let ids = reader.vocabulary();
    if ids <= rows {
        return Ok(());
    }
    let what = format!(
        "its tokenizer knows {ids} tokens and the model {rows}; take both from the same model"
    );
    Err(TeacherError::model(path, what))
}

/// Six layers at even steps, the last one among them (all when there are fewer).
pub fn spread(depth: usize) -> Vec<usize> {
    let mut layers: Vec<usize> = (1..=6).map(|i| (i * depth).div_ceil(6)).collect();
    layers.dedup();
    layers
}

impl Extractor for Causal {
    fn identity(&self) -> Identity {
        let cells: Vec<String> = self.cells.iter().map(ToString::to_string).collect();
        Identity {
            name: self.name.clone(),
            digest: self.digest.clone(),
            settings: format!("{}, {}", self.summary(), cells.join(", ")),
        }
    }

    fn summary(&self) -> String {
        format!("prompt {:?}, at most {} tokens", self.prompt.template(), self.limit)
    }

    fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn width(&self) -> usize {
        self.model.width()
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        let rows = self.fill(texts)?;
        let width = self.width();
        let depth = self.cells.iter().map(|c| c.layer).max().unwrap_or(0);
        let empty = |row: &Prompted| Pooled {
            values: vec![0.0; self.cells.len() * width],
            tokens: row.ids.len(),
            cut: row.cut,
        };
        let mut out: Vec<Pooled> = rows.iter().map(empty).collect();
        let lengths: Vec<usize> = rows.iter().map(|r| r.ids.len()).collect();
        for group in by_length(&lengths, TOKENS_A_BATCH) {
            let ids: Vec<&[u32]> = group.iter().map(|&i| rows[i].ids.as_slice()).collect();
            let tokens = Tokens::causal(&ids, &self.device)?;
            self.model.run(&tokens, depth, |layer, states| {
                for (slot, cell) in self.cells.iter().enumerate().filter(|(_, c)| c.layer == layer)
                {
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
