//! The model's last layer in f64, with its labels: what turns expectations into logits.

use qdllm_runtime::format::Kind;
use qdllm_runtime::format::floats::Floats;
use qdllm_runtime::{Error, Model};

#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    pub weights: Vec<Vec<f64>>,
    pub biases: Vec<f64>,
    pub labels: Vec<String>,
    /// What divides the logits before the softmax.
    pub temperature: f64,
    pub reject_below: f64,
}

impl LinearHead {
    pub fn of(model: &Model<'_>) -> Result<Self, Error> {
        let (classes, outputs) = (model.classes(), model.program().outputs());
        let section = model.container().need(Kind::Head)?;
        let table = Floats::parse(section, classes * (outputs + 1), Error::BadHead)?;
        let number = |i: usize| f64::from(table.get(i));
        let row = |class: usize| (0..outputs).map(|k| number(class * outputs + k)).collect();
        Ok(Self {
            weights: (0..classes).map(row).collect(),
            biases: (0..classes).map(|class| number(classes * outputs + class)).collect(),
            labels: (0..classes).map(|class| model.label(class).to_owned()).collect(),
            temperature: f64::from(model.head().temperature()),
            reject_below: f64::from(model.head().reject_below()),
        })
    }

    pub fn outputs(&self) -> usize {
        self.weights.first().map_or(0, Vec::len)
    }

    pub fn logits(&self, expectations: &[f64]) -> Vec<f64> {
        let logit = |(row, bias): (&Vec<f64>, &f64)| {
            row.iter().zip(expectations).fold(*bias, |sum, (w, e)| sum + w * e)
        };
        self.weights.iter().zip(&self.biases).map(logit).collect()
    }

    /// One probability a class: softmax of `logit / temperature`.
    pub fn probabilities(&self, logits: &[f64]) -> Vec<f64> {
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<f64> =
            logits.iter().map(|l| ((l - highest) / self.temperature).exp()).collect();
        let sum: f64 = parts.iter().sum();
        parts.into_iter().map(|p| p / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::Scratch;

    #[test]
    fn it_is_the_models_own_head() {
        let model = Model::parse(include_bytes!("../../../tests/vectors/words_v1.qdm")).unwrap();
        let head = LinearHead::of(&model).unwrap();
        assert_eq!((head.labels.len(), head.outputs()), (model.classes(), 11));
        let mut scratch = Scratch::new();
        for text in ["turn on the light", "play music", ""] {
            let prediction = model.classify(text, &mut scratch).unwrap();
            let expectations: Vec<f64> =
                prediction.expectations().iter().map(|&e| f64::from(e)).collect();
            let ours = head.probabilities(&head.logits(&expectations));
            for (p, &q) in ours.iter().zip(prediction.probabilities()) {
                assert!((p - f64::from(q)).abs() < 1e-5, "{text}: {p} and {q}");
            }
        }
    }
}
