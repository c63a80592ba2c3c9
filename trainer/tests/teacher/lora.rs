//! LoRA: adapters that PEFT wrote, merged; adapters that `tune` trains; what is refused.

use std::path::Path;

use candle_core::{Device, Tensor};
use qdllm_trainer::teacher::llm::lora::train::{Epoch, Settings, Tuner};
use qdllm_trainer::teacher::llm::pretrained::Pretrained;

use super::families::{Expected, case, copy, copy_to, head, largest, tokenizer, transformer};

fn merged(base: &str, adapter: &Path) -> (tempfile::TempDir, Pretrained) {
    let folder = copy(base);
    tokenizer(folder.path());
    let checkpoint = Pretrained::open(folder.path(), Some(adapter)).unwrap();
    (folder, checkpoint)
}

#[test]
fn a_merged_classifier_gives_what_peft_gives() {
    let (_folder, mut checkpoint) = merged("llama", &case("llama-lora"));
    let got = head(&mut checkpoint, &Expected::read("llama").rows()).unwrap();
    let wanted = Expected::read("llama-lora");
    let worst = (got - wanted.get("logits")).unwrap().abs().unwrap().max_all().unwrap();
    let worst = worst.to_scalar::<f32>().unwrap();
    eprintln!("llama-lora: within {worst:.1e}");
    assert!(worst <= 1e-4, "{worst}");
}

#[test]
fn a_merged_language_model_gives_what_peft_gives() {
    let (_folder, mut checkpoint) = merged("bloom", &case("bloom-lora"));
    let model = transformer(&mut checkpoint).unwrap();
    let rows = Expected::read("bloom").rows();
    let refs: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let last = model.last(&model.tokens(&refs).unwrap()).unwrap();
    let wanted = Expected::read("bloom-lora");
    let worst = largest(&model.logits(&last).unwrap(), wanted.get("logits"), &rows);
    eprintln!("bloom-lora: within {worst:.1e}");
    assert!(worst <= 1e-4, "{worst}");
}

#[test]
fn adapters_that_do_not_fit_are_refused_by_name() {
    let refusal = |base: &str, adapter: &Path| {
        let folder = copy(base);
        tokenizer(folder.path());
        let rows = Expected::read(base).rows();
        let opened = Pretrained::open(folder.path(), Some(adapter));
        opened.and_then(|mut c| head(&mut c, &rows)).map(|_| ()).unwrap_err().to_string()
    };
    let message = refusal("opt", &case("llama-lora"));
    assert!(message.contains("lora_") && message.contains("another"), "{message}");
    let message = refusal("qwen3", &case("llama-lora"));
    assert!(message.contains("another model"), "{message}");
    let message = refusal("llama", &case("llama"));
    assert!(message.contains("adapter_config.json"), "{message}");

    let adapter = copy("llama-lora");
    let config = adapter.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    for (from, to, says) in [
        ("\"use_dora\": false", "\"use_dora\": true", "use_dora"),
        ("\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true", "fan_in_fan_out"),
        ("\"bias\": \"none\"", "\"bias\": \"all\"", "bias"),
        ("\"LORA\"", "\"IA3\"", "IA3"),
        ("\"r\": 4", "\"r\": 0", "`r`"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&config, text.replace(from, to)).unwrap();
        let message = refusal("llama", adapter.path());
        assert!(message.contains(says) && message.contains("adapter_config.json"), "{message}");
    }
}

/// Texts whose class is told by one word among others.
fn data(from: u64, count: u64) -> Vec<(String, usize)> {
    let word = |i: u64, k: u64| format!("w{}", 10 + (i * 7 + k * 13 + i * k) % 50);
    (from..from + count)
        .map(|i| {
            let class = (i % 2) as usize;
            (format!("{} {} w{} {}", word(i, 1), word(i, 2), 4 + class, word(i, 3)), class)
        })
        .collect()
}

fn settings() -> Settings {
    Settings {
        rank: 4,
        alpha: 8.0,
        targets: Vec::new(),
        epochs: 4,
        batch: 4,
        accumulate: 2,
        rate: 2e-2,
        decay: 0.01,
        max_tokens: 16,
        seed: 3,
    }
}

fn tuner(base: &str, out: &Path) -> (tempfile::TempDir, Tuner) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    copy_to(base, &model);
    tokenizer(&model);
    let checkpoint = Pretrained::open(&model, None).unwrap();
    let classes = ["no", "yes"].map(String::from);
    let (train, valid) = (data(0, 44), data(100, 20));
    let tuner =
        Tuner::open(checkpoint, &classes, (&train, &valid), settings(), out, &Device::Cpu).unwrap();
    (folder, tuner)
}

fn run(tuner: &mut Tuner, updates: u64) -> Vec<Epoch> {
    (0..updates).filter_map(|_| tuner.step().unwrap()).collect()
}

#[test]
fn tuning_lowers_the_loss_of_every_kind_of_model() {
    for base in ["llama", "gemma3", "opt-post", "bloom", "bert", "distilbert"] {
        let out = tempfile::tempdir().unwrap();
        let (_folder, mut tuner) = tuner(base, out.path());
        let all = tuner.progress().1;
        assert_eq!(all, 4 * 6);
        let epochs = run(&mut tuner, all);
        let losses: Vec<f64> = epochs.iter().map(|e| e.train_loss).collect();
        eprintln!("{base}: training loss {losses:.3?}");
        assert_eq!(losses.len(), 4);
        assert!(losses[3] < 0.7 * losses[0], "{base}: {losses:?}");
        assert!(tuner.step().unwrap().is_none(), "nothing is left");
    }
}

#[test]
fn a_tuning_run_that_was_ended_anywhere_ends_with_the_same_bytes() {
    let files = ["adapter_model.safetensors", "adapter_config.json", "qdllm.json"];
    let read = |folder: &Path| files.map(|name| std::fs::read(folder.join(name)).unwrap());
    let whole = tempfile::tempdir().unwrap();
    let (_base, mut first) = tuner("llama", whole.path());
    let all = first.progress().1;
    let epochs = run(&mut first, all);
    let about = first.finish().unwrap();
    assert!(about.epoch >= 1 && epochs.len() == 4);

    let parts = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    // Within an epoch, at the end of one, and once with updates after the checkpoint that are lost.
    for (saved, lost) in [(5, 0), (7, 3), (6, 0)] {
        let (_base, mut part) = tuner("llama", parts.path());
        seen.extend(run(&mut part, saved));
        part.checkpoint().unwrap();
        run(&mut part, lost);
    }
    let (_base, mut last) = tuner("llama", parts.path());
    assert!(last.resumed);
    assert_eq!(last.progress().0, 18);
    seen.extend(run(&mut last, all));
    assert_eq!(seen, epochs);
    last.finish().unwrap();
    assert!(read(whole.path()) == read(parts.path()), "the resumed run wrote other bytes");
    assert!(!parts.path().join("checkpoint.safetensors").exists());
}

#[test]
fn a_tuned_adapter_is_loaded_and_knows_its_classes() {
    let out = tempfile::tempdir().unwrap();
    let (base, mut tuner) = tuner("llama", out.path());
    let all = tuner.progress().1;
    let epochs = run(&mut tuner, all);
    let about = tuner.finish().unwrap();
    let best = &epochs[about.epoch as usize - 1];
    let mut checkpoint = Pretrained::open(&base.path().join("model"), Some(out.path())).unwrap();
    assert_eq!(checkpoint.labels, ["no", "yes"]);
    let rows: Vec<Vec<u32>> =
        data(100, 20).iter().map(|(text, _)| checkpoint.tokenizer.whole(text).unwrap().0).collect();
    let logits = head(&mut checkpoint, &rows).unwrap();
    let classes: Vec<u32> = data(100, 20).iter().map(|(_, class)| *class as u32).collect();
    let classes = Tensor::new(classes, &Device::Cpu).unwrap();
    let loss =
        candle_nn::loss::cross_entropy(&logits, &classes).unwrap().to_scalar::<f32>().unwrap();
    let wanted = best.valid_loss.unwrap();
    assert!((f64::from(loss) - wanted).abs() < 1e-4, "merged {loss}, while tuning {wanted}");
}

#[test]
fn tuning_refuses_what_it_cannot_use() {
    let base = copy("llama");
    tokenizer(base.path());
    let out = tempfile::tempdir().unwrap();
    let open = |classes: &[&str], settings: Settings| {
        let checkpoint = Pretrained::open(base.path(), None).unwrap();
        let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
        Tuner::open(checkpoint, &classes, (&data(0, 8), &[]), settings, out.path(), &Device::Cpu)
    };
    let message = open(&["one"], settings()).err().unwrap().to_string();
    assert!(message.contains("at least 2 classes"), "{message}");
    let odd = Settings { targets: vec!["c_attn".into()], ..settings() };
    let message = open(&["a", "b"], odd).err().unwrap().to_string();
    assert!(message.contains("`c_attn`") && message.contains("--targets"), "{message}");
    let mut first = open(&["a", "b"], settings()).unwrap();
    run(&mut first, 1);
    first.checkpoint().unwrap();
    let other = Settings { rate: 1e-3, ..settings() };
    let message = open(&["a", "b"], other).err().unwrap().to_string();
    assert!(
        message.contains("checkpoint.safetensors") && message.contains("settings"),
        "{message}"
    );
}
