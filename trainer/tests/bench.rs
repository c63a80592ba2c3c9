//! The binary's `bench`: figures are there and consistent, and wrong use is refused; no time is judged.

use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qdllm")).arg("bench").args(args).output().unwrap()
}

#[test]
fn four_figures_with_their_share_of_the_peak() {
    let output = bench(&["--seconds", "0.01", "--batch", "40", "--gradient-batch", "20", "--json"]);
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
        (["--batch", "0"], "at least one sample"),
        (["--gradient-batch", "0"], "at least one sample"),
        (["--seconds", "0"], "--seconds is 0"),
    ] {
        let output = bench(&args);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(needle));
    }
}
