//! Every family against Hugging Face: hidden states of all layers, logits, classification heads, on the frozen
//! checkpoints of `tests/peers/teachers.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use qdllm_trainer::teacher::llm::classifier::Classifier;
use qdllm_trainer::teacher::llm::pretrained::Pretrained;
use qdllm_trainer::teacher::llm::transformer::Transformer;

const DECODERS: [&str; 11] = [
    "llama", "llama3", "mistral", "phi3", "smollm3", "qwen2", "qwen3", "gemma3", "opt", "opt-post",
    "bloom",
];
const ENCODERS: [&str; 4] = ["bert", "distilbert", "roberta", "xlm-roberta"];
const TOLERANCE: f32 = 1e-4;

fn refs(rows: &[Vec<u32>]) -> Vec<&[u32]> {
    rows.iter().map(Vec::as_slice).collect()
}

fn open(folder: &std::path::Path) -> anyhow::Result<Pretrained> {
    tokenizer(folder);
    Pretrained::open(folder, None)
}

/// The body of a checkpoint's model.
pub fn transformer(checkpoint: &mut Pretrained) -> anyhow::Result<Transformer> {
    let mut loader = checkpoint.parameters(&Device::Cpu);
    let model = Transformer::load(&mut loader, 32)?;
    loader.finish()?;
    Ok(model)
}

#[test]
fn decoders_agree_with_hugging_face() {
    for name in DECODERS {
        let (folder, expected) = (copy(name), Expected::read(name));
        let model = transformer(&mut open(folder.path()).unwrap()).unwrap();
        let rows = expected.rows();
        let tokens = model.tokens(&refs(&rows)).unwrap();
        let (mut last, mut worst) = (None, 0f32);
        model
            .run(&tokens, model.spec.depth, |layer, states| {
                let shown = match layer == model.spec.depth {
                    true => model.output(states)?,
                    false => states.clone(),
                };
                let wanted = expected.get(&format!("states.{layer}"));
                worst = worst.max(largest(&shown, wanted, &rows));
                last = Some(states.clone());
                Ok(())
            })
            .unwrap();
        assert!(worst <= TOLERANCE, "{name}: hidden states differ by {worst}");
        let logits = model.logits(&last.unwrap()).unwrap();
        let worst_logit = largest(&logits, expected.get("logits"), &rows);
        eprintln!("{name}: hidden states within {worst:.1e}, logits within {worst_logit:.1e}");
        assert!(worst_logit <= TOLERANCE, "{name}: logits differ by {worst_logit}");
    }
}

#[test]
fn encoders_agree_with_hugging_face() {
    for name in ENCODERS {
        let (folder, expected) = (copy(name), Expected::read(name));
        let model = transformer(&mut open(folder.path()).unwrap()).unwrap();
        let rows = expected.rows();
        let tokens = model.tokens(&refs(&rows)).unwrap();
        let mut worst = 0f32;
        model
            .run(&tokens, model.spec.depth, |layer, states| {
                let wanted = expected.get(&format!("states.{layer}"));
                worst = worst.max(largest(states, wanted, &rows));
                Ok(())
            })
            .unwrap();
        eprintln!("{name}: hidden states within {worst:.1e}");
        assert!(worst <= TOLERANCE, "{name}: hidden states differ by {worst}");
    }
}

/// The head's logits of a checkpoint, adapter merged if any.
pub fn head(checkpoint: &mut Pretrained, rows: &[Vec<u32>]) -> anyhow::Result<Tensor> {
    let mut loader = checkpoint.parameters(&Device::Cpu);
    let model = Classifier::load(&mut loader, 32, None)?;
    loader.finish()?;
    model.logits(&refs(rows))
}

#[test]
fn classification_heads_agree_with_hugging_face() {
    for name in DECODERS.into_iter().chain(ENCODERS) {
        let (folder, expected) = (copy(name), Expected::read(name));
        let got = head(&mut open(folder.path()).unwrap(), &expected.rows()).unwrap();
        let difference = (got - expected.get("head")).unwrap().abs().unwrap();
        let worst = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
        eprintln!("{name}: head within {worst:.1e}");
        assert!(worst <= TOLERANCE, "{name}: the head's logits differ by {worst}");
    }
}

/// The folder of a case.
pub fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/teacher/vectors").join(name)
}

/// What Hugging Face found.
pub struct Expected {
    tensors: HashMap<String, Tensor>,
}

impl Expected {
    pub fn read(name: &str) -> Self {
        let path = case(name).join("expected.safetensors");
        Self { tensors: candle_core::safetensors::load(path, &Device::Cpu).unwrap() }
    }

    pub fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// The token rows without their padding.
    pub fn rows(&self) -> Vec<Vec<u32>> {
        let whole = |name: &str| self.tensors[name].to_dtype(DType::F64).unwrap();
        let lengths: Vec<f64> = whole("lengths").to_vec1().unwrap();
        let ids: Vec<Vec<f64>> = whole("ids").to_vec2().unwrap();
        let row =
            |(row, n): (Vec<f64>, f64)| row.iter().take(n as usize).map(|&id| id as u32).collect();
        ids.into_iter().zip(lengths).map(row).collect()
    }
}

/// The largest difference at the places that are not padding; `a` and `b` are [rows, length, n].
pub fn largest(a: &Tensor, b: &Tensor, rows: &[Vec<u32>]) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let difference = (a - b).unwrap().abs().unwrap().to_vec3::<f32>().unwrap();
    let own = difference.iter().zip(rows).flat_map(|(row, ids)| row.iter().take(ids.len()));
    let worst = own.flatten().fold(0.0, |a: f32, &b| if b > a || b.is_nan() { b } else { a });
    assert!(!worst.is_nan());
    worst
}

/// A copy of a case that a test may damage.
pub fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_to(name, folder.path());
    folder
}

/// Copies a case into a folder.
pub fn copy_to(name: &str, folder: &Path) {
    for entry in std::fs::read_dir(case(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
}

/// Writes a tokenizer of the cases' 64 tokens: `w4` to `w63` by their ids, marks before.
pub fn tokenizer(folder: &Path) {
    let marks = ["<pad>", "<s>", "</s>", "<unk>"];
    let words = marks.iter().map(ToString::to_string).chain((4..64).map(|id| format!("w{id}")));
    let vocabulary: HashMap<String, usize> = words.zip(0..).collect();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    std::fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
}
