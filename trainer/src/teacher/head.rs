//! The classification head of a checkpoint as a teacher: its logits, cached, in the order of the classes.

use std::path::Path;

use candle_core::Device;

use super::features::Features;
use super::llm::classifier::Classifier;
use super::llm::pretrained::Pretrained;
use super::llm::tokenizer::TextTokenizer;
use super::{Description, Extractor, Identity, Pooled, Pooling, Teacher, TeacherError, Work};

const TOKENS_A_BATCH: usize = 512;

/// The head's logits of texts, one vector a text.
pub struct HeadScores {
    model: Classifier,
    tokenizer: TextTokenizer,
    about: Description,
    /// The outputs' names; empty when the checkpoint gives none.
    pub labels: Vec<String>,
}

impl HeadScores {
    /// Loads a checkpoint with its head. Texts are read as they are, with the model's own marks around them; those of
    /// more than `limit` tokens are cut.
    pub fn load(
        mut model: Pretrained,
        limit: usize,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let limit = limit.min(model.kind.context());
        model.tokenizer.cut_at(limit)?;
        let kind = model.kind.clone();
        let mut parameters = model.parameters(device);
        let classifier = Classifier::load(&mut parameters, kind, limit, None, device)?;
        parameters.finish()?;
        model.tokenizer.check_vocabulary(&model.path, classifier.vocabulary())?;
        let named = model.labels.len() == classifier.outputs();
        let settings = format!("classification head, at most {limit} tokens");
        let about = [model.name, model.digest, settings];
        Ok(Self {
            about: Description::single(about, (0, Pooling::Last), classifier.outputs()),
            model: classifier,
            tokenizer: model.tokenizer,
            labels: if named { model.labels } else { Vec::new() },
        })
    }
}

impl Extractor for HeadScores {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        self.tokenizer
            .batches(texts, TOKENS_A_BATCH, |ids| Ok(self.model.logits(ids)?.to_vec2()?))
    }
}

pub struct HeadTeacher {
    features: Features,
    classes: Vec<String>,
    order: Vec<usize>,
}

impl HeadTeacher {
    /// Opens the cache of `scores` in `folder`. `classes` are matched with the head's own names where these are the same
    /// ones, and taken as the names of its outputs in order where it has none (`LABEL_0` and so on count as none).
    pub fn open(
        scores: HeadScores,
        classes: &[String],
        folder: &Path,
    ) -> Result<Self, TeacherError> {
        let labels = scores.labels.clone();
        let outputs = scores.about.width;
        let unnamed = labels.is_empty() || labels.iter().all(|label| label.starts_with("LABEL_"));
        let own = |class: &String| labels.iter().position(|label| label == class);
        let (classes, order): (Vec<String>, Vec<usize>) = match classes {
            [] if unnamed => {
                let what = format!(
                    "the head has {outputs} outputs without names; name them in order with --classes"
                );
                return Err(TeacherError::Labels(what));
            }
            [] => (labels, (0..outputs).collect()),
            _ if classes.len() != outputs => {
                let what = format!(
                    "the head has {outputs} outputs{}, and there are {} classes ({})",
                    if unnamed { String::new() } else { format!(" ({})", labels.join(", ")) },
                    classes.len(),
                    classes.join(", ")
                );
                return Err(TeacherError::Labels(what));
            }
            _ if unnamed => (classes.to_vec(), (0..outputs).collect()),
            _ => match classes.iter().map(own).collect::<Option<Vec<usize>>>() {
                Some(order) => (classes.to_vec(), order),
                None => {
                    let what = format!(
                        "the head's classes are {}, those of the data {}; use the same names",
                        labels.join(", "),
                        classes.join(", ")
                    );
                    return Err(TeacherError::Labels(what));
                }
            },
        };
        Ok(Self { features: Features::open(Box::new(scores), folder)?, classes, order })
    }
}

impl Teacher for HeadTeacher {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn models(&self) -> Vec<Identity> {
        vec![self.features.description().identity.clone()]
    }

    fn method(&self) -> String {
        self.features.description().identity.settings.clone()
    }

    fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Work>, TeacherError> {
        Ok(vec![self.features.prepare(texts, progress)?])
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let all = self.features.vectors(texts, 0)?;
        let row = |row: &[f32]| self.order.iter().map(|&output| row[output]).collect();
        Ok(all.chunks_exact(self.order.len()).map(row).collect())
    }
}
