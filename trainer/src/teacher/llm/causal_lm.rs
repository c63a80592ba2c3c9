//! A causal language model as a feature extractor: prompt, decoder and pooling put together.

use crate::teacher::llm::pretrained::{Pretrained, Reading};
use crate::teacher::llm::token_batch::{Row, in_batches};
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::llm::transformer::Transformer;
use crate::teacher::{Cell, Description, Extractor, Identity, Pooled, Pooling};
use anyhow::{Result, bail};
use candle_core::{Device, IndexOp as _, Tensor};
use std::ops::Range;

/// Padded tokens a batch: enough to keep both cores busy, small enough that activations stay under 50 MB.
pub(crate) const TOKENS_A_BATCH: usize = 512;

pub struct Causal {
    pub(crate) model: Transformer,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) prompt: Prompt,
    limit: usize,
    about: Description,
}

impl Causal {
    /// Loads a checkpoint. A prompted text of more tokens than the limit is cut; each layer's states are pooled in both
    /// ways.
    pub fn load(mut pretrained: Pretrained, reading: &Reading, device: &Device) -> Result<Self> {
        let Reading { prompt: template, layers, .. } = reading;
        let (path, spec) = (pretrained.path.clone(), &pretrained.spec);
        let path = path.display();
        if spec.family.is_encoder() {
            bail!("{path}: is an encoder, which continues no text; zero-shot needs a causal model");
        }
        let (depth, width, limit) = (spec.depth, spec.width, reading.limit.min(spec.context));
        let prompt = Prompt::parse(template, &mut pretrained.tokenizer)?;
        if prompt.overhead() >= limit {
            bail!(
                "{path}: the prompt alone fills the limit of {limit} tokens; shorten it or raise the limit"
            );
        }
        if let Some(layer) = layers.iter().find(|&&layer| layer > depth) {
            bail!("{path}: has {depth} layers, layer {layer} was asked for");
        }
        let (model, _) =
            pretrained.load(device, |parameters| Transformer::load(parameters, limit))?;
        let layers = if layers.is_empty() { spread(depth) } else { layers.to_vec() };
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
            about: Description { identity, summary, cells, width },
            model,
            tokenizer: pretrained.tokenizer,
            prompt,
            limit,
        })
    }

    /// Leaves room for `tokens` behind every prompted text.
    pub(crate) fn leave_room(&mut self, tokens: usize) -> Result<()> {
        if self.prompt.overhead() + tokens >= self.limit {
            bail!(
                "the prompt and the longest class phrase fill the limit of {} tokens; shorten them or raise --max-tokens",
                self.limit
            );
        }
        self.limit -= tokens;
        Ok(())
    }

    pub fn fill(&self, texts: &[&str]) -> Result<Vec<Prompted>> {
        texts.iter().map(|text| self.prompt.fill(text, self.limit, &self.tokenizer)).collect()
    }
}

/// Six layers at even steps, the last one among them (all when there are fewer).
fn spread(depth: usize) -> Vec<usize> {
    let mut layers: Vec<usize> = (1..=6).map(|i| (i * depth).div_ceil(6)).collect();
    layers.dedup();
    layers
}

impl Extractor for Causal {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>> {
        let rows = self.fill(texts)?;
        let Description { cells, width, .. } = &self.about;
        let depth = cells.iter().map(|c| c.layer).max().unwrap_or(0);
        let all: Vec<Row<'_>> =
            rows.iter().map(|row| (row.ids.as_slice(), row.ids.len(), row.cut)).collect();
        in_batches(&all, TOKENS_A_BATCH, |group, ids| {
            let mut out = vec![vec![0.0; cells.len() * width]; group.len()];
            self.model.run(&self.model.tokens(ids)?, depth, |layer, states| {
                for (slot, cell) in cells.iter().enumerate().filter(|(_, c)| c.layer == layer) {
                    for (row, (&i, out)) in group.iter().zip(&mut out).enumerate() {
                        let pooled = pool(&states.i(row)?, &rows[i], cell.pooling)?;
                        out[slot * width..(slot + 1) * width].copy_from_slice(&pooled);
                    }
                }
                Ok(())
            })?;
            Ok(out)
        })
    }
}

/// Pools the states of a row: [length, width].
fn pool(states: &Tensor, row: &Prompted, pooling: Pooling) -> Result<Vec<f32>> {
    let Prompted { ids, text, .. } = row;
    let pooled = match pooling {
        // An empty text has no tokens of its own: its end state stands in.
        Pooling::Mean if !text.is_empty() => states.narrow(0, text.start, text.len())?.mean(0)?,
        _ => states.i(ids.len() - 1)?,
    };
    Ok(pooled.to_vec1()?)
}

const SLOT: &str = "{text}";

/// A template split at its slot and tokenised once.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub(crate) tail: String,
    before: Vec<u32>,
    after: Vec<u32>,
    /// Words of byte-level BPE carry the space before them, so a space before the slot belongs to the text.
    space: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompted {
    pub ids: Vec<u32>,
    /// Where the text's own tokens lie in `ids`; empty for an empty text.
    pub text: Range<usize>,
    pub cut: bool,
}

impl Prompt {
    /// Tokenises a template. Special tokens such as `<|im_start|>` are recognised here, never inside texts.
    pub fn parse(template: &str, reader: &mut TextTokenizer) -> Result<Self> {
        let (before, after) = match template.split_once(SLOT) {
            Some((before, after)) if !after.contains(SLOT) => (before, after),
            _ => bail!("tokenizer: the prompt `{template}` needs {SLOT} exactly once"),
        };
        let trimmed = before.strip_suffix(' ');
        let first = trimmed.unwrap_or(before);
        // Where the model's texts begin with an unwritten space, the prompt's first piece carries it.
        let space = trimmed.is_some() || (first.is_empty() && reader.leading_space);
        let first = match reader.leading_space && !first.is_empty() {
            true => format!(" {first}"),
            false => first.to_owned(),
        };
        reader.pieces.set_encode_special_tokens(false);
        let before = [&reader.opening, reader.piece(&first)?.as_slice()].concat();
        let (tail, after) = (after.to_owned(), reader.piece(after)?);
        reader.pieces.set_encode_special_tokens(true);
        Ok(Self { tail, before, after, space })
    }

    fn overhead(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Puts one text in; its end is cut off when prompt and text together pass `limit` tokens.
    pub fn fill(&self, text: &str, limit: usize, reader: &TextTokenizer) -> Result<Prompted> {
        let mut own = match self.space {
            true => reader.piece(&format!(" {text}"))?,
            false => reader.piece(text)?,
        };
        let room = limit.saturating_sub(self.overhead());
        let cut = own.len() > room;
        own.truncate(room);
        let start = self.before.len();
        let range = start..start + own.len();
        let mut ids: Vec<u32> =
            [self.before.as_slice(), own.as_slice(), self.after.as_slice()].concat();
        if ids.is_empty() {
            ids.push(0);
        }
        Ok(Prompted { ids, text: range, cut })
    }
}
