//! `qdllm reproduce`, end to end on a part of the shipped commands: ended at any moment and taken up, reported, refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands");

/// The classes of the shipped set that are used.
const CLASSES: [&str; 3] = ["climate", "list", "media"];

/// A folder with a small task in `data/topic` and settings that train in no time.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(bench.path("data/topic")).unwrap();
        for (from, to, most) in [("train.tsv", "train.tsv", 100), ("test.tsv", "valid.tsv", 30)] {
            let all = std::fs::read_to_string(Path::new(SHIPPED).join(from)).unwrap();
            let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
            let mut rows = String::new();
            for line in all.lines() {
                let label = line.split('\t').next().unwrap();
                if !CLASSES.contains(&label) {
                    continue;
                }
                let count = kept.entry(label).or_default();
                *count += 1;
                if *count <= most {
                    let _ = writeln!(rows, "{line}");
                }
            }
            std::fs::write(bench.path("data/topic").join(to), rows).unwrap();
        }
        let settings = "[training]\nepochs = 2\nleast_steps = 60\n[sources]\nholdout = 0.2\n";
        std::fs::write(bench.path("base.toml"), settings).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qdllm"));
        command.current_dir(self.0.path()).arg("reproduce").args(args.split_whitespace());
        command
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    fn good(&self, args: &str) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, args: &str, needles: &[&str]) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{args} was not refused");
        for needle in needles {
            assert!(said.contains(needle), "{args}: `{needle}` is missing in: {said}");
        }
    }

    /// The runs, without what differs between two equal ones.
    fn runs(&self, out: &str) -> BTreeMap<String, Value> {
        let text = std::fs::read_to_string(self.path(out).join("runs.jsonl")).unwrap();
        let mut runs = BTreeMap::new();
        for line in text.lines() {
            let mut run: Value = serde_json::from_str(line).unwrap();
            let fields = run.as_object_mut().unwrap();
            for name in ["finished", "peak_memory_bytes", "train_seconds", "microseconds_per_text"]
            {
                assert!(fields.remove(name).is_some(), "{name} is missing: {line}");
            }
            let name = |key: &str| fields[key].to_string();
            let place = ["task", "share", "seed", "method"].map(name).join(" ");
            assert!(runs.insert(place, run).is_none(), "a place was run twice: {line}");
        }
        runs
    }
}

#[test]
fn a_table_that_was_ended_anywhere_goes_on_and_comes_to_the_same() {
    let bench = Bench::new();
    let args = "--data data --tasks topic --seeds 1 --shares 100,20 --sizes 1k --config base.toml";
    bench.good(&format!("{args} --out whole"));
    let whole = bench.runs("whole");
    // Teacher, student with and without, linear control in three ways, two others, fastText, TF-IDF; by two shares.
    assert_eq!(whole.len(), 20);

    let (mut starts, mut last) = (0, 0);
    let lines = || {
        let text = std::fs::read_to_string(bench.path("broken/runs.jsonl")).unwrap_or_default();
        text.matches('\n').count()
    };
    for wanted in [1, 6, 11] {
        let mut command = bench.command(&format!("{args} --out broken --quiet"));
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        while lines() < wanted && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        starts += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(lines() >= last, "runs were lost");
        last = lines();
        // A write that was cut in the middle.
        let path = bench.path("broken/runs.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"task\":\"topic\",\"sh");
        std::fs::write(&path, text).unwrap();
    }
    assert!(starts >= 2, "the table was never interrupted");
    // Soft labels that were lost are made again.
    for entry in std::fs::read_dir(bench.path("broken/soft")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    bench.good(&format!("{args} --out broken"));
    assert_eq!(bench.runs("broken"), whole);
    for name in ["report.md", "report.json", "accuracy-bytes.svg", "accuracy-labels.svg"] {
        assert!(bench.path("broken").join(name).is_file(), "{name} is missing");
    }
    assert!(!bench.path("broken/work").exists());

    // Nothing is left to do, and nothing is done again.
    let before = std::fs::read(bench.path("broken/runs.jsonl")).unwrap();
    bench.good(&format!("{args} --out broken"));
    assert_eq!(std::fs::read(bench.path("broken/runs.jsonl")).unwrap(), before);

    // Other settings, another version, other data: named, and nothing is mixed.
    std::fs::write(bench.path("base.toml"), "[training]\nepochs = 3\n").unwrap();
    bench.refused(&format!("{args} --out broken"), &["set of settings", "--restart", "broken"]);
    std::fs::write(
        bench.path("base.toml"),
        "[training]\nepochs = 2\nleast_steps = 60\n[sources]\nholdout = 0.2\n",
    )
    .unwrap();
    let text = String::from_utf8(before.clone()).unwrap();
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let older = text.replacen(&version, "\"version\":\"0.0.1\"", 1);
    std::fs::write(bench.path("broken/runs.jsonl"), older).unwrap();
    bench.refused(&format!("{args} --out broken"), &["another version", "0.0.1 then"]);
    std::fs::write(bench.path("broken/runs.jsonl"), &before).unwrap();
    let train = bench.path("data/topic/train.tsv");
    let rows = std::fs::read_to_string(&train).unwrap();
    let more = format!("{rows}{}\tone text more\n", rows.split('\t').next().unwrap());
    std::fs::write(&train, more).unwrap();
    bench.refused(&format!("{args} --out broken"), &["training file", "--restart", "topic"]);
    assert_eq!(std::fs::read(bench.path("broken/runs.jsonl")).unwrap(), before);
}

#[test]
fn hidden_states_bring_the_paper_s_student_and_a_teacher_of_probes() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("states")).unwrap();
    // The dense presets learn at slow rates.
    std::fs::write(bench.path("base.toml"), "[training]\nleast_steps = 800\n").unwrap();
    let mut lines = String::new();
    let (mut classes, mut state) = (Vec::new(), 3_u64);
    for file in ["train.tsv", "valid.tsv"] {
        for row in std::fs::read_to_string(bench.path("data/topic").join(file)).unwrap().lines() {
            let (label, text) = row.split_once('\t').unwrap();
            if !classes.contains(&label.to_owned()) {
                classes.push(label.to_owned());
            }
            let class = classes.iter().position(|c| c == label).unwrap();
            let vector: Vec<f64> = (0..8)
                .map(|i| {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    f64::from(u8::from(i == class)) * 2.0 + (state >> 40) as f64 / (1 << 24) as f64
                })
                .collect();
            let _ = writeln!(lines, "{}", serde_json::json!({ "text": text, "vector": vector }));
        }
    }
    std::fs::write(bench.path("states/topic.jsonl"), &lines).unwrap();
    let args = "--data data --out out --tasks topic --seeds 1 --shares 20 --config base.toml \
                --vectors states --methods teacher,paper,dense,dense+teacher,edge-4k+teacher,edge-4k+tfidf";
    bench.good(args);
    let runs = bench.runs("out");
    assert_eq!(runs.len(), 6);
    for (place, run) in &runs {
        let least = if place.contains("teacher\"") { 0.85 } else { 0.7 };
        assert!(run["accuracy"].as_f64().unwrap() > least, "{place}: {run}");
        assert!(run["inputs"]["vectors"].is_string(), "{place}");
    }
    let page = std::fs::read_to_string(bench.path("out/report.md")).unwrap();
    assert!(page.contains("paper's student") && !page.contains("no hidden states"), "{page}");
    // The teacher of TF-IDF was nobody's method and taught all the same, from labels of its own.
    assert!(page.contains("| edge-4k+teacher - edge-4k+tfidf |"), "{page}");
    assert_eq!(std::fs::read_dir(bench.path("out/soft")).unwrap().count(), 2);

    let fewer = lines.lines().skip(1).fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(bench.path("states/topic.jsonl"), fewer).unwrap();
    bench.refused(args, &["topic.jsonl", "1 texts", "no vector"]);
}

/// A line of a run as the command writes it.
fn line(task: &str, share: u32, seed: u32, method: &str, accuracy: f64, bytes: u32) -> String {
    let run = serde_json::json!({
        "task": task, "share": share, "seed": seed, "method": method,
        "inputs": { "train": "a", "valid": "b" }, "settings": "c", "version": "0.1.0",
        "commit": null, "machine": "Test CPU, 2 cores", "finished": 1_700_000_000 + u64::from(seed),
        "labels": 100, "unlabelled": 0, "test_texts": 1000, "rows": null,
        "accuracy": accuracy, "precision": accuracy, "recall": accuracy, "f1": accuracy - 0.01,
        "parameters": 10, "bytes": bytes, "peak_memory_bytes": 3 << 20,
        "train_seconds": 1.5, "microseconds_per_text": 2.0,
    });
    run.to_string() + "\n"
}

#[test]
fn a_report_has_the_means_and_deviations_of_its_runs() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("out")).unwrap();
    let mut text = String::new();
    for (seed, accuracy) in [(0, 0.80), (1, 0.90), (2, 0.70)] {
        text += &line("topic", 100, seed, "edge-4k", accuracy, 1000);
        text += &line("topic", 100, seed, "linear", accuracy - 0.002, 900);
        text += &line("topic", 100, seed, "edge-4k+teacher", accuracy + 0.05, 1000);
        text += &line("topic", 100, seed, "edge-4k+tfidf", accuracy + 0.04, 1000);
        text += &line("topic", 100, seed, "teacher", accuracy + 0.09, 1000);
        text += &line("topic", 100, seed, "teacher-tfidf", accuracy + 0.01, 1000);
    }
    // The later run of a place counts.
    text += &line("senti", 10, 0, "tfidf", 0.1, 5_000_000);
    text += &line("senti", 10, 0, "tfidf", 0.7, 5_000_000);
    std::fs::write(bench.path("out/runs.jsonl"), text).unwrap();
    let report: Value =
        serde_json::from_str(&bench.good("--out out --report-only --json")).unwrap();
    assert_eq!(report["runs"], 19);
    assert_eq!(report["dates"][0], "2023-11-14 22:13");
    let tasks = report["tasks"].as_array().unwrap();
    assert_eq!(tasks[0]["figures"][0]["accuracy"]["mean"], 0.7);
    assert_eq!(tasks[0]["figures"][0]["accuracy"]["sd"], Value::Null);
    let student = tasks[1]["figures"].as_array().unwrap();
    let student = student.iter().find(|f| f["method"] == "edge-4k").unwrap();
    let near = |value: &Value, wanted: f64| (value.as_f64().unwrap() - wanted).abs() < 1e-12;
    assert!(near(&student["accuracy"]["mean"], 0.8) && near(&student["accuracy"]["sd"], 0.1));
    assert!(near(&student["f1"]["mean"], 0.79), "{student}");
    assert_eq!(student["seeds"], 3);
    let circuit = &report["findings"]["circuit"][0];
    assert!(near(&circuit["difference"]["mean"], 0.002), "{circuit}");
    assert!(circuit["difference"]["sd"].as_f64().unwrap() < 1e-12, "pairs, not groups: {circuit}");
    let said = report["findings"]["circuit_says"].as_str().unwrap();
    assert!(said.starts_with("The circuit is neutral"), "{said}");
    let said = report["findings"]["teacher_says"].as_str().unwrap();
    assert!(said.contains("+5.0 points") && said.contains("in 1 of 1"), "{said}");

    // Of the student alone: what the teachers themselves differ by is a row of its own.
    let said = report["findings"]["model_says"].as_str().unwrap();
    assert!(said.contains("+1.0 points") && said.contains("in 0 of 1"), "{said}");

    let page = std::fs::read_to_string(bench.path("out/report.md")).unwrap();
    for needle in [
        "| topic | 100% | teacher - teacher-tfidf | **+8.0** |",
        "| topic | 100% | 0.800 | 0.840 | 0.850 | 0.798 | 0.890 |  |",
        "| senti | 10% |  |  |  |  |  | 0.700 |",
        "| edge student, K = 4k, with TF-IDF as teacher |",
        "| edge student, K = 4k | 0.8000 ± 0.1000 |",
        "| TF-IDF + logistic regression | 0.7000 |",
        "no hidden states given",
        "Test CPU, 2 cores",
        "**+5.0**",
        "The circuit is neutral",
    ] {
        assert!(page.contains(needle), "`{needle}` is missing in:\n{page}");
    }
    for (name, needle) in
        [("accuracy-bytes.svg", "5000000"), ("accuracy-labels.svg", "edge student, K = 4k")]
    {
        let plot = std::fs::read_to_string(bench.path("out").join(name)).unwrap();
        assert!(plot.starts_with("<svg ") && plot.ends_with("</svg>\n"), "{name}");
        assert!(plot.contains("prefers-color-scheme: dark") && !plot.contains("NaN"), "{name}");
        assert!(name.contains("bytes") || plot.contains(needle), "{name}: {plot}");
    }
}

#[test]
fn committed_reports_come_out_of_their_runs_byte_for_byte() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/results");
    for folder in ["quick-2026-11-22", "ten-seeds-2026-11-22"] {
        let bench = Bench(tempfile::tempdir().unwrap());
        std::fs::create_dir(bench.path("out")).unwrap();
        let committed = |name: &str| std::fs::read(results.join(folder).join(name)).unwrap();
        for name in ["runs.jsonl", "settings.json"] {
            std::fs::write(bench.path("out").join(name), committed(name)).unwrap();
        }
        bench.good("--out out --report-only");
        for name in ["report.json", "report.md", "accuracy-bytes.svg", "accuracy-labels.svg"] {
            let made = std::fs::read(bench.path("out").join(name)).unwrap();
            assert!(made == committed(name), "{folder}/{name} differs");
        }
    }
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    let bench = Bench::new();
    bench.refused("--data nowhere --out out", &["nowhere", "--data"]);
    bench.refused(
        "--data data --out out --tasks senti",
        &["senti/train.tsv", "not found", "--tasks"],
    );
    std::fs::create_dir(bench.path("data/one")).unwrap();
    for name in ["train.tsv", "valid.tsv"] {
        std::fs::write(bench.path("data/one").join(name), "a\tx\na\ty\n").unwrap();
    }
    bench.refused("--data data --out out --tasks one", &["one/train.tsv", "every label is `a`"]);
    std::fs::write(bench.path("data/one/train.tsv"), "a\tx\nb\tz\n").unwrap();
    std::fs::write(bench.path("data/one/valid.tsv"), "c\ty\n").unwrap();
    bench.refused("--data data --out out --tasks one", &["one/valid.tsv", "label `c`"]);
    bench.refused("--data data --out out --methods edge-2k", &["edge-2k", "edge-4k+teacher"]);
    bench.refused("--out out --report-only", &["runs.jsonl"]);
    bench.refused("--data data --out out --shares 0", &["0"]);
    std::fs::write(bench.path("out/runs.jsonl"), "no run\n").unwrap();
    bench.refused("--data data --out out --tasks topic", &["runs.jsonl:1", "not a run"]);
    if !cfg!(feature = "teacher") {
        std::fs::write(bench.path("out/runs.jsonl"), "").unwrap();
        bench
            .refused("--data data --out out --tasks topic --model m.gguf", &["--features teacher"]);
    }
}
