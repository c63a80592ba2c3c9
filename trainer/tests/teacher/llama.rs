//! The decoder, from a GGUF file, against the plain loops: states of all layers, padding, prompts, cutting, class scores.
//! Facts about the real models are checked where `QDLLM_TEACHERS` names a folder with `smollm2` and `minilm` in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use candle_core::Device;
use qdllm_trainer::teacher::llm::causal_lm::Causal;
use qdllm_trainer::teacher::llm::pretrained::Pretrained;
use qdllm_trainer::teacher::llm::{Reading, causal, extractor};
use qdllm_trainer::teacher::zero_shot::ClassScores;
use qdllm_trainer::teacher::{Extractor, Pooling};

use crate::teacher::tiny::{
    BLOCKS, CONTEXT, SPECIAL, WIDTH, Weights, llama_weights, next_token, states, vocabulary,
    write_llama,
};

const PROMPT: &str = "say {text} now";

fn tiny(
    prompt: &str,
    limit: usize,
) -> (tempfile::TempDir, PathBuf, Weights, anyhow::Result<Causal>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let weights = llama_weights();
    write_llama(&path, "llama", &weights);
    let model = load(&path, prompt, limit, &[0, 1, 2]);
    (folder, path, weights, model)
}

fn load(path: &Path, prompt: &str, limit: usize, layers: &[usize]) -> anyhow::Result<Causal> {
    let reading = Reading { prompt: prompt.into(), limit, layers: layers.to_vec(), adapter: None };
    Causal::load(Pretrained::open(path, None)?, &reading, &Device::Cpu)
}

/// Token ids by hand: bytes, and the three merges.
fn ids(text: &str) -> Vec<u32> {
    let vocabulary = vocabulary();
    let id = |token: &str| vocabulary.iter().position(|v| v == token).unwrap() as u32;
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = ["off", "of", "on"].into_iter().find(|t| rest.starts_with(t));
        let token = token.map_or_else(|| first.to_string(), str::to_owned);
        rest = &rest[token.len()..];
        // A space is written as this letter in byte-level vocabularies.
        out.push(id(if token == " " { "\u{120}" } else { &token }));
    }
    out
}

#[test]
fn states_of_every_layer_match_the_plain_loops() {
    let (_folder, _, weights, model) = tiny(PROMPT, 64);
    let model = model.unwrap();
    // Different lengths in one batch, so that padding is there to be got wrong.
    let texts = ["turn the lights off", "on", "a b c d e f 12"];
    let rows = model.extract(&texts).unwrap();
    for (text, row) in texts.iter().zip(rows) {
        let (before, own, after) = (ids("say"), ids(&format!(" {text}")), ids(" now"));
        let all = [before.clone(), own.clone(), after].concat();
        assert_eq!(row.tokens, all.len(), "{text}");
        let wanted = states(&weights, &all);
        for (slot, cell) in model.description().cells.iter().enumerate() {
            let of = &wanted[cell.layer];
            let pooled: Vec<f64> = match cell.pooling {
                Pooling::Last => of.last().unwrap().clone(),
                Pooling::Mean => {
                    let text = &of[before.len()..before.len() + own.len()];
                    (0..WIDTH)
                        .map(|i| text.iter().map(|v| v[i]).sum::<f64>() / text.len() as f64)
                        .collect()
                }
            };
            let got = &row.values[slot * WIDTH..(slot + 1) * WIDTH];
            for (got, wanted) in got.iter().zip(pooled) {
                assert!(
                    (f64::from(*got) - wanted).abs() < 2e-5,
                    "{text}, {cell}: {got} is not {wanted}"
                );
            }
        }
    }
    assert_eq!(model.description().cells.len(), 2 * (BLOCKS + 1));
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let (_folder, _, _, model) = tiny(PROMPT, 12);
    let model = model.unwrap();
    let rows = model.extract(&["abcdefghijklmnop", "abc", ""]).unwrap();
    assert_eq!(
        rows.iter().map(|r| (r.cut, r.tokens)).collect::<Vec<_>>(),
        [(true, 12), (false, 11), (false, 8)]
    );
    // What is left of a cut text is its beginning.
    let short = model.extract(&["abcd"]).unwrap();
    assert!(
        rows[0].values.iter().zip(&short[0].values).all(|(a, b)| (a - b).abs() < 1e-5),
        "{short:?}"
    );
}

#[test]
fn class_scores_match_one_pass_a_class() {
    let (_folder, _, weights, model) = tiny(PROMPT, 64);
    let words = ["off", "light up", "on it", "x"].map(String::from);
    // The first class has two phrases.
    let classes = [words[..2].to_vec(), words[2..3].to_vec(), words[3..].to_vec()];
    let scores = ClassScores::new(model.unwrap(), &classes).unwrap();
    let texts = ["turn it", "a much longer text than that", ""];
    for (text, row) in texts.iter().zip(scores.extract(&texts).unwrap()) {
        let prompt = ids(&format!("say {text} now"));
        for (word, got) in words.iter().zip(row.values) {
            let own = ids(&format!(" {word}"));
            let mut sequence = prompt.clone();
            let mut sum = 0.0;
            for &token in &own {
                sum += next_token(&weights, &sequence)[token as usize];
                sequence.push(token);
            }
            let wanted = sum / own.len() as f64;
            assert!(
                (f64::from(got) - wanted).abs() < 1e-4,
                "`{text}`, {word}: {got} is not {wanted}"
            );
        }
    }
}

#[test]
fn a_special_token_is_one_in_the_prompt_and_plain_letters_in_a_text() {
    let prompt = format!("{SPECIAL}{{text}}");
    let (_folder, _, _, model) = tiny(&prompt, 64);
    let rows = model.unwrap().fill(&["", SPECIAL]).unwrap();
    assert_eq!(rows[0].ids.len(), 1);
    assert_eq!(rows[1].ids.len(), 1 + ids(SPECIAL).len());
    assert!(!rows[1].ids[1..].contains(&rows[0].ids[0]));
}

#[test]
fn a_cut_text_leaves_room_for_the_longest_phrase() {
    let phrases = [vec!["on".to_owned()], vec!["abcdef".to_owned()]];
    let long = "x ".repeat(60);
    let (_a, _, _, model) = tiny(PROMPT, 40);
    let scores = ClassScores::new(model.unwrap(), &phrases).unwrap();
    let cut = &scores.extract(&[&long]).unwrap()[0];
    // ` abcdef` has seven tokens, the last of which takes no place.
    let (_b, _, _, model) = tiny(PROMPT, CONTEXT);
    let own = 40 - 6 - ids("say now").len() - 1;
    let whole = ClassScores::new(model.unwrap(), &phrases).unwrap();
    let short = &whole.extract(&[&long[..own]]).unwrap()[0];
    assert!(cut.cut && !short.cut);
    assert!(cut.values.iter().zip(&short.values).all(|(a, b)| (a - b).abs() < 1e-5));
    let (_c, _, _, model) = tiny(PROMPT, 13);
    let message = ClassScores::new(model.unwrap(), &phrases).err().unwrap().to_string();
    assert!(message.contains("longest class phrase"), "{message}");
}

fn refusal(result: anyhow::Result<Causal>) -> String {
    result.map(|_| ()).expect_err("a bad model was accepted").to_string()
}

#[test]
fn bad_models_are_refused_by_name() {
    let (_folder, path, weights, _) = tiny(PROMPT, 64);
    let load = |prompt: &str, limit, layers: &[usize]| load(&path, prompt, limit, layers);

    assert!(refusal(load("no slot", 64, &[])).contains("{text}"));
    assert!(refusal(load(PROMPT, 5, &[])).contains("prompt alone"));
    assert!(refusal(load(PROMPT, 64, &[9])).contains("layer 9"));

    write_llama(&path, "gptneox", &weights);
    let message = refusal(load(PROMPT, 64, &[]));
    assert!(message.contains("tiny.gguf") && message.contains("`gptneox`"), "{message}");

    let mut missing = weights.clone();
    missing.remove("blk.1.ffn_up.weight");
    write_llama(&path, "llama", &missing);
    assert!(refusal(load(PROMPT, 64, &[])).contains("blk.1.ffn_up.weight"));

    let mut misshapen = weights;
    misshapen.insert("blk.0.attn_k.weight".into(), (vec![4, 4], vec![0.0; 16]));
    write_llama(&path, "llama", &misshapen);
    assert!(refusal(load(PROMPT, 64, &[])).contains("[4, 4]"));

    write_llama(&path, "llama", &llama_weights());
    let whole = std::fs::read(&path).unwrap();
    let mut other = whole.clone();
    other[4..8].reverse();
    std::fs::write(&path, &other).unwrap();
    assert!(refusal(load(PROMPT, 64, &[])).contains("big-endian"));
    // The number of a tensor's type stands behind its name, the number of its dimensions and those.
    let name = b"output_norm.weight";
    let at = whole.windows(name.len()).position(|w| w == name).unwrap() + name.len() + 4 + 8;
    other = whole.clone();
    for (number, says) in [(23, "IQ4_XS"), (39, "MXFP4"), (99, "number 99")] {
        other[at] = number;
        std::fs::write(&path, &other).unwrap();
        let message = refusal(load(PROMPT, 64, &[]));
        assert!(message.contains(says) && message.contains("Q4_0 to Q8_0"), "{message}");
    }
    std::fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    assert!(refusal(load(PROMPT, 64, &[])).contains("fetch the file again"));

    std::fs::write(&path, b"GGUF but not really").unwrap();
    assert!(refusal(load(PROMPT, 64, &[])).contains("not a readable GGUF"));
}

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
