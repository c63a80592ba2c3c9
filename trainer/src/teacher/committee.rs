//! A language model and a TF-IDF regression as one teacher: their log-probabilities averaged, and the regression taught
//! again by the average on the texts without labels.

use crate::regression::tfidf::Corpus;
use crate::teacher::calibration::{Calibrated, Labels, as_good_as, average, cool, losses, rows};
use crate::teacher::cross_validation::{HeldOut, stratified};
use crate::teacher::probe::{Findings, Options};
use crate::teacher::tfidf::TfidfTeacher;
use crate::teacher::{About, OnProgress, Teacher, Work};
use anyhow::Result;

/// Most texts without labels that take part: more cost time and gain little.
const POOL_TEXTS: usize = 20_000;

pub struct Member {
    pub teacher: Box<dyn Teacher>,
    /// Logits of the labelled texts that come from no fit on their labels.
    pub held_out: Vec<Vec<f32>>,
}

pub struct Committee {
    model: Option<Box<dyn Teacher>>,
    tfidf: Option<TfidfTeacher>,
    about: About,
    temperature: f64,
}

impl Committee {
    /// Fits the regression on labelled texts and joins it with `model`. A member that the labels show to do harm is left
    /// out. In each round the average labels the pool for the regression.
    pub fn fit(
        model: Option<Member>,
        (texts, labels): (&[&str], &[usize]),
        unlabelled: &[&str],
        classes: &[String],
        options: Options,
    ) -> Result<(Self, Findings)> {
        let fold = stratified(texts, labels, classes, options.seed)?;
        let labels = Labels { of: labels.to_vec(), classes: classes.len() };
        let pool = &unlabelled[..unlabelled.len().min(POOL_TEXTS)];
        let corpus = Corpus::over(&[texts, pool].concat());
        let words = HeldOut::measure(&corpus, &labels, &fold);
        let own = cool(&words.table, labels.classes, words.temperature);
        let of_model = model.as_ref().map(|m| Calibrated::new(&flat(&m.held_out), &labels).table);
        let (with_model, with_words) = members(of_model.as_deref(), &own, &labels);
        let both = [of_model.filter(|_| with_model), Some(own).filter(|_| with_words)];
        let tables: Vec<Vec<f64>> = both.into_iter().flatten().collect();
        let findings = Findings::judged(&average(&tables, labels.classes), &tables, &labels);
        let temperature = findings.temperature;
        let tfidf = with_words.then(|| TfidfTeacher::fit(corpus, labels.clone(), classes, &words));
        let model = model.filter(|_| with_model).map(|member| member.teacher);
        let about = About { classes: classes.to_vec(), ..About::default() };
        let mut committee = Self { model, tfidf, about, temperature };
        let rounds = if pool.is_empty() { 0 } else { options.rounds };
        for _ in 0..rounds {
            let table = committee.table(pool)?;
            let Some(tfidf) = &mut committee.tfidf else { break };
            tfidf.learn(&table);
        }
        let model = committee.model.iter().map(|m| m.about());
        let members: Vec<&About> = model.chain(committee.tfidf.iter().map(|t| &t.about)).collect();
        let methods: Vec<&str> = members.iter().map(|m| m.method.as_str()).collect();
        let models = members.iter().flat_map(|m| m.models.clone()).collect();
        let method = methods.join("; averaged with ");
        committee.about = About { models, method, ..committee.about };
        Ok((committee, findings))
    }

    /// Trained numbers and their bytes, where no model takes part.
    pub fn size(&self) -> Option<(usize, usize)> {
        self.tfidf.as_ref().filter(|_| self.model.is_none()).map(TfidfTeacher::size)
    }

    fn table(&mut self, texts: &[&str]) -> Result<Vec<f64>> {
        let classes = self.about.classes.len();
        let mut tables = Vec::new();
        if let Some(model) = &mut self.model {
            tables.push(cool(&flat(&model.logits(texts)?), classes, 1.0));
        }
        tables.extend(self.tfidf.as_ref().map(|tfidf| tfidf.table(texts)));
        Ok(cool(&average(&tables, classes), classes, self.temperature))
    }
}

fn flat(logits: &[Vec<f32>]) -> Vec<f64> {
    logits.iter().flatten().map(|&v| f64::from(v)).collect()
}

/// Which of the two stay: both, unless the labels tell that the better one is better alone.
fn members(model: Option<&[f64]>, words: &[f64], labels: &Labels) -> (bool, bool) {
    let Some(model) = model else { return (false, true) };
    let both = losses(&average(&[model, words], labels.classes), labels);
    let (model, words) = (losses(model, labels), losses(words, labels));
    let model_leads = model.iter().sum::<f64>() <= words.iter().sum::<f64>();
    if as_good_as(&both, if model_leads { &model } else { &words }) {
        (true, true)
    } else {
        (model_leads, !model_leads)
    }
}

impl Teacher for Committee {
    fn about(&self) -> &About {
        &self.about
    }

    fn prepare(&mut self, texts: &[&str], progress: OnProgress<'_>) -> Result<Vec<Work>> {
        self.model.as_mut().map_or_else(|| Ok(Vec::new()), |m| m.prepare(texts, progress))
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        Ok(rows(&self.table(texts)?, self.about.classes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: usize) -> (Vec<String>, Vec<usize>) {
        let nouns = ["lamp", "heater", "radio", "door", "kettle"];
        let text = |i: usize| match i % 2 {
            0 => format!("please switch the {} on now {}", nouns[i % 5], i % 7),
            _ => format!("please turn the {} off again {}", nouns[i % 5], i % 7),
        };
        ((0..n).map(text).collect(), (0..n).map(|i| i % 2).collect())
    }

    #[test]
    fn alone_it_learns_the_words_and_judges_its_own_texts_held_out() {
        let (texts, labels) = task(60);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let classes = ["on".to_owned(), "off".to_owned()];
        let options = Options { rounds: 2, seed: 0 };
        let (mut teacher, findings) =
            Committee::fit(None, (&texts[..40], &labels[..40]), &texts[40..], &classes, options)
                .unwrap();
        assert_eq!(findings.labelled.len(), 40);
        assert!(findings.accuracy > 0.9, "{}", findings.accuracy);
        let logits = teacher.logits(&["switch it on", "turn it off"]).unwrap();
        assert!(logits[0][0] > logits[0][1] && logits[1][1] > logits[1][0], "{logits:?}");
        assert_eq!(teacher.about().models.len(), 1);
    }

    #[test]
    fn texts_whose_labels_mean_nothing_are_not_known_by_heart() {
        let texts: Vec<String> =
            (0..120).map(|i| format!("w{} x{} y{}", i * 7 % 11, i * 5 % 13, i * 3 % 17)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let labels: Vec<usize> = (0..120_usize).map(|i| i * i / 7 % 2).collect();
        let classes = ["a".to_owned(), "b".to_owned()];
        let options = Options { rounds: 0, seed: 0 };
        let found = Committee::fit(None, (&texts, &labels), &[], &classes, options).unwrap().1;
        let right = |(row, &label): (&Vec<f32>, &usize)| usize::from(row[label] > row[1 - label]);
        let share = found.labelled.iter().zip(&labels).map(right).sum::<usize>() as f64 / 120.0;
        assert!(share < 0.75, "{share}");
    }

    #[test]
    fn a_member_that_does_harm_is_left_out() {
        let labels = Labels { of: (0..200).map(|i| i % 2).collect(), classes: 2 };
        let saying = |right: f64, wrong_every: usize| -> Vec<f64> {
            let row = |i: usize| {
                let class = if i.is_multiple_of(wrong_every) { 1 - i % 2 } else { i % 2 };
                [0, 1].map(|c| if c == class { right.ln() } else { (1.0 - right).ln() })
            };
            (0..200).flat_map(row).collect()
        };
        let (good, noise) = (saying(0.99, 100), saying(0.99, 2));
        assert_eq!(members(Some(&good), &noise, &labels), (true, false));
        assert_eq!(members(Some(&noise), &good, &labels), (false, true));
        assert_eq!(members(Some(&saying(0.8, 5)), &saying(0.8, 6), &labels), (true, true));
        assert_eq!(members(None, &noise, &labels), (false, true));
    }
}
