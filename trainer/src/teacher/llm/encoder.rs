//! Encoders of the BERT kind - BERT, `DistilBERT`, `MiniLM` - in which every token sees every other.

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::Embedding;

use crate::teacher::llm::config::Kind;
use crate::teacher::llm::config::architecture::{EncoderSpec, Norm};
use crate::teacher::llm::layers::{Normed, Projection, softmax};
use crate::teacher::llm::parameters::Parameters;
use crate::teacher::llm::pretrained::{Pretrained, TextVectors};
use crate::teacher::llm::token_batch::Tokens;
use crate::teacher::{Pooling, Result, TeacherError};

struct Layer {
    query: Projection,
    key: Projection,
    value: Projection,
    output: Projection,
    attention_norm: Normed,
    up: Projection,
    down: Projection,
    feed_norm: Normed,
}

pub struct Encoder {
    spec: EncoderSpec,
    words: Embedding,
    places: Tensor,
    segment: Option<Tensor>,
    norm: Normed,
    layers: Vec<Layer>,
    gradient: bool,
}

impl Encoder {
    pub fn load(parameters: &mut Parameters<'_>, spec: EncoderSpec) -> Result<Self> {
        let (width, norm) = (spec.width, Norm::Layer { epsilon: spec.epsilon });
        let name = |part: &str| format!("{}.embeddings.{part}", spec.inner());
        let words =
            parameters.tensor(&name("word_embeddings.weight"), &[spec.vocabulary, width])?;
        let places =
            parameters.tensor(&name("position_embeddings.weight"), &[spec.context, width])?;
        let segments = Some(spec.segments).filter(|&n| n > 0);
        let segments = segments
            .map(|n| parameters.tensor(&name("token_type_embeddings.weight"), &[n, width]))
            .transpose()?;
        let segment = segments.map(|all| all.get(0)).transpose()?;
        let first = parameters.norm(&name("LayerNorm"), width, norm)?;
        let mut layers = Vec::with_capacity(spec.depth);
        for i in 0..spec.depth {
            let (layer, names) = spec.layer(i);
            let full = |part: usize| format!("{layer}.{}", names[part]);
            let mut square = |part| parameters.linear(&full(part), (width, width), true);
            let (query, key, value, output) = (square(0)?, square(1)?, square(2)?, square(3)?);
            layers.push(Layer {
                query,
                key,
                value,
                output,
                attention_norm: parameters.norm(&full(4), width, norm)?,
                up: parameters.linear(&full(5), (spec.feed, width), true)?,
                down: parameters.linear(&full(6), (width, spec.feed), true)?,
                feed_norm: parameters.norm(&full(7), width, norm)?,
            });
        }
        let gradient = parameters.trainable.is_some();
        let words = Embedding::new(words, width);
        Ok(Self { words, places, segment, norm: first, layers, gradient, spec })
    }

    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Runs layers 1 to `depth` and shows `visit` the states [batch, length, width] after each, 0 being the embedding.
    pub fn run(
        &self,
        tokens: &Tokens,
        depth: usize,
        mut visit: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let length = tokens.ids.dim(1)?;
        let places = self.places.narrow(0, 0, length)?;
        let mut x = self.words.forward(&tokens.ids)?.broadcast_add(&places)?;
        if let Some(segment) = &self.segment {
            x = x.broadcast_add(segment)?;
        }
        x = self.norm.forward(&x, self.gradient)?;
        visit(0, &x)?;
        for (i, layer) in self.layers.iter().take(depth).enumerate() {
            x = self.step(layer, &x, &tokens.mask)?;
            visit(i + 1, &x)?;
        }
        Ok(())
    }

    /// The states after the last layer, as [`Self::run`] shows them: [batch, length, width].
    pub fn last(&self, tokens: &Tokens) -> Result<Tensor> {
        tokens.last(|visit| self.run(tokens, self.depth(), visit))
    }

    fn step(&self, layer: &Layer, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (batch, length, width) = x.dims3()?;
        let (heads, size) = (self.spec.heads, width / self.spec.heads);
        let split = |part: &Projection| {
            let all = part.forward(x)?.reshape((batch, length, heads, size))?;
            Ok::<_, TeacherError>(all.transpose(1, 2)?.contiguous()?)
        };
        let (query, key, value) = (split(&layer.query)?, split(&layer.key)?, split(&layer.value)?);
        let scores = (query.matmul(&key.t()?)? * (size as f64).powf(-0.5))?.broadcast_add(mask)?;
        let mixed = softmax(&scores, self.gradient)?.matmul(&value)?;
        let mixed = mixed.transpose(1, 2)?.contiguous()?.reshape((batch, length, width))?;
        let attended = (x + layer.output.forward(&mixed)?)?;
        let x = layer.attention_norm.forward(&attended, self.gradient)?;
        let inner = self.spec.activation.apply(&layer.up.forward(&x)?)?;
        layer.feed_norm.forward(&(&x + layer.down.forward(&inner)?)?, self.gradient)
    }
}

/// The mean of every row's own states, then to unit length: [batch, length, width] to one vector a row.
fn unit_mean(states: &Tensor, lengths: &[usize], device: &Device) -> Result<Vec<Vec<f32>>> {
    let (batch, length, _) = states.dims3()?;
    let own = |&n: &usize| (0..length).map(move |i| if i < n { 1.0 } else { 0.0 });
    let weight: Vec<f32> = lengths.iter().flat_map(own).collect();
    let weight = Tensor::from_vec(weight, (batch, length), device)?.to_dtype(DType::F32)?;
    let sum = states.broadcast_mul(&weight.unsqueeze(2)?)?.sum(1)?;
    let mean = sum.broadcast_div(&weight.sum_keepdim(1)?)?;
    let norm = mean.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
    Ok(mean.broadcast_div(&norm)?.to_vec2()?)
}

const TOKENS_A_BATCH: usize = 1024;

/// An encoder's vectors of texts, as sentence-transformers take them: mean-pooled, of unit length. Texts of more than
/// `limit` tokens (the special ones included) are cut; the model's own limit applies too.
pub fn sentences(mut of: Pretrained, limit: usize, device: &Device) -> Result<TextVectors> {
    let Kind::Encoder(spec) = of.kind.clone() else {
        return Err(TeacherError::model(&of.path, "is a decoder, not an encoder"));
    };
    let (limit, about) =
        (limit.clamp(2, spec.context.max(2)), (spec.depth, Pooling::Mean, spec.width));
    of.tokenizer.cut_at(limit)?;
    let (model, _) = of.load(device, |parameters, _| Encoder::load(parameters, spec))?;
    let settings = format!("at most {limit} tokens, mean pooled, unit length");
    let device = device.clone();
    let run = move |rows: &[&[u32]]| {
        let states = model.last(&Tokens::mutual(rows, &device)?)?;
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        unit_mean(&states, &lengths, &device)
    };
    Ok(TextVectors::new(of, settings, about, TOKENS_A_BATCH, run))
}
