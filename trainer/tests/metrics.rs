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
    let pairs = [(0, 0), (0, 0), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 1), (2, 2), (2, 2)];
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
    let one_hot = |p: usize| -> Vec<f32> { (0..20).map(|c| f32::from(u8::from(c == p))).collect() };
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
