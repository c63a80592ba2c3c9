//! A model behind its cache: what is run through it, and that an interruption leaves no trace.

use std::path::Path;

use qdllm_trainer::teacher::features::Features;
use qdllm_trainer::teacher::llm::load::{Reading, extractor};

use super::tiny::{llama_weights, write_llama};

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
