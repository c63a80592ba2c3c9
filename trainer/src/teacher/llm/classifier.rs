//! A model that ends in a classification head: on the last token of a decoder, on the first of an encoder.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::teacher::features::ScoreTeacher;
use crate::teacher::llm::config::Kind;
use crate::teacher::llm::transformer::Decoder;
use crate::teacher::llm::encoder::Encoder;
use crate::teacher::llm::layers::Projection;
use crate::teacher::llm::parameters::Parameters;
use crate::teacher::llm::pretrained::{Pretrained, TextVectors};
use crate::teacher::llm::token_batch::Tokens;
use crate::teacher::{Extractor as _, Pooling, Result, TeacherError};

enum Body {
    Decoder(Box<Decoder>),
    Encoder(Encoder),
}

type Squash = fn(&Tensor) -> candle_core::Result<Tensor>;

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
    ) -> Result<Self> {
        let name = if matches!(kind, Kind::Decoder(_)) { "score" } else { "classifier" };
        let own = || Some(*parameters.shape(&format!("{name}.weight"))?.first()?);
        let outputs = outputs.or_else(own).filter(|&outputs| outputs >= 2).ok_or_else(|| {
            let what = match own() {
                Some(outputs) => format!(
                    "its classification head has {outputs} output; at least 2 classes are needed"
                ),
                None => format!(
                    "has no classification head (`{name}.weight`); use --method probe or zero-shot, or train one with `qdllm tune`"
                ),
            };
            TeacherError::model(parameters.path(), what)
        })?;
        let (body, pooler, width): (_, Option<(Projection, Squash)>, _) = match kind {
            Kind::Decoder(spec) => {
                let width = spec.embedding_width;
                let decoder = Decoder::load(parameters, spec, limit, device)?;
                (Body::Decoder(Box::new(decoder)), None, width)
            }
            Kind::Encoder(spec) => {
                let (distilled, width) = (spec.distilled, spec.width);
                let encoder = Encoder::load(parameters, spec)?;
                let pooler = match distilled {
                    true => parameters.head("pre_classifier", (width, width), true)?,
                    false => parameters.linear("bert.pooler.dense", (width, width), true)?,
                };
                let squash: Squash = if distilled { Tensor::relu } else { Tensor::tanh };
                (Body::Encoder(encoder), Some((pooler, squash)), width)
            }
        };
        let bias = pooler.is_some();
        let head = parameters.head(name, (outputs, width), bias)?;
        Ok(Self { body, pooler, head, outputs, device: device.clone() })
    }

    /// Logits of sequences, none of them empty: [rows, outputs].
    pub fn logits(&self, rows: &[&[u32]]) -> Result<Tensor> {
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
            x = squash(&pooler.forward(&x)?)?;
        }
        self.head.forward(&x)
    }
}

const TOKENS_A_BATCH: usize = 512;

/// The head's logits of texts, one vector a text. They are read as they are, with the model's own marks around them;
/// those of more than `limit` tokens are cut.
pub fn scores(mut of: Pretrained, limit: usize, device: &Device) -> Result<TextVectors> {
    let limit = limit.min(of.kind.context());
    of.tokenizer.cut_at(limit)?;
    let (model, _) = of
        .load(device, |parameters, kind| Classifier::load(parameters, kind, limit, None, device))?;
    let (settings, about) =
        (format!("classification head, at most {limit} tokens"), (0, Pooling::Last, model.outputs));
    let run = move |rows: &[&[u32]]| Ok(model.logits(rows)?.to_vec2()?);
    Ok(TextVectors::new(of, settings, about, TOKENS_A_BATCH, run))
}

/// A teacher of `scores`, which are cached in `folder`. `classes` are matched with the head's own names where these are
/// the same ones, and taken as the names of its outputs in order where it has none (`LABEL_0` and so on count as none).
pub fn teacher(scores: TextVectors, classes: &[String], folder: &Path) -> Result<ScoreTeacher> {
    let labels = scores.labels.clone();
    let outputs = scores.description().width;
    let unnamed = labels.is_empty() || labels.iter().all(|label| label.starts_with("LABEL_"));
    let own = |class: &String| labels.iter().position(|label| label == class);
    let refuse = |what: String| Err(TeacherError::Labels(what));
    let (classes, order): (Vec<String>, Vec<usize>) = match classes {
        [] if unnamed => {
            return refuse(format!(
                "the head has {outputs} outputs without names; name them in order with --classes"
            ));
        }
        [] => (labels, (0..outputs).collect()),
        _ if classes.len() != outputs => {
            let named = if unnamed { String::new() } else { format!(" ({})", labels.join(", ")) };
            return refuse(format!(
                "the head has {outputs} outputs{named}, and there are {} classes ({})",
                classes.len(),
                classes.join(", ")
            ));
        }
        _ if unnamed => (classes.to_vec(), (0..outputs).collect()),
        _ => match classes.iter().map(own).collect::<Option<Vec<usize>>>() {
            Some(order) => (classes.to_vec(), order),
            None => {
                return refuse(format!(
                    "the head's classes are {}, those of the data {}; use the same names",
                    labels.join(", "),
                    classes.join(", ")
                ));
            }
        },
    };
    let read = move |row: &[f32]| order.iter().map(|&output| row[output]).collect();
    ScoreTeacher::open(Box::new(scores), (folder, false), classes, str::to_owned, read)
}
