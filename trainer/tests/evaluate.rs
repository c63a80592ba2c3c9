//! What a model answers and how it is judged: files in batches, metrics, speed.

mod many {
    //! Files in batches: the answers of the runtime text by text, whatever the number of threads.

    use qdllm_runtime::{MAX_CLASSES, Model, Scratch};
    use qdllm_trainer::inference::BatchClassifier;
    use std::fmt::Write as _;
    use std::path::Path;
    use std::process::Command;

    const TRAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/commands/train.tsv");

    fn qdllm(threads: &str, args: &[&str]) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qdllm"));
        let output = command.args(args).env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// A small model of the shipped commands.
    fn model(folder: &Path, threads: &str) -> Vec<u8> {
        let out = folder.join(format!("model-{threads}.qdm"));
        let out = out.to_str().unwrap();
        let sizes =
            ["--rows", "96", "--epochs", "2", "--least-steps", "1", "--labels-per-class", "30"];
        let mut args = vec!["distill", "--data", TRAIN, "--out", out];
        args.extend(sizes);
        qdllm(threads, &args);
        std::fs::read(out).unwrap()
    }

    #[test]
    fn batches_answer_as_the_runtime_does_text_by_text() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = model(folder.path(), "1");
        let model = Model::parse(&bytes).unwrap();
        let rows = std::fs::read_to_string(TRAIN).unwrap();
        let mut texts: Vec<&str> =
            rows.lines().filter_map(|l| Some(l.split_once('\t')?.1)).step_by(3).collect();
        texts.push("");
        let (many, mut scratch) = (BatchClassifier::new(&model), Box::new(Scratch::new()));
        let mut largest = 0.0_f32;
        for (text, answer) in texts.iter().zip(many.classify(&texts).unwrap()) {
            let alone = model.classify(text, &mut scratch).unwrap();
            let mut memory = [0.0; MAX_CLASSES];
            let together = many.prediction(&answer, &mut memory).unwrap();
            assert_eq!(
                (together.class(), together.found()),
                (alone.class(), alone.found()),
                "{text}"
            );
            assert_eq!(together.probabilities(), answer.probabilities);
            for (a, b) in together.probabilities().iter().zip(alone.probabilities()) {
                largest = largest.max((a - b).abs());
            }
        }
        println!("{} texts, largest difference of a probability {largest:.1e}", texts.len());
        assert!(largest < 2e-6, "{largest:e}");
    }

    #[test]
    fn the_number_of_threads_changes_no_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (model(folder.path(), "1"), model(folder.path(), "2"));
        assert_eq!(one, two, "distill");
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (model, texts) = (path("model-1.qdm"), path("texts.txt"));
        let mut lines = String::new();
        for row in std::fs::read_to_string(TRAIN).unwrap().lines().take(1000) {
            let _ = writeln!(lines, "{}", row.split_once('\t').unwrap().1);
        }
        std::fs::write(&texts, &lines).unwrap();
        let classify = ["classify", &model, "--input", &texts, "--json"];
        let answers = qdllm("1", &classify);
        assert_eq!(answers.iter().filter(|&&b| b == b'\n').count(), 1000);
        assert_eq!(answers, qdllm("2", &classify), "classify");
        let eval = ["eval", &model, "--data", TRAIN, "--no-control", "--json"];
        // Time and memory are of one run and belong to no result.
        let report = |threads: &str| -> serde_json::Value {
            let mut report: serde_json::Value =
                serde_json::from_slice(&qdllm(threads, &eval)).unwrap();
            for figure in ["microseconds_per_text", "peak_memory_bytes"] {
                assert!(report.as_object_mut().unwrap().remove(figure).is_some(), "{figure}");
            }
            report
        };
        assert_eq!(report("1"), report("2"), "eval");
    }

    #[test]
    fn a_bad_line_ends_a_file_after_the_answers_before_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("bad.txt"),
            b"turn on the light\nset a timer\n\xff\xfe\n",
        )
        .unwrap();
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/words_v1.qdm");
        let output = Command::new(env!("CARGO_BIN_EXE_qdllm"))
            .current_dir(folder.path())
            .args(["classify", model, "--input", "bad.txt"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout.iter().filter(|&&b| b == b'\n').count(), 2);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("bad.txt:3: not UTF-8"), "{message}");
    }
}

mod metrics {
    //! Metrics against sums done by hand.

    use qdllm_trainer::metrics::Report;
    use qdllm_trainer::numeric::argmax;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    fn near(found: f64, expected: f64) {
        // The probabilities come in as f32.
        assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
    }

    /// Ten texts of classes a (5), b (3), c (2); the confusion matrix is
    /// a: 3 1 1, b: 1 2 0, c: 0 0 2.
    fn ten() -> (Vec<usize>, Vec<Vec<f32>>) {
        let pairs =
            [(0, 0), (0, 0), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 1), (2, 2), (2, 2)];
        let row = |p: usize| (0..3).map(|c| if c == p { 0.5 } else { 0.25 }).collect();
        pairs.iter().map(|&(t, p)| (t, row(p))).unzip()
    }

    #[test]
    fn scores_by_hand() {
        let (truth, probabilities) = ten();
        let report = Report::from(&names(&["a", "b", "c"]), &truth, &probabilities);
        assert_eq!(report.texts, 10);
        assert_eq!(report.confusion, [[3, 1, 1], [1, 2, 0], [0, 0, 2]]);
        near(report.accuracy, 0.7);
        near(report.standard_error, 0.144_913_767_46); // sqrt(0.7 * 0.3 / 10)
        let [a, b, c] = &report.per_class[..] else { panic!() };
        near(a.scores.precision, 3.0 / 4.0);
        near(a.scores.recall, 3.0 / 5.0);
        near(a.scores.f1, 2.0 / 3.0);
        near(b.scores.precision, 2.0 / 3.0);
        near(b.scores.recall, 2.0 / 3.0);
        near(b.scores.f1, 2.0 / 3.0);
        near(c.scores.precision, 2.0 / 3.0);
        near(c.scores.recall, 1.0);
        near(c.scores.f1, 0.8);
        assert_eq!((a.support, b.support, c.support), (5, 3, 2));
        assert_eq!((a.predicted, b.predicted, c.predicted), (4, 3, 3));
        near(report.macro_avg.precision, 25.0 / 36.0); // (3/4 + 2/3 + 2/3) / 3
        near(report.macro_avg.recall, 34.0 / 45.0); // (3/5 + 2/3 + 1) / 3
        near(report.macro_avg.f1, 32.0 / 45.0); // (2/3 + 2/3 + 4/5) / 3
        near(report.weighted_avg.precision, 17.0 / 24.0); // (5*3/4 + 3*2/3 + 2*2/3) / 10
        near(report.weighted_avg.recall, 0.7);
        near(report.weighted_avg.f1, 52.0 / 75.0); // (5*2/3 + 3*2/3 + 2*4/5) / 10
        // All in one bin: |7/10 - 0.5|.
        near(report.calibration_error, 0.2);
    }

    #[test]
    fn calibration_by_hand() {
        // Bins are 1/15 wide: 0.60 and 0.65 fall in [9/15, 10/15), 0.95 and 1.0 in [14/15, 1].
        let probabilities = [[0.6, 0.4], [0.35, 0.65], [0.95, 0.05], [1.0, 0.0_f32]];
        let report = Report::from(&names(&["a", "b"]), &[0, 0, 0, 0], &probabilities);
        // First bin: 1 of 2 right, mean 0.625; second: 2 of 2 right, mean 0.975.
        near(report.calibration_error, (2.0 * 0.125 + 2.0 * 0.025) / 4.0);
        // As slices of a flat table.
        let flat = [0.6_f32, 0.4, 0.35, 0.65];
        let rows: Vec<&[f32]> = flat.chunks(2).collect();
        let flat = Report::from(&names(&["a", "b"]), &[0, 1], &rows);
        near(flat.calibration_error, 0.375);
    }

    #[test]
    fn classes_that_do_not_occur_do_not_count() {
        let probabilities = [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0_f32]];
        let report = Report::from(&names(&["a", "b", "none"]), &[0, 1], &probabilities);
        near(report.macro_avg.f1, 1.0);
        near(report.per_class[2].scores.f1, 0.0);
        // Predicted but never true does count.
        let probabilities = [[0.9, 0.0, 0.1], [0.2, 0.0, 0.8_f32]];
        let report = Report::from(&names(&["a", "b", "c"]), &[0, 0], &probabilities);
        near(report.macro_avg.recall, 0.25);
        near(report.weighted_avg.recall, 0.5);
    }

    #[test]
    fn equals_go_to_the_first() {
        assert_eq!(argmax(&[0.25, 0.25, 0.25, 0.25]), 0);
        assert_eq!(argmax(&[0.1, 0.45, 0.45]), 1);
    }

    #[test]
    fn the_table_is_aligned() {
        let (truth, probabilities) = ten();
        let report = Report::from(&names(&["a", "bé", "c"]), &truth, &probabilities);
        let expected = "\
texts             10
accuracy          0.7000 (standard error 0.1449)
calibration error 0.2000 (15 bins of equal width)

class          precision  recall      f1  support
a                 0.7500  0.6000  0.6667        5
bé                0.6667  0.6667  0.6667        3
c                 0.6667  1.0000  0.8000        2
macro mean        0.6944  0.7556  0.7111       10
weighted mean     0.7083  0.7000  0.6933       10

true \\ predicted  a  bé  c
a                 3   1  1
bé                1   2  0
c                 0   0  2
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn many_classes_show_the_mistakes_instead() {
        let names: Vec<String> = (0..20).map(|i| format!("c{i}")).collect();
        let one_hot =
            |p: usize| -> Vec<f32> { (0..20).map(|c| f32::from(u8::from(c == p))).collect() };
        let probabilities: Vec<Vec<f32>> = [3, 3, 1, 4].map(one_hot).to_vec();
        let text = Report::from(&names, &[2, 2, 1, 5], &probabilities).to_string();
        let mistakes = "\
most frequent mistakes (true -> predicted)
      2  c2 -> c3
      1  c5 -> c4
";
        assert!(text.ends_with(mistakes), "{text}");
    }

    #[test]
    fn json_has_every_figure() {
        let (truth, probabilities) = ten();
        let report = Report::from(&names(&["a", "b", "c"]), &truth, &probabilities);
        let json = serde_json::to_value(&report).unwrap();
        near(json["macro_avg"]["f1"].as_f64().unwrap(), 32.0 / 45.0);
        assert_eq!(json["per_class"][1]["class"], "b");
        assert_eq!(json["per_class"][1]["support"], 3);
        assert_eq!(json["confusion"][0][0], 3);
    }
}

mod bench {
    //! The binary's `bench`: figures are there and consistent, and wrong use is refused; no time is judged.

    use std::process::{Command, Output};

    fn bench(args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_qdllm")).arg("bench").args(args).output().unwrap()
    }

    #[test]
    fn four_figures_with_their_share_of_the_peak() {
        let output =
            bench(&["--seconds", "0.01", "--batch", "40", "--gradient-batch", "20", "--json"]);
        assert!(output.status.success());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let figures = report["figures"].as_array().unwrap();
        assert_eq!(figures.len(), 4);
        for (figure, work) in figures.iter().zip(["inference", "gradient"].iter().cycle()) {
            assert_eq!(figure["work"], *work);
            let number = |key: &str| figure[key].as_f64().unwrap();
            assert!(number("best_us") > 0.0 && number("best_us") <= number("median_us"));
            let first = figures[..2].contains(figure);
            let peak = if first { "peak_one_giga" } else { "peak_all_giga" };
            let rate = number("operations") / number("best_us") / 1e3;
            let share = rate / report[peak].as_f64().unwrap();
            assert!((share - number("peak_fraction")).abs() < 1e-6 * share.max(1.0));
        }
        // What the module says the fused arithmetic comes to.
        assert_eq!(figures[0]["operations"], 81_856);
        assert_eq!(figures[1]["operations"], 227_936);
    }

    #[test]
    fn empty_batches_and_no_time_are_refused() {
        for (args, needle) in [
            (["--batch", "0"], "at least 1"),
            (["--gradient-batch", "0"], "at least 1"),
            (["--seconds", "0"], "--seconds"),
        ] {
            let output = bench(&args);
            assert_eq!(output.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&output.stderr).contains(needle));
        }
    }
}

#[test]
fn a_text_of_which_nothing_is_known_is_said_to_be_rejected() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/commands.qdm");
    let texts = ["qwrtz", "", "turn off the porch light"];
    let classify = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qdllm"));
        command.args(["classify", model]).args(more).args(texts).output().unwrap()
    };
    let shown = classify(&[]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let told = |line: &str| line.contains("rejected: nothing of it is known");
    assert_eq!(shown.lines().map(told).collect::<Vec<_>>(), [true, true, false], "{shown}");
    let json = classify(&["--json"]);
    for (line, text) in String::from_utf8(json.stdout).unwrap().lines().zip(texts) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["rejected"], line["found"] == 0, "{text}: {line}");
    }
}
