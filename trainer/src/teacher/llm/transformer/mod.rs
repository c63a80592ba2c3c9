//! Decoders of several families on dequantised weights, which hand out the hidden states of every layer.
//!
//! The usual quantised implementations return the logits of the last token only, and a probe needs the inside.
//! Weights are held as f32 (about 4 bytes a parameter): on a CPU a matrix product over a batch of tokens is several
//! times quicker than a product with packed 4-bit weights, which wins only when tokens come one at a time.

mod block;
mod position;

use block::Block;
use candle_core::{D, Device, Module, Tensor};
use candle_nn::{Embedding, ops};
use position::Places;

use crate::teacher::Result;
use crate::teacher::llm::config::architecture::{Family, Spec};
use crate::teacher::llm::layers::{Normed, Projection};
use crate::teacher::llm::parameters::Parameters;
use crate::teacher::llm::token_batch::Tokens;

pub struct Decoder {
    pub spec: Spec,
    embedding: Embedding,
    embedding_norm: Option<Normed>,
    project_in: Option<Projection>,
    places: Places,
    blocks: Vec<Block>,
    norm: Option<Normed>,
    project_out: Option<Projection>,
    unembedding: Option<Projection>,
    gradient: bool,
}

impl Decoder {
    /// Loads the weights. `context` is the longest sequence that will be asked for.
    pub fn load(
        parameters: &mut Parameters<'_>,
        spec: Spec,
        context: usize,
        device: &Device,
    ) -> Result<Self> {
        let (family, width, inner) = (spec.family, spec.width, spec.embedding_width);
        let context = context.min(spec.context);
        let shape = [spec.vocabulary, inner];
        let embedding =
            parameters.tensor(&format!("{}.weight", family.names().embedding), &shape)?;
        let bends = inner != width;
        let mut project = |name: &str, shape| match bends {
            true => parameters.linear(&format!("model.decoder.{name}"), shape, false).map(Some),
            false => Ok(None),
        };
        let project_in = project("project_in", (width, inner))?;
        let project_out = project("project_out", (inner, width))?;
        let embedding_norm = match family {
            Family::Bloom => Some("transformer.word_embeddings_layernorm"),
            _ => None,
        };
        let embedding_norm =
            embedding_norm.map(|name| parameters.norm(name, width, spec.norm)).transpose()?;
        let places = Places::load(parameters, &spec, context, device)?;
        let blocks = (0..spec.depth)
            .map(|layer| Block::load(parameters, &spec, layer))
            .collect::<Result<_, _>>()?;
        let last_norm = spec.final_norm.then(|| family.names().last_norm);
        let norm = last_norm.map(|name| parameters.norm(name, width, spec.norm)).transpose()?;
        // A checkpoint of a classifier or of the bare model has no output matrix.
        let unembedding = match spec.tied {
            true => Some(embedding.clone()),
            false => parameters.maybe("lm_head.weight", &shape)?,
        };
        let unembedding = unembedding.map(|weight| Projection::new(weight, None, None));
        Ok(Self {
            embedding: Embedding::new(embedding, inner),
            embedding_norm,
            project_in,
            places,
            blocks,
            norm,
            project_out,
            unembedding,
            gradient: parameters.trainable.is_some(),
            spec,
        })
    }

    /// Number of decoder layers; hidden states are numbered 0 (embedding) to this (after the last layer).
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    pub fn speaks(&self) -> bool {
        self.unembedding.is_some()
    }

    /// Runs layers 1 to `depth` and shows `visit` the states [batch, length, width] after each, 0 being the
    /// embedding. The states after the very last layer are shown normed, as the output matrix sees them.
    pub fn run(
        &self,
        tokens: &Tokens,
        depth: usize,
        mut visit: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let placed = self.places.place(tokens, &self.spec.windows, self.gradient)?;
        let mut x = self.embedding.forward(&tokens.ids)?;
        if self.spec.embedding_scale != 1.0 {
            x = (x * f64::from(self.spec.embedding_scale as f32))?;
        }
        if let Some(project) = &self.project_in {
            x = project.forward(&x)?;
        }
        if let Some(learned) = &placed.embedding {
            x = (x + learned)?;
        }
        if let Some(norm) = &self.embedding_norm {
            x = norm.forward(&x, self.gradient)?;
        }
        visit(0, &x)?;
        for (i, block) in self.blocks.iter().take(depth).enumerate() {
            x = block.forward(&x, &placed)?;
            match &self.norm {
                Some(norm) if i + 1 == self.blocks.len() => {
                    visit(i + 1, &norm.forward(&x, self.gradient)?)?;
                }
                _ => visit(i + 1, &x)?,
            }
        }
        Ok(())
    }

    /// The states after the last layer, as [`Self::run`] shows them: [batch, length, width].
    pub fn last(&self, tokens: &Tokens) -> Result<Tensor> {
        tokens.last(|visit| self.run(tokens, self.depth(), visit))
    }

    /// Last-layer states as a head reads them: [.., width] to [.., output width].
    pub fn output(&self, states: &Tensor) -> Result<Tensor> {
        match &self.project_out {
            Some(project) => project.forward(states),
            None => Ok(states.clone()),
        }
    }

    /// Logits of the next token from last-layer states: [.., width] to [.., vocabulary].
    pub fn logits(&self, states: &Tensor) -> Result<Tensor> {
        match &self.unembedding {
            Some(matrix) => matrix.forward(&self.output(states)?),
            None => {
                Err(candle_core::Error::Msg("the checkpoint has no lm_head.weight".into()).into())
            }
        }
    }

    /// Log-probabilities of the next token from last-layer states: [n, width] to [n, vocabulary].
    pub fn next_token(&self, states: &Tensor) -> Result<Tensor> {
        Ok(ops::log_softmax(&self.logits(states)?, D::Minus1)?)
    }
}
