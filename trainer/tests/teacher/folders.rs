//! Folders of safetensors that lack something: each refusal names the file, the tensor and the remedy.

use std::fs;
use std::path::Path;

use candle_core::Device;
use qdllm_trainer::teacher::llm::pretrained::Pretrained;
use qdllm_trainer::teacher::llm::{Reading, causal, extractor, head};

use super::families::{copy, tokenizer};

fn reading() -> Reading {
    Reading { prompt: "w4 {text} w5".into(), limit: 32, layers: Vec::new(), adapter: None }
}

fn refusal(folder: &Path) -> String {
    extractor(folder, &reading()).map(|_| ()).expect_err("a bad folder was accepted").to_string()
}

/// A case with a tokenizer beside it.
fn whole(name: &str) -> tempfile::TempDir {
    let folder = copy(name);
    tokenizer(folder.path());
    folder
}

#[test]
fn missing_files_are_named() {
    let folder = whole("llama3");
    extractor(folder.path(), &reading()).unwrap();
    for (file, says) in [
        ("model-00002-of-00002.safetensors", "model-00002-of-00002.safetensors"),
        ("model.safetensors.index.json", "model.safetensors.index.json"),
        ("tokenizer.json", "tokenizer.json"),
        ("config.json", "config.json"),
    ] {
        let folder = whole("llama3");
        fs::remove_file(folder.path().join(file)).unwrap();
        let message = refusal(folder.path());
        assert!(message.contains(says), "{file}: {message}");
    }
    let folder = whole("qwen2");
    fs::rename(folder.path().join("model.safetensors"), folder.path().join("pytorch_model.bin"))
        .unwrap();
    assert!(refusal(folder.path()).contains("safe_serialization"));
    let folder = whole("qwen2");
    fs::rename(folder.path().join("tokenizer.json"), folder.path().join("tokenizer.model"))
        .unwrap();
    assert!(refusal(folder.path()).contains("AutoTokenizer"));
}

#[test]
fn damaged_shards_are_named() {
    let folder = whole("llama3");
    let shard = folder.path().join("model-00002-of-00002.safetensors");
    let bytes = fs::read(&shard).unwrap();
    for cut in [4, 100, bytes.len() - 7] {
        fs::write(&shard, &bytes[..cut]).unwrap();
        let message = refusal(folder.path());
        assert!(message.contains("00002-of") && message.contains("fetch"), "{cut}: {message}");
    }
    fs::copy(folder.path().join("model-00001-of-00002.safetensors"), &shard).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("model.layers.1.") && message.contains("00002-of"), "{message}");
    // A shard outside the folder is not followed.
    let index = folder.path().join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace("model-00002", "../model-00002")).unwrap();
    assert!(refusal(folder.path()).contains("../model-00002"));
}

#[test]
fn tensors_that_are_missing_or_misshapen_are_named() {
    let folder = whole("opt");
    let path = folder.path().join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let name = "model.decoder.layers.1.fc1.weight";
    let mut less = tensors.clone();
    less.remove(name);
    candle_core::safetensors::save(&less, &path).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains(name) && message.contains("model.safetensors"), "{message}");
    let mut other = tensors;
    other.insert(name.into(), other["model.decoder.layers.1.fc2.weight"].clone());
    candle_core::safetensors::save(&other, &path).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains(name) && message.contains("[32, 40]"), "{message}");
}

#[test]
fn checkpoints_of_the_bare_model_need_no_prefix() {
    let folder = whole("bloom");
    let path = folder.path().join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let with = extractor(folder.path(), &reading()).unwrap().extract(&["w9 w10"]).unwrap();
    let bare = tensors
        .into_iter()
        .map(|(name, t)| (name.strip_prefix("transformer.").unwrap_or(&name).to_owned(), t))
        .collect::<std::collections::HashMap<_, _>>();
    candle_core::safetensors::save(&bare, &path).unwrap();
    let without = extractor(folder.path(), &reading()).unwrap().extract(&["w9 w10"]).unwrap();
    assert_eq!(with, without);
}

#[test]
fn unknown_architectures_and_settings_are_refused_with_what_there_is() {
    let folder = whole("llama3");
    let path = folder.path().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, says) in [
        ("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "gemma3_text"),
        ("\"rope_type\": \"llama3\"", "\"rope_type\": \"yarn\"", "`yarn`"),
        ("\"hidden_act\": \"silu\"", "\"hidden_act\": \"swoosh\"", "`swoosh`"),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "3 key heads"),
        ("\"hidden_size\": 32", "\"hidden_size\": \"32\"", "`hidden_size`"),
        ("\"hidden_size\": 32", "\"hidden_sizes\": 32", "`hidden_size` is missing"),
        ("{", "[", "config.json"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let message = refusal(folder.path());
        assert!(message.contains(says) && message.contains("config.json"), "{to}: {message}");
    }
}

#[test]
fn older_wordings_of_a_configuration_mean_the_same() {
    for name in ["llama3", "gemma3"] {
        let folder = whole(name);
        let path = folder.path().join("config.json");
        let new = Pretrained::open(folder.path(), None).unwrap().spec;
        let mut json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let object = json.as_object_mut().unwrap();
        let mut rope = object.remove("rope_parameters").unwrap();
        if name == "gemma3" {
            let near = rope["sliding_attention"]["rope_theta"].clone();
            object.insert("rope_local_base_freq".into(), near);
            rope = rope["full_attention"].clone();
        }
        let theta = rope.as_object_mut().unwrap().remove("rope_theta").unwrap();
        object.insert("rope_theta".into(), theta);
        object.insert("rope_scaling".into(), rope);
        if name == "gemma3" {
            object.remove("layer_types");
            object.insert("sliding_window_pattern".into(), 2.into());
        }
        fs::write(&path, json.to_string()).unwrap();
        assert_eq!(Pretrained::open(folder.path(), None).unwrap().spec, new, "{name}");
    }
}

#[test]
fn a_model_that_answers_nan_names_the_text() {
    use qdllm_trainer::teacher::features::Features;
    let folder = whole("llama");
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let norm = (tensors["model.norm.weight"].clone() * f64::NAN).unwrap();
    tensors.insert("model.norm.weight".into(), norm);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let model = head(folder.path(), &reading()).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut features = Features::open(Box::new(model), cache.path()).unwrap();
    let message = features.prepare(&["w7 w8"], &mut |_, _| {}).unwrap_err().to_string();
    assert!(message.contains("`w7 w8`"), "{message}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let folder = whole("llama");
    let path = folder.path().join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"w63\":63", "\"w63\":630")).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("631") && message.contains("64"), "{message}");
}

#[test]
fn a_prompt_is_read_as_the_model_reads_whole_texts() {
    use qdllm_trainer::teacher::llm::causal_lm::Prompt;
    use qdllm_trainer::teacher::llm::tokenizer::TextTokenizer;
    let folder = tempfile::tempdir().unwrap();
    // Both ways in which such tokenizers think a space before a text, and a mark of the beginning.
    let prepend = serde_json::json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u{2581}"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]});
    let never = serde_json::json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "never", "split": true});
    let always = serde_json::json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true});
    for (normalizer, splitter) in [(prepend, never), (serde_json::Value::Null, always)] {
        let words =
            ["<s>", "<unk>", "\u{2581}say", "\u{2581}it", "\u{2581}now", "\u{2581}twice", "it"];
        let vocabulary: std::collections::HashMap<&str, usize> =
            words.into_iter().zip(0..).collect();
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": normalizer, "pre_tokenizer": splitter, "decoder": null,
            "post_processor": {"type": "TemplateProcessing", "pair": [],
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
        });
        fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
        let mut reader = TextTokenizer::folder(folder.path()).unwrap();
        assert_eq!((reader.opening.as_slice(), reader.leading_space), (&[0][..], true));
        for template in ["say {text} now", "{text} now", "say {text}"] {
            let prompt = Prompt::parse(template, &mut reader).unwrap();
            let filled = prompt.fill("it twice", 16, &reader).unwrap();
            let whole = reader.whole(&template.replace("{text}", "it twice")).unwrap();
            assert_eq!((filled.ids.clone(), false), whole, "{template}");
            assert_eq!(&filled.ids[filled.text], &[3, 5], "{template}");
        }
        // Nothing is thought before a text that follows a quotation mark or the like.
        let prompt = Prompt::parse("say\n{text}", &mut reader).unwrap();
        assert_eq!(prompt.fill("it", 16, &reader).unwrap().ids.last(), Some(&6));
    }
}

#[test]
fn an_encoder_continues_no_text() {
    let folder = whole("bert");
    let message = causal(folder.path(), &reading()).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("encoder"), "{message}");
}

#[test]
fn long_texts_are_cut_and_counted_by_every_kind_of_model() {
    let long: String = (0..40).map(|i| format!("w{} ", 10 + i)).collect();
    for name in ["llama", "opt", "bloom", "gemma3", "bert", "distilbert"] {
        let folder = whole(name);
        let short = Reading { limit: 9, ..reading() };
        let rows = extractor(folder.path(), &short).unwrap().extract(&[&long, "w9"]).unwrap();
        assert_eq!((rows[0].cut, rows[0].tokens, rows[1].cut), (true, 9, false), "{name}");
        let rows = head(folder.path(), &short).unwrap();
        let rows = qdllm_trainer::teacher::Extractor::extract(&rows, &[&long, "w9"]).unwrap();
        assert_eq!((rows[0].cut, rows[0].tokens, rows[1].cut), (true, 9, false), "{name} head");
        // Beyond what the model was made for, whatever is asked.
        let far = Reading { limit: 4096, ..reading() };
        let context = Pretrained::open(folder.path(), None).unwrap().spec.context;
        let rows = extractor(folder.path(), &far).unwrap().extract(&[&long]).unwrap();
        assert_eq!(rows[0].cut, context < 42, "{name}, context {context}");
    }
}

#[test]
fn a_gguf_file_of_the_same_weights_gives_the_same_states() {
    use candle_core::quantized::gguf_file::{self, Value};
    use candle_core::quantized::{GgmlDType, QTensor};
    for name in ["qwen2", "qwen3"] {
        let folder = whole(name);
        let config: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.path().join("config.json")).unwrap())
                .unwrap();
        let tensors =
            candle_core::safetensors::load(folder.path().join("model.safetensors"), &Device::Cpu)
                .unwrap();
        let own = |hugging: &str| {
            let mut out = hugging.replace("model.layers.", "blk.").replace("self_attn.", "attn_");
            for (from, to) in [
                ("_proj.", "."),
                ("attn_o.", "attn_output."),
                ("mlp.", "ffn_"),
                ("post_attention_layernorm", "ffn_norm"),
                ("input_layernorm", "attn_norm"),
                ("model.embed_tokens", "token_embd"),
                ("model.norm", "output_norm"),
                ("lm_head", "output"),
            ] {
                out = out.replace(from, to);
            }
            out
        };
        let kept = tensors.iter().filter(|(n, _)| *n != "score.weight");
        let quantised: Vec<(String, QTensor)> = kept
            .map(|(n, t)| {
                let t = t.to_dtype(candle_core::DType::F32).unwrap();
                (own(n), QTensor::quantize(&t, GgmlDType::F32).unwrap())
            })
            .collect();
        let count = |key: &str| Value::U32(config[key].as_u64().unwrap() as u32);
        let words = (0..64).map(|i| Value::String(format!("{}", char::from(33 + i))));
        let key = |part: &str| format!("{name}.{part}");
        let mut metadata = vec![
            ("general.architecture".to_owned(), Value::String(name.into())),
            (key("block_count"), count("num_hidden_layers")),
            (key("embedding_length"), count("hidden_size")),
            (key("feed_forward_length"), count("intermediate_size")),
            (key("context_length"), count("max_position_embeddings")),
            (key("attention.head_count"), count("num_attention_heads")),
            (key("attention.head_count_kv"), count("num_key_value_heads")),
            (key("attention.layer_norm_rms_epsilon"), Value::F32(1e-6)),
            (key("rope.freq_base"), Value::F32(10_000.0)),
            ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
            ("tokenizer.ggml.pre".into(), Value::String("qwen2".into())),
            ("tokenizer.ggml.tokens".into(), Value::Array(words.collect())),
            ("tokenizer.ggml.merges".into(), Value::Array(Vec::new())),
        ];
        if name == "qwen3" {
            metadata.push((key("attention.key_length"), count("head_dim")));
        }
        let path = folder.path().join("same.gguf");
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let quantised: Vec<(&str, &QTensor)> =
            quantised.iter().map(|(k, v)| (k.as_str(), v)).collect();
        gguf_file::write(&mut fs::File::create(&path).unwrap(), &metadata, &quantised).unwrap();
        let expected = super::families::Expected::read(name);
        let mut checkpoint = Pretrained::open(&path, None).unwrap();
        let model = super::families::transformer(&mut checkpoint).unwrap();
        let rows = expected.rows();
        let refs: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let tokens = model.tokens(&refs).unwrap();
        let logits = model.logits(&model.last(&tokens).unwrap()).unwrap();
        let worst = super::families::largest(&logits, expected.get("logits"), &rows);
        assert!(worst <= 1e-4, "{name}: {worst}");
    }
}
