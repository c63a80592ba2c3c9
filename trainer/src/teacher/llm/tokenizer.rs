//! A model's tokenizer: pieces of a prompt taken literally, or whole texts with the model's own marks around them.

use anyhow::{Result, anyhow, bail};
use qdllm_host::files;
use serde_json::Value;
use std::path::Path;
use tokenizers::{Tokenizer, TruncationParams};

/// A tokenizer in the two ways that texts are read.
pub struct TextTokenizer {
    pub(super) pieces: Tokenizer,
    whole: Tokenizer,
    /// The same with a limit, and the limit.
    short: Option<(Tokenizer, usize)>,
    pub opening: Vec<u32>,
    /// True when the tokenizer thinks a space before every text, which for pieces must not happen.
    pub leading_space: bool,
}

impl TextTokenizer {
    pub fn folder(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            let what = match folder.join("tokenizer.model").exists() {
                true => {
                    "has tokenizer.model and no tokenizer.json; make one with `AutoTokenizer.from_pretrained(...).save_pretrained(...)`"
                }
                false => "has no tokenizer.json; fetch that file of the model too",
            };
            bail!("{}: {what}", folder.display());
        }
        let text = files::read_text(&path)?;
        Self::parse(&text).map_err(|e| anyhow!("{}: is no usable tokenizer ({e})", path.display()))
    }

    /// From the text of a `tokenizer.json`.
    pub fn parse(text: &str) -> tokenizers::Result<Self> {
        let mut whole: Tokenizer = text.parse()?;
        whole.with_truncation(None)?.with_padding(None);
        let mut json: Value = serde_json::from_str(text)?;
        let leading_space = ["normalizer", "pre_tokenizer"]
            .map(|step| without_prefix(&mut json[step]))
            .contains(&true);
        let mut pieces = if leading_space { json.to_string().parse()? } else { whole.clone() };
        pieces.with_truncation(None)?.with_padding(None);
        // What stands in front of a text: by comparing with and without.
        let ids = |marks| whole.encode("a", marks).map(|e| e.get_ids().to_vec());
        let (with, without) = (ids(true)?, ids(false)?);
        let at = (0..with.len()).find(|&i| with[i..].starts_with(&without)).unwrap_or(0);
        let opening = if without.is_empty() { Vec::new() } else { with[..at].to_vec() };
        Ok(Self { pieces, whole, short: None, opening, leading_space })
    }

    /// Token ids of a piece of text, nothing added around it.
    pub fn piece(&self, text: &str) -> Result<Vec<u32>> {
        ids(&self.pieces, text, false)
    }

    /// Lets [`Self::whole`] cut texts to `limit` tokens, marks included.
    pub fn cut_at(&mut self, limit: usize) -> Result<()> {
        let truncation = TruncationParams { max_length: limit, ..TruncationParams::default() };
        let mut short = self.whole.clone();
        let limited = short.with_truncation(Some(truncation));
        limited.map_err(|e| anyhow!("tokenizer: a limit of {limit} tokens: {e}"))?;
        self.short = Some((short, limit));
        Ok(())
    }

    /// Token ids of a whole text with the model's marks around it, and whether it was cut.
    pub fn whole(&self, text: &str) -> Result<(Vec<u32>, bool)> {
        let mut found = ids(&self.whole, text, true)?;
        // Again rather than cut here: the marks behind a text are to stay. Tokenizers do not always tell that they cut.
        let long = self.short.as_ref().filter(|(_, limit)| found.len() > *limit);
        if let Some((short, _)) = long {
            found = ids(short, text, true)?;
        }
        if found.is_empty() {
            found.push(0);
        }
        Ok((found, long.is_some()))
    }

    /// Refuses a model that has fewer embeddings than there are tokens which texts are made of. Marks may lie beyond:
    /// Gemma's tokenizer knows one for images that its text models do not.
    pub fn check_vocabulary(&self, model: &Path, rows: usize) -> Result<()> {
        let ids = self.whole.get_vocab(false).into_values().max().map_or(0, |id| id as usize + 1);
        if ids > rows {
            bail!(
                "{}: its tokenizer knows {ids} tokens and the model {rows}; take both from the same model",
                model.display()
            );
        }
        Ok(())
    }
}

fn ids(tokenizer: &Tokenizer, text: &str, marks: bool) -> Result<Vec<u32>> {
    let encoding = tokenizer.encode(text, marks);
    encoding.map(|e| e.get_ids().to_vec()).map_err(|e| anyhow!("tokenizer: {e}"))
}

/// Takes out of a step whatever puts a space before a text; true when there was something.
fn without_prefix(step: &mut Value) -> bool {
    match step["type"].as_str().unwrap_or_default() {
        "Prepend" => {
            *step = Value::Null;
            true
        }
        "Sequence" => {
            let mut changed = false;
            for list in ["normalizers", "pretokenizers"] {
                if let Some(steps) = step.get_mut(list).and_then(Value::as_array_mut) {
                    for step in steps.iter_mut() {
                        changed |= without_prefix(step);
                    }
                    steps.retain(|step| !step.is_null());
                }
            }
            changed
        }
        "Metaspace" => {
            let adds = match step["prepend_scheme"].as_str() {
                Some(scheme) => scheme != "never",
                None => step["add_prefix_space"].as_bool().unwrap_or(true),
            };
            if adds {
                step["prepend_scheme"] = "never".into();
                if let Some(step) = step.as_object_mut() {
                    step.remove("add_prefix_space");
                }
            }
            adds
        }
        "ByteLevel" => {
            let adds = step["add_prefix_space"].as_bool().unwrap_or(false);
            if adds {
                step["add_prefix_space"] = false.into();
            }
            adds
        }
        _ => false,
    }
}
