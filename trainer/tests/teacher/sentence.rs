//! The sentence encoder on a tiny random BERT folder.

use std::path::Path;

use candle_core::Device;
use qdllm_trainer::teacher::llm::pretrained::Pretrained;
use qdllm_trainer::teacher::llm::sentence_encoder::SentenceEncoder;
use qdllm_trainer::teacher::{Extractor, TeacherError};

use super::tiny::write_bert;

fn load(folder: &Path, limit: usize) -> Result<SentenceEncoder, TeacherError> {
    SentenceEncoder::load(Pretrained::open(folder, None)?, limit, &Device::Cpu)
}

#[test]
fn vectors_have_unit_length_and_do_not_depend_on_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    write_bert(folder.path());
    let encoder = load(folder.path(), 32).unwrap();
    let texts = ["turn the light on", "off", "please turn the light off please"];
    let together = encoder.extract(&texts).unwrap();
    assert_eq!(together.iter().map(|r| r.tokens).collect::<Vec<_>>(), [6, 3, 8]);
    for (text, row) in texts.iter().zip(&together) {
        let length: f32 = row.values.iter().map(|v| v * v).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5, "{text}: {length}");
        let alone = &encoder.extract(&[text]).unwrap()[0];
        for (a, b) in row.values.iter().zip(&alone.values) {
            assert!((a - b).abs() < 1e-5, "{text}: {a} in a batch, {b} alone");
        }
    }
    assert_ne!(together[0].values, together[1].values);
}

#[test]
fn a_long_text_keeps_its_beginning_and_its_end_mark() {
    let folder = tempfile::tempdir().unwrap();
    write_bert(folder.path());
    let encoder = load(folder.path(), 5).unwrap();
    let rows = encoder.extract(&["turn the light on please", "turn the light"]).unwrap();
    assert_eq!((rows[0].cut, rows[0].tokens, rows[1].cut), (true, 5, false));
    assert_eq!(rows[0].values, rows[1].values);
}

#[test]
fn a_folder_that_lacks_a_file_is_refused_by_name() {
    for missing in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = tempfile::tempdir().unwrap();
        write_bert(folder.path());
        std::fs::remove_file(folder.path().join(missing)).unwrap();
        let message = load(folder.path(), 32).err().unwrap().to_string();
        assert!(message.contains(missing), "{message}");
    }
}
