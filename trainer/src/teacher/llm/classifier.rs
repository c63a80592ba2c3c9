//! A model that ends in a classification head: on the last token of a decoder, on the first of an encoder.

use candle_core::{Device, Tensor};

use super::config::Kind;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::linear::Projection;
use super::parameters::Parameters;
use super::token_batch::Tokens;
use crate::teacher::TeacherError;

enum Body {
    Decoder(Box<Decoder>),
    Encoder(Encoder),
}

#[derive(Clone, Copy)]
enum Squash {
    Tanh,
    Relu,
}

/// A model that ends in class logits.
pub struct Classifier {
    body: Body,
    /// What encoders put between the first token's state and the head.
    pooler: Option<(Projection, Squash)>,
    head: Projection,
    outputs: usize,
    device: Device,
}

impl Classifier {
    /// Loads body and head. `outputs` is asked for where the head is to be trained; otherwise the checkpoint says.
    pub fn load(
        parameters: &mut Parameters<'_>,
        kind: Kind,
        limit: usize,
        outputs: Option<usize>,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let name = if matches!(kind, Kind::Decoder(_)) { "score" } else { "classifier" };
        let outputs = match outputs
            .or_else(|| Some(*parameters.shape(&format!("{name}.weight"))?.first()?))
        {
            Some(outputs) if outputs >= 2 => outputs,
            Some(outputs) => {
                let what = format!(
                    "its classification head has {outputs} output; at least 2 classes are needed"
                );
                return Err(TeacherError::model(parameters.path(), what));
            }
            None => {
                let what = format!(
                    "has no classification head (`{name}.weight`); use --method probe or zero-shot, or train one with `qdllm tune`"
                );
                return Err(TeacherError::model(parameters.path(), what));
            }
        };
        let (body, pooler, width) = match kind {
            Kind::Decoder(spec) => {
                let decoder = Decoder::load(parameters, spec, limit, device)?;
                let width = decoder.output_width();
                (Body::Decoder(Box::new(decoder)), None, width)
            }
            Kind::Encoder(spec) => {
                let distilled = spec.distilled;
                let encoder = Encoder::load(parameters, spec)?;
                let width = encoder.width();
                let pooler = match distilled {
                    true => {
                        (parameters.head("pre_classifier", (width, width), true)?, Squash::Relu)
                    }
                    false => (
                        parameters.linear("bert.pooler.dense", (width, width), true)?,
                        Squash::Tanh,
                    ),
                };
                (Body::Encoder(encoder), Some(pooler), width)
            }
        };
        let bias = pooler.is_some();
        let head = parameters.head(name, (outputs, width), bias)?;
        Ok(Self { body, pooler, head, outputs, device: device.clone() })
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    pub fn vocabulary(&self) -> usize {
        match &self.body {
            Body::Decoder(decoder) => decoder.vocabulary(),
            Body::Encoder(encoder) => encoder.vocabulary(),
        }
    }

    /// Logits of sequences, none of them empty: [rows, outputs].
    pub fn logits(&self, rows: &[&[u32]]) -> Result<Tensor, TeacherError> {
        let states = match &self.body {
            Body::Decoder(decoder) => decoder.last(&Tokens::causal(rows, &self.device)?)?,
            Body::Encoder(encoder) => encoder.last(&Tokens::mutual(rows, &self.device)?)?,
        };
        let (batch, length, width) = states.dims3()?;
        let place = |(row, ids): (usize, &&[u32])| match self.body {
            Body::Decoder(_) => (row * length + ids.len().max(1) - 1) as u32,
            Body::Encoder(_) => (row * length) as u32,
        };
        let at: Vec<u32> = rows.iter().enumerate().map(place).collect();
        let at = Tensor::from_vec(at, batch, &self.device)?;
        let mut x = states.reshape((batch * length, width))?.index_select(&at, 0)?;
        if let Body::Decoder(decoder) = &self.body {
            x = decoder.output(&x)?;
        }
        if let Some((pooler, squash)) = &self.pooler {
            x = pooler.forward(&x)?;
            x = match squash {
                Squash::Tanh => x.tanh()?,
                Squash::Relu => x.relu()?,
            };
        }
        self.head.forward(&x)
    }
}
