//! Sentence-transformers encoder (`MiniLM` and its kin) from a local folder: mean-pooled, length-normalised embeddings.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::Tokenizer;

use super::batch::by_length;
use super::{Cell, Extractor, Identity, Pooled, Pooling, TeacherError, digest};

/// Padded tokens a batch.
const TOKENS_A_BATCH: usize = 1024;

/// A BERT encoder with its tokenizer.
pub struct SentenceEncoder {
    model: BertModel,
    tokenizer: Tokenizer,
    device: Device,
    width: usize,
    limit: usize,
    cells: [Cell; 1],
    name: String,
    digest: String,
}

impl SentenceEncoder {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` of a folder. Texts longer than `limit` tokens
    /// (the special ones included) are cut; the model's own limit applies too.
    ///
    /// # Errors
    /// When a file is missing, is no BERT checkpoint, or a tensor has the wrong shape.
    pub fn load(folder: &Path, limit: usize) -> Result<Self, TeacherError> {
        let device = Device::Cpu;
        let config = folder.join("config.json");
        let text = std::fs::read_to_string(&config).map_err(TeacherError::io(&config))?;
        let config: Config = serde_json::from_str(&text)
            .map_err(|e| TeacherError::model(&config, format!("not a BERT configuration ({e})")))?;
        if config.model_type.as_deref().is_some_and(|kind| kind != "bert") {
            let what = format!(
                "model type {:?} is not supported; use a `bert` checkpoint",
                config.model_type
            );
            return Err(TeacherError::model(folder, what));
        }
        let weights = folder.join("model.safetensors");
        // Buffered, not mapped: mapping is only safe while nobody changes the file.
        let bytes = std::fs::read(&weights).map_err(TeacherError::io(&weights))?;
        let model = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &device)
            .and_then(|tensors| BertModel::load(tensors, &config))
            .map_err(|e| {
                TeacherError::model(&weights, format!("does not fit its config.json ({e})"))
            })?;
        let path = folder.join("tokenizer.json");
        let bad = |e: tokenizers::Error| {
            TeacherError::model(&path, format!("not a usable tokenizer ({e})"))
        };
        let mut tokenizer = Tokenizer::from_file(&path).map_err(bad)?;
        tokenizer.with_truncation(None).map_err(bad)?.with_padding(None);
        let path =
            folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Self {
            model,
            tokenizer,
            device,
            width: config.hidden_size,
            limit: limit.clamp(2, config.max_position_embeddings.max(2)),
            cells: [Cell { layer: config.num_hidden_layers, pooling: Pooling::Mean }],
            name: path,
            digest: digest::file(&weights)?,
        })
    }

    fn encode(&self, text: &str) -> Result<(Vec<u32>, bool), TeacherError> {
        let encoding = self
            .tokenizer
            .encode(text, true)
            .map_err(|e| TeacherError::Tokenizer(e.to_string()))?;
        let mut ids = encoding.get_ids().to_vec();
        let cut = ids.len() > self.limit;
        if cut {
            // The closing separator stays: the model never saw a sentence without one.
            ids.drain(self.limit - 1..ids.len() - 1);
        }
        Ok((ids, cut))
    }

    fn embed(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let length = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let shape = (rows.len(), length);
        let pad = |f: fn(u32) -> u32| {
            let row = move |r: &&[u32]| {
                r.iter()
                    .map(|&id| f(id))
                    .chain(std::iter::repeat(0))
                    .take(length)
                    .collect::<Vec<_>>()
            };
            rows.iter().flat_map(row).collect::<Vec<u32>>()
        };
        let ids = Tensor::from_vec(pad(|id| id), shape, &self.device)?;
        let mask = Tensor::from_vec(pad(|_| 1), shape, &self.device)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let weight = mask.to_dtype(DType::F32)?;
        let sum = states.broadcast_mul(&weight.unsqueeze(2)?)?.sum(1)?;
        let mean = sum.broadcast_div(&weight.sum_keepdim(1)?)?;
        let norm = mean.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
        Ok(mean.broadcast_div(&norm)?.to_vec2()?)
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
        self.width
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        let rows = texts.iter().map(|text| self.encode(text)).collect::<Result<Vec<_>, _>>()?;
        let lengths: Vec<usize> = rows.iter().map(|(ids, _)| ids.len()).collect();
        let mut out: Vec<Pooled> = rows
            .iter()
            .map(|(ids, cut)| Pooled { values: Vec::new(), tokens: ids.len(), cut: *cut })
            .collect();
        for group in by_length(&lengths, TOKENS_A_BATCH) {
            let ids: Vec<&[u32]> = group.iter().map(|&i| rows[i].0.as_slice()).collect();
            for (&i, vector) in group.iter().zip(self.embed(&ids)?) {
                out[i].values = vector;
            }
        }
        Ok(out)
    }
}
