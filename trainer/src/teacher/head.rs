//! The classification head of a checkpoint as a teacher: its logits, cached, in the order of the classes.

use std::path::Path;

use candle_core::Device;

use crate::teacher::features::{Features, Work};
use crate::teacher::llm::causal_lm::{TOKENS_A_BATCH, check_vocabulary};
use crate::teacher::llm::classifier::Classifier;
use crate::teacher::llm::pretrained::Pretrained;
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::{Cell, Extractor, Identity, Pooled, Pooling, Teacher, TeacherError};

/// The head's logits of texts, one vector a text.
pub struct HeadScores {
    model: Classifier,
    reader: TextTokenizer,
    limit: usize,
    cells: [Cell; 1],
    name: String,
    digest: String,
    /// The outputs' names; empty when the checkpoint gives none.
    pub labels: Vec<String>,
}

impl HeadScores {
    /// Loads a checkpoint with its head. Texts are read as they are, with the model's own marks around them; those of
    /// more than `limit` tokens are cut.
    pub fn load(
        mut checkpoint: Pretrained,
        limit: usize,
        device: &Device,
    ) -> Result<Self, TeacherError> {
        let limit = limit.min(checkpoint.context());
        checkpoint.reader.cut_at(limit)?;
        let kind = checkpoint.kind.clone();
        let mut loader = checkpoint.loader(device);
        let model = Classifier::load(&mut loader, kind, limit, None, device)?;
        loader.finish()?;
        check_vocabulary(&checkpoint.path, &checkpoint.reader, model.vocabulary())?;
        let named = checkpoint.labels.len() == model.outputs();
        Ok(Self {
            model,
            reader: checkpoint.reader,
            limit,
            cells: [Cell { layer: 0, pooling: Pooling::Last }],
            name: checkpoint.name,
            digest: checkpoint.digest,
            labels: if named { checkpoint.labels } else { Vec::new() },
        })
    }

    pub fn outputs(&self) -> usize {
        self.model.outputs()
    }
}

impl Extractor for HeadScores {
    fn identity(&self) -> Identity {
        Identity {
            name: self.name.clone(),
            digest: self.digest.clone(),
            settings: format!("classification head, at most {} tokens", self.limit),
        }
    }

    fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn width(&self) -> usize {
        self.outputs()
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        self.reader.batches(texts, TOKENS_A_BATCH, |ids| Ok(self.model.logits(ids)?.to_vec2()?))
    }
}

/// A teacher that speaks by its classification head.
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
        let outputs = scores.outputs();
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
        vec![self.features.identity()]
    }

    fn method(&self) -> String {
        self.features.identity().settings
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
