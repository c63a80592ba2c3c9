//! The tokenizer that travels in a GGUF file's header, written as the `tokenizer.json` that it was made from.

use crate::teacher::llm::weights::pre_tokenizers::{self, PreTokenizer};
use anyhow::{Context as _, Result, bail};
use candle_core::quantized::gguf_file::Value;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use tokenizers::normalizers::Precompiled;

/// Kinds of tokens, as `tokenizer.ggml.token_type` numbers them.
const NORMAL: u32 = 1;
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;

/// The space of sentence-piece vocabularies.
const SPACE: &str = "\u{2581}";

pub struct GgufTokenizer<'a> {
    header: &'a HashMap<String, Value>,
    tokens: Vec<&'a str>,
    kinds: Vec<u32>,
}

impl<'a> GgufTokenizer<'a> {
    pub fn new(header: &'a HashMap<String, Value>) -> Result<Self> {
        let mut found = Self { header, tokens: Vec::new(), kinds: Vec::new() };
        found.tokens = found.texts("tokens")?;
        found.kinds = match found.list("token_type") {
            Some(kinds) => kinds.iter().map(whole).collect::<Option<_>>().context("token_type")?,
            None => vec![NORMAL; found.tokens.len()],
        };
        if found.kinds.len() != found.tokens.len() {
            bail!("tokens and token_type differ in length");
        }
        Ok(found)
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.header.get(&format!("tokenizer.ggml.{key}"))
    }

    fn list(&self, key: &str) -> Option<&'a Vec<Value>> {
        self.value(key)?.to_vec().ok()
    }

    fn texts(&self, key: &str) -> Result<Vec<&'a str>> {
        let list = self.list(key).with_context(|| format!("`tokenizer.ggml.{key}` is missing"))?;
        let text = |value: &'a Value| Some(value.to_string().ok()?.as_str());
        list.iter().map(text).collect::<Option<_>>().with_context(|| format!("`{key}` is no text"))
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        Some(self.value(key)?.to_string().ok()?.as_str())
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.value(key).and_then(|v| v.to_bool().ok()).unwrap_or(default)
    }

    fn id(&self, key: &str) -> Option<u32> {
        whole(self.value(&format!("{key}_token_id"))?)
            .filter(|&id| (id as usize) < self.tokens.len())
    }

    /// The JSON of the whole tokenizer.
    pub fn json(&self) -> Result<Json> {
        let (model, pre) = (self.text("model").unwrap_or_default(), self.text("pre"));
        match model {
            "gpt2" => match (pre, pre.and_then(pre_tokenizers::find)) {
                (_, Some(known)) => self.byte_level(known),
                (None, _) => bail!(
                    "the file does not name how it splits texts (`tokenizer.ggml.pre`), so its tokens would be guessed; convert the model again with a newer llama.cpp"
                ),
                (Some(name), None) => bail!(
                    "pre-tokenizer `{name}` is not supported; these are: {}",
                    pre_tokenizers::names().collect::<Vec<_>>().join(", ")
                ),
            },
            "gemma4" => self.sentence_piece(self.merges()?, false),
            "llama" => {
                let space = self.flag("add_space_prefix", true);
                self.sentence_piece(self.merges_by_score()?, space)
            }
            "bert" => self.word_piece(),
            "t5" => self.unigram(),
            other => {
                bail!("tokenizer `{other}` is not supported; gpt2, llama, gemma4, bert and t5 are")
            }
        }
    }

    fn assemble(&self, [normalizer, splits, model]: [Json; 3], marks: (bool, bool)) -> Json {
        let added = self.tokens.iter().zip(&self.kinds).enumerate();
        let added =
            added.filter(|(_, (_, kind))| matches!(**kind, UNKNOWN | CONTROL | USER_DEFINED));
        let added: Vec<Json> = added
            .map(|(id, (token, &kind))| {
                json!({"id": id, "content": token, "special": kind != USER_DEFINED,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
            })
            .collect();
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": splits, "decoder": null,
            "post_processor": self.marks(marks), "model": model,
        })
    }

    /// What stands around every text: where the file does not say, what the kind of tokenizer usually has.
    fn marks(&self, (opens, closes): (bool, bool)) -> Json {
        let opening = self.id("bos").or_else(|| self.id("cls"));
        let opening = opening.filter(|_| self.flag("add_bos_token", opens));
        let ending = self.id("eos").filter(|_| self.flag("add_eos_token", closes));
        let separator = self.id("seperator").filter(|_| self.flag("add_sep_token", closes));
        let (closing, text) =
            (ending.or(separator), json!({"Sequence": {"id": "A", "type_id": 0}}));
        let (mut single, mut special) = (vec![text], serde_json::Map::new());
        for (id, at) in [(closing, 1), (opening, 0)] {
            let Some((id, token)) = id.map(|id| (id, self.tokens[id as usize])) else { continue };
            single.insert(at, json!({"SpecialToken": {"id": token, "type_id": 0}}));
            special.insert(token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}));
        }
        json!({"type": "TemplateProcessing", "single": single, "special_tokens": special,
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]})
    }

    fn vocabulary(&self) -> Json {
        let ids = self.tokens.iter().enumerate();
        Json::Object(ids.map(|(id, token)| ((*token).to_owned(), id.into())).collect())
    }

    fn merges(&self) -> Result<Vec<[&'a str; 2]>> {
        // A merge's first token may be a space.
        let pair = |merge: &'a str| {
            let first = merge.chars().next()?.len_utf8();
            let at = first + merge[first..].find(' ')?;
            Some([&merge[..at], &merge[at + 1..]])
        };
        let merges = self.texts("merges")?;
        merges.into_iter().map(pair).collect::<Option<_>>().context("a merge is no pair of tokens")
    }

    /// The merges of a sentence-piece vocabulary: every pair of tokens that makes a token, the best score first.
    fn merges_by_score(&self) -> Result<Vec<[&'a str; 2]>> {
        let scores = self.scores()?;
        let ids: HashMap<&str, usize> =
            self.tokens.iter().enumerate().map(|(i, t)| (*t, i)).collect();
        let mut merges = Vec::new();
        for (id, (token, kind)) in self.tokens.iter().zip(&self.kinds).enumerate() {
            if *kind != NORMAL {
                continue;
            }
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if let (Some(&a), Some(&b)) = (ids.get(left), ids.get(right)) {
                    merges.push((scores[id], a, b, [left, right]));
                }
            }
        }
        merges.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        Ok(merges.into_iter().map(|(.., pair)| pair).collect())
    }

    fn scores(&self) -> Result<Vec<f32>> {
        let scores = self.list("scores").context("`tokenizer.ggml.scores` is missing")?;
        let scores: Vec<f32> = scores.iter().filter_map(|v| v.to_f32().ok()).collect();
        if scores.len() != self.tokens.len() {
            bail!("tokens and scores differ in length");
        }
        Ok(scores)
    }

    fn byte_level(&self, known: &PreTokenizer) -> Result<Json> {
        let split = |regex: &&str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        let mut steps: Vec<Json> = known.expressions.iter().map(split).collect();
        steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}));
        let model = json!({"type": "BPE", "ignore_merges": known.ignore_merges,
            "vocab": self.vocabulary(), "merges": self.merges()?});
        let normalizer = if known.composes { json!({"type": "NFC"}) } else { Json::Null };
        let splits = json!({"type": "Sequence", "pretokenizers": steps});
        Ok(self.assemble([normalizer, splits, model], (known.opens, false)))
    }

    fn sentence_piece(&self, merges: Vec<[&str; 2]>, space: bool) -> Result<Json> {
        let mut steps =
            vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})];
        if space {
            steps.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
        }
        let unknown = self.tokens.get(self.id("unknown").unwrap_or(0) as usize);
        let model = json!({"type": "BPE", "unk_token": unknown,
            "fuse_unk": true, "byte_fallback": true, "vocab": self.vocabulary(), "merges": merges});
        let normalizer = json!({"type": "Sequence", "normalizers": steps});
        Ok(self.assemble([normalizer, Json::Null, model], (true, false)))
    }

    fn word_piece(&self) -> Result<Json> {
        // Files mark where a word begins; the model's own vocabulary marked where it goes on.
        let own = |(id, token): (usize, &&str)| {
            let begins = token.strip_prefix(SPACE).map(ToOwned::to_owned);
            let marked = self.kinds[id] != NORMAL || token.starts_with('[') && token.ends_with(']');
            let goes_on = || if marked { (*token).to_owned() } else { format!("##{token}") };
            (begins.unwrap_or_else(goes_on), Json::from(id))
        };
        let vocabulary: serde_json::Map<String, Json> =
            self.tokens.iter().enumerate().map(own).collect();
        let unknown = self.id("unknown").map_or("[UNK]", |id| self.tokens[id as usize]);
        let model = json!({"type": "WordPiece", "unk_token": unknown, "vocab": vocabulary,
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100});
        let lower = self.flag("normalizer.lowercase", true);
        let normalizer = json!({"type": "BertNormalizer", "clean_text": true, "lowercase": lower,
            "handle_chinese_chars": true, "strip_accents": null});
        Ok(self.assemble([normalizer, json!({"type": "BertPreTokenizer"}), model], (true, true)))
    }

    fn unigram(&self) -> Result<Json> {
        let mut steps = Vec::new();
        if let Some(map) = self.list("precompiled_charsmap") {
            let bytes = map.iter().map(|v| whole(v).map(|b| b as u8)).collect::<Option<Vec<u8>>>();
            let map = Precompiled::from(&bytes.context("`precompiled_charsmap` holds no bytes")?);
            steps.push(serde_json::to_value(
                map.map_err(|e| anyhow::anyhow!("precompiled_charsmap: {e}"))?,
            )?);
        }
        if self.flag("remove_extra_whitespaces", false) {
            steps.push(json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}));
        }
        let scores = self.scores()?;
        let vocabulary: Vec<Json> =
            self.tokens.iter().zip(scores).map(|(t, s)| json!([t, s])).collect();
        let model = json!({"type": "Unigram", "unk_id": self.id("unknown"), "vocab": vocabulary, "byte_fallback": false});
        let scheme = if self.flag("add_space_prefix", true) { "always" } else { "never" };
        let splits = json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": true});
        let normalizer = json!({"type": "Sequence", "normalizers": steps});
        Ok(self.assemble([normalizer, splits, model], (false, true)))
    }
}

/// A number of any width, not negative.
fn whole(value: &Value) -> Option<u32> {
    let signed = |v: i32| u64::try_from(v).ok();
    let number = value.to_u64().ok().or_else(|| signed(value.to_i32().ok()?))?;
    u32::try_from(number).ok()
}
