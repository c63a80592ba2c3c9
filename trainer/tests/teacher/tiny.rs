//! Tiny random checkpoints: a two-layer llama as GGUF and a two-layer BERT as safetensors.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

pub const WIDTH: usize = 16;
pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
pub const FEED: usize = 24;
pub const BLOCKS: usize = 2;
pub const CONTEXT: usize = 64;
pub const EPSILON: f64 = 1e-5;
pub const BASE: f64 = 10_000.0;

/// A token that only a prompt may contain.
pub const SPECIAL: &str = "<|start|>";

/// Weights by GGUF name, row-major, with their shape.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Numbers in (-1, 1) from a fixed stream.
pub fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 40) as f32 / (1u32 << 24) as f32).mul_add(2.0, -1.0)
    }
}

/// One token a byte, then three merged ones and a special one.
pub fn vocabulary() -> Vec<String> {
    let mut alphabet: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
    alphabet.sort();
    alphabet.extend(["of", "off", "on", SPECIAL].map(String::from));
    alphabet
}

/// The weights of the tiny llama.
pub fn llama_weights() -> Weights {
    let mut next = noise(7);
    let mut weights = Weights::new();
    let mut put = |name: String, shape: &[usize], centre: f32, spread: f32| {
        let values = (0..shape.iter().product()).map(|_| spread.mul_add(next(), centre)).collect();
        weights.insert(name, (shape.to_vec(), values));
    };
    let kv = WIDTH / HEADS * KV_HEADS;
    put("token_embd.weight".into(), &[vocabulary().len(), WIDTH], 0.0, 1.0);
    put("output_norm.weight".into(), &[WIDTH], 1.0, 0.2);
    for i in 0..BLOCKS {
        let name = |part: &str| format!("blk.{i}.{part}.weight");
        put(name("attn_norm"), &[WIDTH], 1.0, 0.2);
        put(name("ffn_norm"), &[WIDTH], 1.0, 0.2);
        put(name("attn_q"), &[WIDTH, WIDTH], 0.0, 0.6);
        put(name("attn_k"), &[kv, WIDTH], 0.0, 0.6);
        put(name("attn_v"), &[kv, WIDTH], 0.0, 0.6);
        put(name("attn_output"), &[WIDTH, WIDTH], 0.0, 0.6);
        put(name("ffn_gate"), &[FEED, WIDTH], 0.0, 0.6);
        put(name("ffn_up"), &[FEED, WIDTH], 0.0, 0.6);
        put(name("ffn_down"), &[WIDTH, FEED], 0.0, 0.6);
    }
    weights
}

/// Writes the tiny llama, with `architecture` in its header.
pub fn write_llama(path: &Path, architecture: &str, weights: &Weights) {
    let strings = |list: Vec<String>| Value::Array(list.into_iter().map(Value::String).collect());
    let key = |name: &str| format!("{architecture}.{name}");
    // 1 is a plain token, 3 a control token.
    let kinds =
        vocabulary().iter().map(|token| Value::I32(if token == SPECIAL { 3 } else { 1 })).collect();
    let metadata: Vec<(String, Value)> = vec![
        ("general.architecture".into(), Value::String(architecture.into())),
        ("general.name".into(), Value::String("tiny".into())),
        (key("block_count"), Value::U32(BLOCKS as u32)),
        (key("embedding_length"), Value::U32(WIDTH as u32)),
        (key("feed_forward_length"), Value::U32(FEED as u32)),
        (key("context_length"), Value::U32(CONTEXT as u32)),
        (key("attention.head_count"), Value::U32(HEADS as u32)),
        (key("attention.head_count_kv"), Value::U32(KV_HEADS as u32)),
        (key("attention.layer_norm_rms_epsilon"), Value::F32(EPSILON as f32)),
        (key("rope.freq_base"), Value::F32(BASE as f32)),
        ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
        ("tokenizer.ggml.pre".into(), Value::String("smollm".into())),
        ("tokenizer.ggml.tokens".into(), strings(vocabulary())),
        ("tokenizer.ggml.token_type".into(), Value::Array(kinds)),
        (
            "tokenizer.ggml.merges".into(),
            strings(["o f", "of f", "o n"].map(String::from).to_vec()),
        ),
    ];
    let tensors: Vec<(&str, QTensor)> = weights
        .iter()
        .map(|(name, (shape, values))| {
            let tensor = Tensor::from_vec(values.clone(), shape.as_slice(), &Device::Cpu).unwrap();
            (name.as_str(), QTensor::quantize(&tensor, GgmlDType::F32).unwrap())
        })
        .collect();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, v)| (*k, v)).collect();
    gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// Writes a tiny BERT folder with a word tokenizer of a few words.
pub fn write_bert(folder: &Path) {
    const BERT_WIDTH: usize = 12;
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "turn", "the", "light", "on", "off", "please"];
    let config = serde_json::json!({
        "vocab_size": words.len(), "hidden_size": BERT_WIDTH, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 20, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "max_position_embeddings": 32,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0, "model_type": "bert",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let vocabulary: HashMap<&str, usize> = words.iter().enumerate().map(|(i, w)| (*w, i)).collect();
    let special = |id: usize| {
        serde_json::json!({"id": id, "content": words[id], "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true})
    };
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0), special(1), special(2), special(3)],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();

    let mut next = noise(11);
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    let mut put = |name: &str, shape: &[usize], centre: f32| {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| 0.5f32.mul_add(next(), centre)).collect();
        tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    put("embeddings.word_embeddings.weight", &[words.len(), BERT_WIDTH], 0.0);
    put("embeddings.position_embeddings.weight", &[32, BERT_WIDTH], 0.0);
    put("embeddings.token_type_embeddings.weight", &[2, BERT_WIDTH], 0.0);
    let mut norms = vec!["embeddings".to_owned()];
    for i in 0..2 {
        let layer = |part: &str| format!("encoder.layer.{i}.{part}");
        for part in [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
        ] {
            put(&format!("{}.weight", layer(part)), &[BERT_WIDTH, BERT_WIDTH], 0.0);
            put(&format!("{}.bias", layer(part)), &[BERT_WIDTH], 0.0);
        }
        put(&layer("intermediate.dense.weight"), &[20, BERT_WIDTH], 0.0);
        put(&layer("intermediate.dense.bias"), &[20], 0.0);
        put(&layer("output.dense.weight"), &[BERT_WIDTH, 20], 0.0);
        put(&layer("output.dense.bias"), &[BERT_WIDTH], 0.0);
        norms.extend([layer("attention.output"), layer("output")]);
    }
    for norm in norms {
        put(&format!("{norm}.LayerNorm.weight"), &[BERT_WIDTH], 1.0);
        put(&format!("{norm}.LayerNorm.bias"), &[BERT_WIDTH], 0.0);
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
}

type Rows = Vec<Vec<f64>>;

/// Hidden states of one sequence: `[layer][token][WIDTH]`, layer 0 the embedding, the last one normed.
pub fn states(weights: &Weights, ids: &[u32]) -> Vec<Rows> {
    let mut x: Rows =
        ids.iter().map(|&id| row(weights, "token_embd.weight", id as usize)).collect();
    let mut out = vec![x.clone()];
    for block in 0..BLOCKS {
        let name = |part: &str| format!("blk.{block}.{part}.weight");
        let normed: Rows =
            x.iter().map(|v| norm(v, &row(weights, &name("attn_norm"), 0))).collect();
        let project = |part: &str, v: &[f64]| multiply(weights, &name(part), v);
        let queries: Rows =
            normed.iter().enumerate().map(|(t, v)| rotate(&project("attn_q", v), t)).collect();
        let keys: Rows =
            normed.iter().enumerate().map(|(t, v)| rotate(&project("attn_k", v), t)).collect();
        let values: Rows = normed.iter().map(|v| project("attn_v", v)).collect();
        for t in 0..ids.len() {
            let mixed = attend(&queries[t], &keys[..=t], &values[..=t]);
            let step = project("attn_output", &mixed);
            x[t].iter_mut().zip(step).for_each(|(x, s)| *x += s);
        }
        for v in &mut x {
            let normed = norm(v, &row(weights, &name("ffn_norm"), 0));
            let (gate, up) = (project("ffn_gate", &normed), project("ffn_up", &normed));
            let hidden: Vec<f64> =
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            let step = project("ffn_down", &hidden);
            v.iter_mut().zip(step).for_each(|(x, s)| *x += s);
        }
        out.push(x.clone());
    }
    let last = out.last_mut().unwrap();
    last.iter_mut().for_each(|v| *v = norm(v, &row(weights, "output_norm.weight", 0)));
    out
}

/// Log-probabilities of the token after the sequence; the output matrix is the embedding's.
pub fn next_token(weights: &Weights, ids: &[u32]) -> Vec<f64> {
    let states = states(weights, ids);
    let logits = multiply(weights, "token_embd.weight", states.last().unwrap().last().unwrap());
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = logits.iter().map(|v| (v - top).exp()).sum::<f64>().ln() + top;
    logits.into_iter().map(|v| v - sum).collect()
}

fn attend(query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
    let size = WIDTH / HEADS;
    let mut out = Vec::with_capacity(WIDTH);
    for head in 0..HEADS {
        let shared = head / (HEADS / KV_HEADS) * size;
        let q = &query[head * size..(head + 1) * size];
        let score = |k: &Vec<f64>| dot(q, &k[shared..shared + size]) / (size as f64).sqrt();
        let weights: Vec<f64> = keys.iter().map(|k| score(k).exp()).collect();
        let total: f64 = weights.iter().sum();
        for i in 0..size {
            out.push(weights.iter().zip(values).map(|(w, v)| w / total * v[shared + i]).sum());
        }
    }
    out
}

/// Rotates neighbouring pairs of every head by the position.
fn rotate(v: &[f64], position: usize) -> Vec<f64> {
    let size = WIDTH / HEADS;
    let mut out = v.to_vec();
    for pair in 0..v.len() / 2 {
        let i = (2 * pair) % size;
        let (sin, cos) = (position as f64 * BASE.powf(-(i as f64) / size as f64)).sin_cos();
        let (a, b) = (v[2 * pair], v[2 * pair + 1]);
        (out[2 * pair], out[2 * pair + 1]) = (a * cos - b * sin, a * sin + b * cos);
    }
    out
}

fn norm(v: &[f64], gain: &[f64]) -> Vec<f64> {
    let scale = 1.0 / (dot(v, v) / v.len() as f64 + EPSILON).sqrt();
    v.iter().zip(gain).map(|(v, g)| v * scale * g).collect()
}

fn multiply(weights: &Weights, name: &str, v: &[f64]) -> Vec<f64> {
    (0..weights[name].0[0]).map(|i| dot(&row(weights, name, i), v)).collect()
}

fn row(weights: &Weights, name: &str, i: usize) -> Vec<f64> {
    let (shape, values) = &weights[name];
    let columns = shape[shape.len() - 1];
    values[i * columns..(i + 1) * columns].iter().map(|&v| f64::from(v)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
