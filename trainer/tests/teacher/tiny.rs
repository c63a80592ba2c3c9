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
