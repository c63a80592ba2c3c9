//! The command end to end on tiny models: labels in, soft labels out, interrupted and resumed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use qdllm_trainer::commands::teach::{TeachArgs, run};
use qdllm_trainer::soft::SoftLabels;

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
        let fixed = ["teach", "--prompt", "say {text} now", "--json"].map(String::from);
        let place = |word: &str| word.replace('@', &format!("{}/", self.folder.path().display()));
        run(&Cli::parse_from(fixed.into_iter().chain(extra.split_whitespace().map(place))).teach)
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
        (soft.len(), soft.classes.as_slice()),
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
    let keep = qdllm_trainer::draws::draw_labels(&rows, 10, 0);
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
fn zero_shot_needs_no_labels() {
    let bench = Bench::new();
    std::fs::write(bench.path("plain.txt"), "turn it on\nturn it off\nwell\n").unwrap();
    let zero = "--model @tiny.gguf --method zero-shot --unlabelled @plain.txt";
    bench.run(&format!("{zero} --classes turn_on,turn_off --out @zero.jsonl")).unwrap();
    let soft = SoftLabels::read(&bench.path("zero.jsonl")).unwrap();
    assert_eq!((soft.len(), soft.classes.len()), (3, 2));
    assert!(soft.teacher.method.contains("turn on"), "{}", soft.teacher.method);

    for (classes, says) in [
        ("one", "at least 2"),
        ("a,b --class-words same,same", "share"),
        ("a,b --class-words x", "phrases"),
    ] {
        let message = bench
            .run(&format!("{zero} --classes {classes} --out @zero.jsonl"))
            .unwrap_err()
            .to_string();
        assert!(message.contains(says), "{message}");
    }
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
            bench.run("--model @bert --data @bad.tsv --out @soft.jsonl").unwrap_err()
        );
        assert!(message.contains(says), "{message}");
    }
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
    use qdllm_trainer::dense::vectors::Vectors;
    use qdllm_trainer::tensors::Table;

    let bench = Bench::new();
    let args = "--model @tiny.gguf --data @data.tsv --test @test.tsv --out @soft.jsonl";
    bench.run(&format!("{args} --export-vectors @v.safetensors --export-layer 2")).unwrap();
    let table = Table::read(&bench.path("v.safetensors"), "vectors").unwrap();
    assert_eq!((table.len(), table.width), (180, super::tiny::WIDTH), "data and test, each once");
    assert!(table.metadata["cell"].starts_with("layer 2 "), "{:?}", table.metadata);
    let files = [bench.path("v.safetensors")];
    let vectors = Vectors::read(&files, &[], qdllm_trainer::data::BadRows::Refuse).unwrap();
    let two = ["please turn the light 0 on", "please turn the light 201 off"];
    assert!(two.iter().all(|text| vectors.get(text).is_some()));
    assert_ne!(vectors.get(two[0]), vectors.get(two[1]));
    let message = bench
        .run(&format!("{args} --export-vectors @v.safetensors --export-layer 9 --cache @other"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("--export-layer 9"), "{message}");
}
