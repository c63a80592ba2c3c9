//! Tokenizers out of GGUF files: every splitting table against another engine of regular expressions, and, on demand,
//! every vocabulary that llama.cpp ships with the ids that it expects.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use qdllm_trainer::teacher::llm::tokenizer::TextTokenizer;
use qdllm_trainer::teacher::llm::weights::Tensors;
use qdllm_trainer::teacher::llm::weights::gguf::Gguf;
use qdllm_trainer::teacher::llm::weights::pre_tokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior::Isolated;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::tiny::{llama_weights, noise, write_llama};

const VARIABLE: &str = "QDLLM_GGML_VOCABULARIES";

#[test]
fn every_name_splits_as_its_expressions_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/teacher/vectors/splits.json");
    let expected: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let sample = expected["sample"].as_str().unwrap();
    let mut seen = 0;
    for group in expected["splits"].as_array().unwrap() {
        for name in group["names"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let mut text = PreTokenizedString::from(sample);
            for regex in pre_tokenizers::find(name).unwrap().expressions {
                let pattern = SplitPattern::Regex((*regex).to_owned());
                Split::new(pattern, Isolated, false).unwrap().pre_tokenize(&mut text).unwrap();
            }
            let pieces = text.get_splits(OffsetReferential::Original, OffsetType::Byte);
            let pieces: Vec<&str> = pieces.into_iter().map(|(piece, ..)| piece).collect();
            assert_eq!(serde_json::json!(pieces), group["pieces"], "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, pre_tokenizers::names().count(), "names without an expectation");
}

#[test]
fn a_name_that_is_not_known_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    write_llama(&path, "llama", &llama_weights());
    let whole = fs::read(&path).unwrap();
    for (from, to, says) in [
        ("smollm", "smolly", "`smolly` is not supported"),
        ("tokenizer.ggml.pre", "tokenizer.ggml.prx", "does not name how it splits"),
        ("gpt2", "rwkv", "`rwkv` is not supported"),
    ] {
        let at = whole.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(&path, bytes).unwrap();
        let message = Gguf::open(&path).unwrap().tokenizer().err().unwrap().to_string();
        assert!(message.contains(says) && message.contains("tiny.gguf"), "{message}");
    }
}

#[test]
fn every_quantised_type_that_candle_has_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.gguf");
    let mut next = noise(3);
    let values: Vec<f32> = (0..512).map(|_| next()).collect();
    let whole = Tensor::from_vec(values, (2, 256), &Device::Cpu).unwrap();
    use GgmlDType::{BF16, F16, F32, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0, Q8_1};
    for kind in [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K, Q8_1] {
        let packed = QTensor::quantize(&whole, kind).unwrap();
        let architecture = Value::String("llama".into());
        let header: [(&str, &Value); 1] = [("general.architecture", &architecture)];
        let mut file = fs::File::create(&path).unwrap();
        gguf_file::write(&mut file, &header, &[("token_embd.weight", &packed)]).unwrap();
        let read = Gguf::open(&path).unwrap().get("model.embed_tokens.weight");
        if kind == Q8_1 {
            let message = read.unwrap_err().to_string();
            assert!(message.contains("Q8_1") && message.contains("take a file"), "{message}");
            continue;
        }
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let expected = packed.dequantize(&Device::Cpu).unwrap();
        assert_eq!(numbers(&read.unwrap().unwrap()), numbers(&expected), "{kind:?}");
    }
}

/// The files with expected ids beside them.
fn vocabularies(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = all
        .filter(|p| p.extension().is_some_and(|e| e == "gguf"))
        .filter(|p| p.with_extension("gguf.out").is_file())
        .collect();
    found.sort();
    found
}

/// Ids of a text without the marks around it.
fn bare(tokenizer: &TextTokenizer, text: &str) -> Vec<u32> {
    if text.is_empty() {
        // A row of ids is never empty: where there are no marks, the first token stands in.
        return Vec::new();
    }
    let (around, _) = tokenizer.whole("").unwrap();
    let (ids, _) = tokenizer.whole(text).unwrap();
    let opening = tokenizer.opening.len();
    let closing = if around == [0] { 0 } else { around.len() - opening };
    ids[opening..ids.len() - closing].to_vec()
}

#[test]
#[ignore = "SKIPPED: set QDLLM_GGML_VOCABULARIES to llama.cpp's folder `models` (in the sdist of llama-cpp-python) and run with --ignored"]
fn vocabularies_of_llama_cpp_give_the_ids_that_it_expects() {
    let Some(folder) = std::env::var_os(VARIABLE) else {
        panic!("{VARIABLE} names no folder with ggml-vocab-*.gguf, .inp and .out");
    };
    let (mut report, mut wrong) = (String::new(), 0);
    let found = vocabularies(Path::new(&folder));
    assert!(found.len() >= 15, "{VARIABLE}: {} vocabularies", found.len());
    for path in found {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let read = |end: &str| fs::read_to_string(path.with_extension(end)).unwrap();
        let tokenizer = match Gguf::open(&path).unwrap().tokenizer() {
            Ok(tokenizer) => tokenizer,
            Err(e) => {
                report += &format!("{name}: refused: {e}\n");
                wrong += 1;
                continue;
            }
        };
        let (texts, ids) = (read("gguf.inp"), read("gguf.out"));
        let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
        let ids: Vec<&str> = ids.lines().collect();
        let (mut right, mut all) = (0, 0);
        for (text, ids) in texts.iter().zip(&ids) {
            let expected: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
            let got = bare(&tokenizer, text);
            all += 1;
            if got == expected {
                right += 1;
            } else {
                report += &format!("{name}: {text:?}\n  {got:?}\n  {expected:?}\n");
                wrong += 1;
            }
        }
        println!("{name}: {right} of {all}");
    }
    assert_eq!(wrong, 0, "\n{report}");
}
