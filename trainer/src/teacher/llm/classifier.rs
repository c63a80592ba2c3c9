//! A model that ends in a classification head: on the last token of a decoder, on the first of an encoder.

use crate::teacher::features::ScoreTeacher;
use crate::teacher::llm::causal_lm::TOKENS_A_BATCH;
use crate::teacher::llm::config::architecture::Family;
use crate::teacher::llm::layers::{Parameters, Projection};
use crate::teacher::llm::pretrained::{Pretrained, TextVectors};
use crate::teacher::llm::transformer::Transformer;
use crate::teacher::{Extractor as _, Pooling};
use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use std::path::Path;

type Squash = fn(&Tensor) -> candle_core::Result<Tensor>;

pub struct Classifier {
    body: Transformer,
    /// What encoders put between the first token's state and the head.
    pooler: Option<(Projection, Squash)>,
    head: Projection,
    outputs: usize,
}

impl Classifier {
    /// Loads body and head. `outputs` is asked for where the head is to be trained; otherwise the checkpoint says.
    pub fn load(
        parameters: &mut Parameters<'_>,
        limit: usize,
        outputs: Option<usize>,
    ) -> Result<Self> {
        let (family, width) = (parameters.spec.family, parameters.spec.embedding_width);
        let name = match family {
            Family::Roberta => "classifier.out_proj",
            family if family.is_encoder() => "classifier",
            _ => "score",
        };
        let own = || Some(*parameters.shape(&format!("{name}.weight"))?.first()?);
        let Some(outputs) = outputs.or_else(own) else {
            return parameters.refuse(format!(
                "has no classification head (`{name}.weight`); use --method probe or zero-shot, or train one with `qdllm tune`"
            ));
        };
        if outputs < 2 {
            return parameters.refuse(format!(
                "its classification head has {outputs} output; at least 2 classes are needed"
            ));
        }
        let body = Transformer::load(parameters, limit)?;
        let shape = [width, width];
        let pooler: Option<(Projection, Squash)> = match family {
            Family::Bert => {
                Some((parameters.linear("bert.pooler.dense", shape, true)?, Tensor::tanh))
            }
            Family::Roberta => {
                Some((parameters.head("classifier.dense", shape, true)?, Tensor::tanh))
            }
            Family::DistilBert => {
                Some((parameters.head("pre_classifier", shape, true)?, Tensor::relu))
            }
            _ => None,
        };
        let head = parameters.head(name, [outputs, width], pooler.is_some())?;
        Ok(Self { body, pooler, head, outputs })
    }

    /// Logits of sequences, none of them empty: [rows, outputs].
    pub fn logits(&self, rows: &[&[u32]]) -> Result<Tensor> {
        let states = self.body.last(&self.body.tokens(rows)?)?;
        let (batch, length, width) = states.dims3()?;
        let place = |(row, ids): (usize, &&[u32])| match self.body.spec.family.is_encoder() {
            true => (row * length) as u32,
            false => (row * length + ids.len().max(1) - 1) as u32,
        };
        let at: Vec<u32> = rows.iter().enumerate().map(place).collect();
        let at = Tensor::from_vec(at, batch, self.body.device())?;
        let mut x = states.reshape((batch * length, width))?.index_select(&at, 0)?;
        x = self.body.output(&x)?;
        if let Some((pooler, squash)) = &self.pooler {
            x = squash(&pooler.forward(&x)?)?;
        }
        self.head.forward(&x)
    }
}

/// The head's logits of texts, one vector a text. They are read as they are, with the model's own marks around them;
/// those of more than `limit` tokens are cut.
pub fn scores(mut of: Pretrained, limit: usize, device: &Device) -> Result<TextVectors> {
    let limit = limit.min(of.spec.context);
    of.tokenizer.cut_at(limit)?;
    let (model, _) = of.load(device, |parameters| Classifier::load(parameters, limit, None))?;
    let settings = format!("classification head, at most {limit} tokens");
    let about = (0, Pooling::Last, model.outputs);
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
    let (classes, order): (Vec<String>, Vec<usize>) = match classes {
        [] if unnamed => {
            bail!("the head has {outputs} outputs without names; name them in order with --classes")
        }
        [] => (labels, (0..outputs).collect()),
        _ if classes.len() != outputs => bail!(
            "the head has {outputs} outputs{}, and there are {} classes ({})",
            if unnamed { String::new() } else { format!(" ({})", labels.join(", ")) },
            classes.len(),
            classes.join(", ")
        ),
        _ if unnamed => (classes.to_vec(), (0..outputs).collect()),
        _ => match classes.iter().map(own).collect() {
            Some(order) => (classes.to_vec(), order),
            None => bail!(
                "the head's classes are {}, those of the data {}; use the same names",
                labels.join(", "),
                classes.join(", ")
            ),
        },
    };
    let read = move |row: &[f32]| order.iter().map(|&output| row[output]).collect();
    ScoreTeacher::open(Box::new(scores), (folder, false), classes, str::to_owned, read)
}
