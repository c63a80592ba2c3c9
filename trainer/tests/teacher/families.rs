//! Every family against Hugging Face: hidden states of all layers, logits, classification heads.

use candle_core::{Device, Tensor};
use qdllm_trainer::teacher::TeacherError;
use qdllm_trainer::teacher::llm::classifier::Classifier;
use qdllm_trainer::teacher::llm::config::Kind;
use qdllm_trainer::teacher::llm::decoder::Decoder;
use qdllm_trainer::teacher::llm::encoder::Encoder;
use qdllm_trainer::teacher::llm::pretrained::Pretrained;
use qdllm_trainer::teacher::llm::token_batch::Tokens;

use super::vectors::{Expected, copy, largest};

const DECODERS: [&str; 8] =
    ["llama", "llama3", "qwen2", "qwen3", "gemma3", "opt", "opt-post", "bloom"];
const TOLERANCE: f32 = 1e-4;

fn refs(rows: &[Vec<u32>]) -> Vec<&[u32]> {
    rows.iter().map(Vec::as_slice).collect()
}

fn open(folder: &std::path::Path) -> Result<Pretrained, TeacherError> {
    super::vectors::tokenizer(folder);
    Pretrained::open(folder, None)
}

/// The decoder of a checkpoint.
pub fn decoder(checkpoint: &mut Pretrained) -> Result<Decoder, TeacherError> {
    let Kind::Decoder(spec) = checkpoint.kind.clone() else { panic!("no decoder") };
    let mut loader = checkpoint.parameters(&Device::Cpu);
    let decoder = Decoder::load(&mut loader, spec, 32, &Device::Cpu)?;
    loader.finish()?;
    Ok(decoder)
}

#[test]
fn decoders_agree_with_hugging_face() {
    for name in DECODERS {
        let (folder, expected) = (copy(name), Expected::read(name));
        let model = decoder(&mut open(folder.path()).unwrap()).unwrap();
        let rows = expected.rows();
        let tokens = Tokens::causal(&refs(&rows), &Device::Cpu).unwrap();
        let (mut last, mut worst) = (None, 0f32);
        model
            .run(&tokens, model.depth(), |layer, states| {
                let shown = match layer == model.depth() {
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
    for name in ["bert", "distilbert"] {
        let (folder, expected) = (copy(name), Expected::read(name));
        let mut checkpoint = open(folder.path()).unwrap();
        let Kind::Encoder(spec) = checkpoint.kind.clone() else { panic!("no encoder") };
        let model = Encoder::load(&mut checkpoint.parameters(&Device::Cpu), spec).unwrap();
        let rows = expected.rows();
        let tokens = Tokens::mutual(&refs(&rows), &Device::Cpu).unwrap();
        let mut worst = 0f32;
        model
            .run(&tokens, model.depth(), |layer, states| {
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
pub fn head(checkpoint: &mut Pretrained, rows: &[Vec<u32>]) -> Result<Tensor, TeacherError> {
    let kind = checkpoint.kind.clone();
    let mut loader = checkpoint.parameters(&Device::Cpu);
    let model = Classifier::load(&mut loader, kind, 32, None, &Device::Cpu)?;
    loader.finish()?;
    model.logits(&refs(rows))
}

#[test]
fn classification_heads_agree_with_hugging_face() {
    for name in DECODERS.into_iter().chain(["bert", "distilbert"]) {
        let (folder, expected) = (copy(name), Expected::read(name));
        let got = head(&mut open(folder.path()).unwrap(), &expected.rows()).unwrap();
        let difference = (got - expected.get("head")).unwrap().abs().unwrap();
        let worst = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
        eprintln!("{name}: head within {worst:.1e}");
        assert!(worst <= TOLERANCE, "{name}: the head's logits differ by {worst}");
    }
}
