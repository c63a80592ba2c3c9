//! The command end to end on tiny models: labels in, soft labels out, interrupted and resumed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use qdllm_trainer::commands::teach::{TeachArgs, run};
use qdllm_trainer::data::soft::SoftLabels;

use super::tiny::{llama_weights, write_bert, write_llama};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    teach: TeachArgs,
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// A folder with two tiny models, 120 labelled texts and a test file: the class is the last word.
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        write_llama(&bench.path("tiny.gguf"), "llama", &llama_weights());
        std::fs::create_dir(bench.path("bert")).unwrap();
        write_bert(&bench.path("bert"));
        let rows = |from: usize, to: usize| {
            let mut out = String::new();
            for i in from..to {
                let word = ["on", "off"][i % 2];
                let _ = writeln!(out, "{word}\tplease turn the light {i} {word}");
            }
            out
        };
        std::fs::write(bench.path("data.tsv"), rows(0, 120)).unwrap();
        std::fs::write(bench.path("test.tsv"), rows(200, 260)).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, extra: &str) -> anyhow::Result<()> {
        self.command(&["teach", "--json", "--prompt", "say {text} now"], extra)
    }

    /// Without a prompt.
    fn plain(&self, extra: &str) -> anyhow::Result<()> {
        self.command(&["teach", "--json"], extra)
    }

    fn command(&self, fixed: &[&str], extra: &str) -> anyhow::Result<()> {
        let place = |word: &str| word.replace('@', &format!("{}/", self.folder.path().display()));
        let fixed = fixed.iter().map(ToString::to_string);
        run(&Cli::parse_from(fixed.chain(extra.split_whitespace().map(place))).teach)
    }
}

const BOTH: &str =
    "--model @tiny.gguf --model @bert --data @data.tsv --labels-per-class 10 --test @test.tsv";

fn right(soft: &SoftLabels, file: &Path) -> f64 {
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<(&str, &str)> = text.lines().map(|l| l.split_once('\t').unwrap()).collect();
    let right = rows.iter().filter(|(label, text)| {
        let logits = soft.get(text).unwrap();
        let top = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        soft.classes[top] == *label
    });
    right.count() as f64 / rows.len() as f64
}

#[test]
fn two_models_teach_and_a_run_that_ended_early_is_taken_up() {
    let bench = Bench::new();
    bench.run(&format!("{BOTH} --out @soft.jsonl")).unwrap();
    let first = std::fs::read(bench.path("soft.jsonl")).unwrap();
    let soft = SoftLabels::read(&bench.path("soft.jsonl")).unwrap();
    assert_eq!(
        (soft.texts(), soft.classes.as_slice()),
        (120, ["off", "on"].map(String::from).as_slice())
    );
    assert!(soft.teacher.name.contains("tiny + bert"), "{:?}", soft.teacher);
    assert!(
        !soft.teacher.command.contains(bench.folder.path().to_str().unwrap()),
        "{}",
        soft.teacher.command
    );
    let share = right(&soft, &bench.path("data.tsv"));
    assert!(share > 0.9, "the teacher is right on {share} of texts whose last word is the class");

    // Ended while writing the output: half a file under the partial name, features torn in the middle of a record.
    std::fs::remove_file(bench.path("soft.jsonl")).unwrap();
    std::fs::write(bench.path("soft.jsonl.partial"), &first[..first.len() / 2]).unwrap();
    for entry in std::fs::read_dir(bench.path("teacher-cache")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 3 / 5]).unwrap();
    }
    bench.run(&format!("{BOTH} --out @soft.jsonl")).unwrap();
    assert!(std::fs::read(bench.path("soft.jsonl")).unwrap() == first, "resumed run differs");
    assert!(!bench.path("soft.jsonl.partial").exists());

    // And with nothing left behind at all.
    bench.run(&format!("{BOTH} --out @soft.jsonl --cache @fresh")).unwrap();
    let again = SoftLabels::read(&bench.path("soft.jsonl")).unwrap();
    for line in std::fs::read_to_string(bench.path("data.tsv")).unwrap().lines() {
        let text = line.split_once('\t').unwrap().1;
        assert_eq!(soft.get(text), again.get(text));
    }
}

#[test]
fn hidden_labels_do_not_reach_the_teacher() {
    let bench = Bench::new();
    bench.run(&format!("{BOTH} --out @honest.jsonl --cache @cache")).unwrap();
    // The labels that draw 0 sets aside are taken out of the files altogether; no soft label may move.
    let text = std::fs::read_to_string(bench.path("data.tsv")).unwrap();
    let rows: Vec<(String, String)> = text
        .lines()
        .map(|l| l.split_once('\t').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap())
        .collect();
    let keep = qdllm_trainer::data::labelled::draw_labels(&rows, 10, 0);
    let (mut known, mut plain) = (String::new(), String::new());
    for ((label, text), keep) in rows.iter().zip(keep) {
        let _ = if keep { writeln!(known, "{label}\t{text}") } else { writeln!(plain, "{text}") };
    }
    std::fs::write(bench.path("known.tsv"), known).unwrap();
    std::fs::write(bench.path("plain.txt"), plain).unwrap();
    bench
        .run("--model @tiny.gguf --model @bert --data @known.tsv --unlabelled @plain.txt --test @test.tsv --out @apart.jsonl --cache @cache")
        .unwrap();
    let honest = SoftLabels::read(&bench.path("honest.jsonl")).unwrap();
    let apart = SoftLabels::read(&bench.path("apart.jsonl")).unwrap();
    for (_, text) in &rows {
        assert_eq!(honest.get(text), apart.get(text), "{text}");
    }
}

#[test]
fn a_dry_run_measures_a_local_model_and_writes_nothing() {
    let bench = Bench::new();
    bench.run("--model @tiny.gguf --data @data.tsv --out @soft.jsonl --dry-run").unwrap();
    assert!(!bench.path("soft.jsonl").exists() && !bench.path("teacher-cache").exists());
    let alone = bench.plain("--tfidf --data @data.tsv --out @soft.jsonl --dry-run");
    assert!(alone.unwrap_err().to_string().contains("--dry-run"));
}

#[test]
fn wrong_labels_are_suspected_by_every_kind_of_teacher() {
    let bench = Bench::new();
    let mut rows = std::fs::read_to_string(bench.path("data.tsv")).unwrap();
    for wrong in [7, 30] {
        let line = rows.lines().nth(wrong).unwrap().to_owned();
        let (label, text) = line.split_once('\t').unwrap();
        let other = if label == "on" { "off" } else { "on" };
        rows = rows.replace(&line, &format!("{other}\t{text}"));
    }
    std::fs::write(bench.path("data.tsv"), rows).unwrap();
    for teacher in ["--tfidf", "--model @tiny.gguf", "--model @tiny.gguf --tfidf"] {
        let args = format!("{teacher} --data @data.tsv --out @soft.jsonl --suspects @suspects.tsv");
        match teacher.starts_with("--model") {
            true => bench.run(&args).unwrap(),
            false => bench.plain(&args).unwrap(),
        }
        let found = std::fs::read_to_string(bench.path("suspects.tsv")).unwrap();
        for wrong in ["off\ton\t0.", "on\toff\t0."] {
            assert!(found.lines().any(|line| line.starts_with(wrong)), "{teacher}: {found}");
        }
        let texts: Vec<&str> = found.lines().map(|l| l.rsplit('\t').next().unwrap()).collect();
        for wrong in ["light 7 off", "light 30 on"] {
            assert!(texts.iter().any(|text| text.ends_with(wrong)), "{teacher}: {found}");
        }
        assert!(texts.len() <= 6, "{teacher}: {found}");
    }
}

#[test]
fn zero_shot_needs_no_labels() {
    let bench = Bench::new();
    std::fs::write(bench.path("plain.txt"), "turn it on\nturn it off\nwell\n").unwrap();
    let zero = "--model @tiny.gguf --method zero-shot --unlabelled @plain.txt";
    bench.run(&format!("{zero} --classes turn_on,turn_off --out @zero.jsonl")).unwrap();
    let soft = SoftLabels::read(&bench.path("zero.jsonl")).unwrap();
    assert_eq!((soft.texts(), soft.classes.len()), (3, 2));
    assert!(soft.teacher.method.contains("turn on"), "{}", soft.teacher.method);

    for (classes, says) in [
        ("one", "at least 2"),
        ("a,b --class-words same,same", "share"),
        ("a,b --class-words x", "phrases"),
        ("a,b --class-words on|off,off", "share"),
    ] {
        let message = bench
            .run(&format!("{zero} --classes {classes} --out @zero.jsonl"))
            .unwrap_err()
            .to_string();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn several_phrases_a_class_are_combined_and_calibrated() {
    let bench = Bench::new();
    std::fs::write(bench.path("plain.txt"), "turn it on\nturn it off\nwell\n").unwrap();
    let ask = |words: &str, extra: &str| {
        let zero = "--model @tiny.gguf --method zero-shot --unlabelled @plain.txt --classes a,b";
        bench.run(&format!("{zero} --class-words {words} {extra} --out @zero.jsonl")).unwrap();
        let soft = SoftLabels::read(&bench.path("zero.jsonl")).unwrap();
        (soft.get("well").unwrap().to_vec(), soft.teacher.method)
    };
    let (one, method) = ask("on,off", "");
    assert!(method.contains("empty") && !method.contains("phrases"), "{method}");
    let (raw, method) = ask("on,off", "--no-calibration");
    assert!(!method.contains("empty"), "{method}");
    assert!(raw.iter().all(|&v| v < 0.0), "log-probabilities: {raw:?}");
    assert_ne!(one, raw);
    let (other, _) = ask("up,off", "");
    let (mean, method) = ask("on|up,off", "--several mean");
    assert!(method.contains("mean over"), "{method}");
    // Files of soft labels hold four decimals.
    assert!(
        (mean[0] - (one[0] + other[0]) / 2.0).abs() < 3e-4,
        "{mean:?} of {one:?} and {other:?}"
    );
    let (any, _) = ask("on|up,off", "");
    let wanted = ((one[0].exp() + other[0].exp()) / 2.0).ln();
    assert!((any[0] - wanted).abs() < 3e-4 && (any[1] - one[1]).abs() < 3e-4, "{any:?}");
}

#[test]
fn a_classification_head_teaches_with_and_without_an_adapter() {
    use super::families::{case, copy, tokenizer};
    let bench = Bench::new();
    let folder = copy("llama");
    tokenizer(folder.path());
    std::fs::write(bench.path("plain.txt"), "w5 w9\nw6\n").unwrap();
    let model = folder.path().display();
    let head = |extra: &str| {
        let fixed = format!("--model {model} --method head --unlabelled @plain.txt --out @h.jsonl");
        bench.plain(&format!("{fixed} {extra}"))?;
        anyhow::Ok(SoftLabels::read(&bench.path("h.jsonl"))?)
    };
    let own = head("").unwrap();
    assert_eq!(own.classes, ["calm", "glad", "sad"]);
    let turned = head("--classes sad,calm,glad").unwrap();
    let (a, b) = (own.get("w6").unwrap(), turned.get("w6").unwrap());
    assert_eq!([a[2], a[0], a[1]], [b[0], b[1], b[2]], "classes are matched by name");
    let adapter = case("llama-lora");
    let tuned = head(&format!("--adapter {}", adapter.display())).unwrap();
    assert_ne!(own.get("w6"), tuned.get("w6"));
    for (extra, says) in [
        ("--classes a,b,c", "calm, glad, sad"),
        ("--classes a,b", "3 outputs"),
        ("--prompt {text}", "--prompt"),
    ] {
        let message = head(extra).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("id2label", "names")).unwrap();
    assert!(head("").unwrap_err().to_string().contains("--classes"));
    assert_eq!(head("--classes a,b,c").unwrap().get("w6"), own.get("w6"));
}

#[test]
fn a_head_of_one_output_or_none_is_refused() {
    use super::families::{copy, tokenizer};
    let bench = Bench::new();
    std::fs::write(bench.path("plain.txt"), "w5 w9\nw6\n").unwrap();
    let folder = copy("bert");
    tokenizer(folder.path());
    let path = folder.path().join("model.safetensors");
    let whole = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let model = folder.path().display();
    let refusal = |rows: usize| {
        let mut tensors = whole.clone();
        for name in ["classifier.weight", "classifier.bias"] {
            match rows {
                0 => tensors.remove(name),
                n => tensors.insert(name.into(), whole[name].narrow(0, 0, n).unwrap()),
            };
        }
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let args = format!("--model {model} --method head --unlabelled @plain.txt --out @h.jsonl");
        bench.plain(&args).unwrap_err().to_string()
    };
    assert!(refusal(1).contains("at least 2 classes"), "{}", refusal(1));
    assert!(refusal(0).contains("`classifier.weight`"), "{}", refusal(0));
}

#[test]
fn bad_labels_are_refused_and_the_output_is_left_alone() {
    let bench = Bench::new();
    std::fs::write(bench.path("soft.jsonl"), "mine").unwrap();
    for (data, says) in [
        ("on\ta\non\tb\n", "at least 2 classes"),
        ("on\ta\non\tb\noff\tc\n", "`off`"),
        ("on\ta\noff\ta\n", "bad.tsv:2"),
        ("on a\n", "bad.tsv:1"),
    ] {
        std::fs::write(bench.path("bad.tsv"), data).unwrap();
        let message = format!(
            "{:#}",
            bench
                .run("--model @bert --data @bad.tsv --out @soft.jsonl --conflicts refuse")
                .unwrap_err()
        );
        assert!(message.contains(says), "{message}");
    }
    std::fs::write(bench.path("bad.tsv"), "on\ta\noff\ta\n").unwrap();
    let message = bench.run("--model @bert --data @bad.tsv --out @soft.jsonl").unwrap_err();
    assert!(message.to_string().contains("no text is left to label"), "{message:#}");
    std::fs::write(bench.path("bad.tsv"), "dim\ta text\n").unwrap();
    let message = bench
        .run("--model @bert --data @data.tsv --test @bad.tsv --out @soft.jsonl")
        .unwrap_err()
        .to_string();
    assert!(message.contains("bad.tsv:1") && message.contains("`dim`"), "{message}");
    let message =
        bench.run("--model @nothing --data @data.tsv --out @soft.jsonl").unwrap_err().to_string();
    assert!(message.contains("does not exist"), "{message}");
    assert_eq!(std::fs::read(bench.path("soft.jsonl")).unwrap(), b"mine");
}

#[test]
fn hidden_states_are_written_for_students_that_take_vectors() {
    use qdllm_trainer::data::tensors::Table;
    use qdllm_trainer::data::vectors::Vectors;

    let bench = Bench::new();
    let args = "--model @tiny.gguf --data @data.tsv --test @test.tsv --out @soft.jsonl";
    bench.run(&format!("{args} --export-vectors @v.safetensors --export-layer 2")).unwrap();
    let table = Table::read(&bench.path("v.safetensors"), "vectors").unwrap();
    assert_eq!((table.rows(), table.width), (180, super::tiny::WIDTH), "data and test, each once");
    assert!(table.metadata["cell"].starts_with("layer 2 "), "{:?}", table.metadata);
    let files = [bench.path("v.safetensors")];
    let vectors = Vectors::read(&files, &[], &qdllm_trainer::data::RowOptions::default()).unwrap();
    let two = ["please turn the light 0 on", "please turn the light 201 off"];
    assert!(two.iter().all(|text| vectors.get(text).is_some()));
    assert_ne!(vectors.get(two[0]), vectors.get(two[1]));
    let message = bench
        .run(&format!("{args} --export-vectors @v.safetensors --export-layer 9 --cache @other"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("--export-layer 9"), "{message}");
}
