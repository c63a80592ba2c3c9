//! A model behind its cache: what is run through it, what survives a run that ended in the middle of a write, and what
//! is refused; and the vectors of an encoder.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use candle_core::Device;
use qdllm_trainer::teacher::cache::{Cache, Key};
use qdllm_trainer::teacher::features::Features;
use qdllm_trainer::teacher::llm::pretrained::{Pretrained, TextVectors, sentences};
use qdllm_trainer::teacher::llm::{Reading, extractor};
use qdllm_trainer::teacher::{Extractor, Identity, Pooled};

use crate::teacher::tiny::{llama_weights, write_bert, write_llama};

struct Bench {
    folder: tempfile::TempDir,
    texts: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_llama(&folder.path().join("tiny.gguf"), "llama", &llama_weights());
        let text = |i: usize| format!("turn the light {} {}", "on ".repeat(i % 7), i * 37);
        Self { folder, texts: (0..200).map(text).collect() }
    }

    /// Prepares the first `count` texts with the cache in `cache`: how many were run, and the file.
    fn prepare(&self, cache: &Path, count: usize) -> (usize, Vec<u8>) {
        let reading = Reading {
            prompt: "say {text} now".into(),
            limit: 64,
            layers: vec![1, 2],
            adapter: None,
        };
        let model = extractor(&self.folder.path().join("tiny.gguf"), &reading).unwrap();
        let mut features = Features::open(model, cache).unwrap();
        let texts: Vec<&str> = self.texts[..count].iter().map(String::as_str).collect();
        let mut seen = Vec::new();
        let work = features.prepare(&texts, &mut |done, of| seen.push((done, of))).unwrap();
        assert_eq!(seen.first(), Some(&(count - work.computed, count)), "what was held is done");
        assert_eq!(seen.last(), Some(&(count, count)));
        assert_eq!((work.texts, work.tokens > 0), (count, work.computed > 0));
        (work.computed, std::fs::read(file(cache)).unwrap())
    }
}

fn file(cache: &Path) -> std::path::PathBuf {
    std::fs::read_dir(cache).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn texts_that_come_later_are_the_only_ones_run() {
    let bench = Bench::new();
    let cache = bench.folder.path().join("cache");
    let runs = [150, 150, 200, 120].map(|count| bench.prepare(&cache, count).0);
    assert_eq!(runs, [150, 0, 50, 0]);
}

#[test]
fn a_run_that_was_ended_anywhere_comes_to_the_same_bits() {
    let bench = Bench::new();
    let cache = bench.folder.path().join("cache");
    let (_, before) = bench.prepare(&cache, 30);
    let (run, whole) = bench.prepare(&cache, 200);
    assert_eq!(run, 170);
    let place = file(&cache);
    let step = (whole.len() - before.len()) / 23;
    for length in (before.len()..whole.len()).step_by(step) {
        std::fs::write(&place, &whole[..length]).unwrap();
        let (run, again) = bench.prepare(&cache, 200);
        assert!(again == whole, "taken up at {length} of {} bytes", whole.len());
        assert!([170, 106, 42].contains(&run), "{run} texts run after {length} bytes");
    }
}

fn identity(settings: &str) -> Identity {
    Identity { name: "tiny".into(), digest: "ab".repeat(32), settings: settings.into() }
}

fn open(folder: &Path) -> Cache {
    Cache::open(folder, &identity("plain"), 2, 3).unwrap()
}

fn record(cache: &Cache, text: &str, start: u8) -> (Key, Pooled) {
    let values = (start..start + 6).map(f32::from).collect();
    (cache.key(text), Pooled { values, tokens: usize::from(start), cut: start % 2 == 1 })
}

/// A chunk of one text and one of two on disk; returns the file.
fn fill(folder: &Path) -> std::path::PathBuf {
    let mut cache = open(folder);
    let rows =
        [("one", 1), ("two", 2), ("three", 3)].map(|(text, start)| record(&cache, text, start));
    cache.append(&rows[..1]).unwrap();
    cache.append(&rows).unwrap();
    cache.path.clone()
}

#[test]
fn gives_back_what_was_put_in_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let mut cache = open(folder.path());
    assert_eq!(cache.records, 3);
    let key = cache.key("three");
    assert_eq!(cache.read(&key, 0).unwrap(), Some(vec![3.0, 4.0, 5.0]));
    assert_eq!(cache.read(&key, 1).unwrap(), Some(vec![6.0, 7.0, 8.0]));
    let entry = cache.get(&key).unwrap();
    assert_eq!((entry.tokens, entry.cut), (3, true));
    let other = cache.key("four");
    assert_eq!(cache.read(&other, 0).unwrap(), None);
}

#[test]
fn a_chunk_that_is_torn_anywhere_is_dropped_whole_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let chunk = (whole.len() - 48) / 3 * 2;
    for lost in 1..=chunk {
        std::fs::write(&path, &whole[..whole.len() - lost]).unwrap();
        let mut cache = open(folder.path());
        assert_eq!(cache.records, 1, "{lost} bytes lost");
        let rows = [("two", 2), ("three", 3)].map(|(text, start)| record(&cache, text, start));
        cache.append(&rows).unwrap();
        drop(cache);
        assert!(std::fs::read(&path).unwrap() == whole, "{lost} bytes lost");
    }
    // Within the header, too.
    std::fs::write(&path, &whole[..20]).unwrap();
    assert_eq!(open(folder.path()).records, 0);
}

#[test]
fn a_chunk_with_zeros_is_dropped() {
    // After a power cut a file can be long enough and still not hold all of its last bytes.
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let length = std::fs::metadata(&path).unwrap().len();
    let record = (length - 48) / 3;
    for lost in [length - 10, length - record - 10] {
        fill(folder.path());
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(lost)).unwrap();
        file.write_all(&[0; 10]).unwrap();
        drop(file);
        assert_eq!(open(folder.path()).records, 1, "zeros from {lost}");
    }
}

#[test]
fn a_flipped_bit_in_the_middle_is_an_error_and_not_a_feature() {
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[48 + 36 + 2] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let mut cache = open(folder.path());
    let key = cache.key("one");
    let message = cache.read(&key, 0).unwrap_err().to_string();
    assert!(message.contains("checksum") && message.contains("delete"), "{message}");
    assert!(cache.read(&key, 1).unwrap().is_some());
}

#[test]
fn settings_and_models_do_not_share_features() {
    let folder = tempfile::tempdir().unwrap();
    let path = fill(folder.path());
    let other = Cache::open(folder.path(), &identity("another prompt"), 2, 3).unwrap();
    assert_eq!(other.records, 0);
    assert_ne!(other.path, path);
    // A file under the wrong name is not believed.
    std::fs::copy(&path, &other.path).unwrap();
    let moved = other.path.clone();
    drop(other);
    let message =
        Cache::open(folder.path(), &identity("another prompt"), 2, 3).err().unwrap().to_string();
    assert!(message.contains(&moved.display().to_string()), "{message}");
}

#[test]
fn a_second_writer_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let message = Cache::open(folder.path(), &identity("plain"), 2, 3).err().unwrap().to_string();
    assert!(message.contains("--cache"), "{message}");
}

fn load(folder: &Path, limit: usize) -> anyhow::Result<TextVectors> {
    sentences(Pretrained::open(folder, None)?, limit, &Device::Cpu)
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
