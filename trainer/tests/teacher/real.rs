//! Facts about the real models, checked where `QDLLM_TEACHERS` names a folder with `smollm2` and `minilm` in it.

use std::io::Write as _;
use std::path::PathBuf;

use qdllm_trainer::teacher::Extractor;
use qdllm_trainer::teacher::llm::load::{Reading, causal, extractor};
use qdllm_trainer::teacher::zero_shot::ClassScores;

/// The model's folder; says so when the test cannot run.
fn weights(model: &str) -> Option<PathBuf> {
    match std::env::var_os("QDLLM_TEACHERS") {
        Some(folder) => Some(PathBuf::from(folder).join(model)),
        None => {
            // Past the test harness, which hides what passing tests print.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: set QDLLM_TEACHERS to a folder with {model}/ to run this test on real weights"
            );
            None
        }
    }
}

fn reading(prompt: &str) -> Reading {
    Reading { prompt: prompt.into(), limit: 64, layers: Vec::new(), adapter: None }
}

#[test]
fn smollm_knows_a_capital_and_reads_digits_one_by_one() {
    let Some(path) = weights("smollm2") else {
        return;
    };
    let model = causal(&path, &reading("{text} is the city of")).unwrap();
    let rows = model.fill(&["1234", "The capital of France"]).unwrap();
    assert_eq!(rows[0].text.len(), 4, "each digit is a token");
    assert_eq!(rows[1].text.len(), 4, "and each of these words is one");
    let words = ["Berlin", "Madrid", "Paris", "London", "Rome"].map(String::from);
    let scores = ClassScores::new(model, &words.clone().map(|word| vec![word])).unwrap();
    for (country, city) in
        [("France", "Paris"), ("Italy", "Rome"), ("Germany", "Berlin"), ("Spain", "Madrid")]
    {
        let text = format!("The capital of {country}");
        let row = &scores.extract(&[&text]).unwrap()[0].values;
        let top = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert_eq!(words[top], city, "{row:?}");
    }
}

#[test]
fn minilm_puts_like_beside_like() {
    let Some(path) = weights("minilm") else {
        return;
    };
    let model = extractor(&path, &reading("{text}")).unwrap();
    let rows = model
        .extract(&["switch the lamp off", "turn off the light", "the match ended in a draw"])
        .unwrap();
    let cosine = |a: usize, b: usize| {
        rows[a].values.iter().zip(&rows[b].values).map(|(x, y)| x * y).sum::<f32>()
    };
    assert!(cosine(0, 1) > 0.6 && cosine(0, 2) < 0.2, "{} and {}", cosine(0, 1), cosine(0, 2));
}

/// Peak memory of a whole run of the command, from the kernel's own count.
#[cfg(target_os = "linux")]
#[test]
fn a_model_of_135_million_weights_teaches_within_a_gibibyte() {
    let Some(model) = weights("smollm2") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Two full batches.
    let texts: String = (0..4).map(|i| format!("text {i} {}\n", "and so on ".repeat(80))).collect();
    std::fs::write(folder.path().join("texts.txt"), texts).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_qdllm"))
        .args(["teach", "--method", "zero-shot", "--classes", "good,bad", "--max-tokens", "256"])
        .args(["--unlabelled", "texts.txt", "--out", "soft.jsonl", "--json", "--model"])
        .arg(&model)
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let ended = loop {
        // Empty once the process is gone; the peak before that stays.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        peak_kib = peak_kib.max(now.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(ended.success());
    assert!((400_000..1 << 20).contains(&peak_kib), "{peak_kib} KiB");
}
