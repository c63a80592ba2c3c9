//! Transformers of several families, decoders and encoders, on dequantised weights: they hand out the hidden states of
//! every layer.
//!
//! The usual quantised implementations return the logits of the last token only, and a probe needs the inside.
//! Weights are held as f32 (about 4 bytes a parameter): on a CPU a matrix product over a batch of tokens is several
//! times quicker than a product with packed 4-bit weights, which wins only when tokens come one at a time.

mod block;
mod position;

use crate::teacher::llm::config::architecture::Spec;
use crate::teacher::llm::layers::{Normed, Parameters, Projection};
use crate::teacher::llm::token_batch::Tokens;
use anyhow::{Context as _, Result};
use block::Block;
use candle_core::{Device, Module, Tensor};
use candle_nn::Embedding;
use position::Places;

pub struct Transformer {
    pub spec: Spec,
    embedding: Embedding,
    segment: Option<Tensor>,
    embedding_norm: Option<Normed>,
    project_in: Option<Projection>,
    places: Places,
    blocks: Vec<Block>,
    norm: Option<Normed>,
    project_out: Option<Projection>,
    pub unembedding: Option<Projection>,
    gradient: bool,
}

impl Transformer {
    /// Loads the weights. `context` is the longest sequence that will be asked for.
    pub fn load(parameters: &mut Parameters<'_>, context: usize) -> Result<Self> {
        let spec = parameters.spec.clone();
        let (family, width, inner) = (spec.family, spec.width, spec.embedding_width);
        let shape = [spec.vocabulary, inner];
        let mut table = |part: &str, shape: &[usize]| {
            parameters.tensor(&format!("{}.weight", family.own(part)), shape)
        };
        let embedding = table("model.embed_tokens", &shape)?;
        let segments = spec.segments;
        let segments = (segments > 0).then(|| table("segments", &[segments, width])).transpose()?;
        let segment = segments.map(|all| all.get(0)).transpose()?;
        let bends = inner != width;
        let mut project = |name: &str, shape| {
            let name = bends.then(|| format!("model.decoder.{name}"));
            name.map(|name| parameters.linear(&name, shape, false)).transpose()
        };
        let project_in = project("project_in", [width, inner])?;
        let project_out = project("project_out", [inner, width])?;
        let mut norm = |part: &str, wanted: bool| {
            wanted.then(|| parameters.norm(&family.own(part), width)).transpose()
        };
        let embedding_norm = norm("embedding_norm", family.has("embedding_norm"))?;
        let last_norm = norm("model.norm", spec.final_norm)?;
        let places = Places::load(parameters, &spec, context.min(spec.context))?;
        let block = |layer| Block::load(parameters, &spec, layer);
        let blocks = (0..spec.depth).map(block).collect::<Result<_>>()?;
        // An encoder, a checkpoint of a classifier or of the bare model has no output matrix.
        let unembedding = match spec.tied {
            true => Some(embedding.clone()),
            false => parameters.maybe("lm_head.weight", &shape)?,
        };
        Ok(Self {
            embedding: Embedding::new(embedding, inner),
            segment,
            embedding_norm,
            project_in,
            places,
            blocks,
            norm: last_norm,
            project_out,
            unembedding: unembedding.map(Projection::plain),
            gradient: parameters.trainable.is_some(),
            spec,
        })
    }

    pub fn device(&self) -> &Device {
        self.embedding.embeddings().device()
    }

    /// Sequences of ids as the family sees them: each token those before it, or all of them.
    pub fn tokens(&self, rows: &[&[u32]]) -> Result<Tokens> {
        Tokens::new(rows, !self.spec.family.is_encoder(), self.device())
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
        if let Some(segment) = &self.segment {
            x = x.broadcast_add(segment)?;
        }
        if let Some(norm) = &self.embedding_norm {
            x = norm.forward(&x)?;
        }
        visit(0, &x)?;
        for (i, block) in self.blocks.iter().take(depth).enumerate() {
            x = block.forward(&x, &self.spec, &placed)?;
            match &self.norm {
                Some(norm) if i + 1 == self.blocks.len() => visit(i + 1, &norm.forward(&x)?)?,
                _ => visit(i + 1, &x)?,
            }
        }
        Ok(())
    }

    /// The states after the last layer, as [`Self::run`] shows them: [batch, length, width].
    pub fn last(&self, tokens: &Tokens) -> Result<Tensor> {
        let mut last = None;
        self.run(tokens, self.spec.depth, |_, states| {
            last = Some(states.clone());
            Ok(())
        })?;
        last.context("the model has no layer")
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
        let matrix = self.unembedding.as_ref().context("the checkpoint has no lm_head.weight")?;
        matrix.forward(&self.output(states)?)
    }
}
