//! Zero-shot: a causal model scores each class's words as the continuation of a prompt; no label is needed.
//!
//! A class's score is the mean log-probability of its tokens after the prompt, minus the same for an empty text:
//! without that, the class whose words the model likes best in any case would win everywhere.

use std::path::Path;

use candle_core::{D, Tensor};

use super::batch::by_length;
use super::causal::{Causal, TOKENS_A_BATCH};
use super::features::{Features, Work};
use super::llama::Tokens;
use super::prompt::encode;
use super::{Cell, Extractor, Identity, Pooled, Pooling, Teacher, TeacherError};

/// Raw scores: one vector a text with the mean log-probability of each class's words.
pub struct ClassScores {
    causal: Causal,
    words: Vec<String>,
    tokens: Vec<Vec<u32>>,
    cells: [Cell; 1],
}

impl ClassScores {
    /// Prepares to score `words`, one phrase a class, each after the prompt and one space.
    ///
    /// # Errors
    /// With fewer than two classes, two equal ones, or words that the tokenizer would join with the prompt's end.
    pub fn new(causal: Causal, words: &[String]) -> Result<Self, TeacherError> {
        if words.len() < 2 {
            return Err(TeacherError::Labels(format!(
                "zero-shot needs at least 2 classes, got {}",
                words.len()
            )));
        }
        let tail = causal.prompt().after().trim_end();
        let before = encode(&causal.tokenizer, tail)?;
        let mut tokens: Vec<Vec<u32>> = Vec::with_capacity(words.len());
        for word in words {
            let own = encode(&causal.tokenizer, &format!(" {word}"))?;
            let joined = encode(&causal.tokenizer, &format!("{tail} {word}"))?;
            if own.is_empty() || joined != [before.as_slice(), &own].concat() {
                let what = format!(
                    "the class words `{word}` join with the prompt's end `{tail}`; end the prompt with a word"
                );
                return Err(TeacherError::Tokenizer(what));
            }
            if tokens.contains(&own) {
                return Err(TeacherError::Labels(format!(
                    "two classes share the words `{word}`; give each its own"
                )));
            }
            tokens.push(own);
        }
        let cells = [Cell { layer: causal.depth(), pooling: Pooling::Last }];
        Ok(Self { causal, words: words.to_vec(), tokens, cells })
    }

    /// One pass a batch: behind each prompt every class's words branch off, hidden from each other by the mask.
    fn score(&self, prompts: &[&[u32]]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let rows: Vec<Branches> = prompts.iter().map(|p| Branches::new(p, &self.tokens)).collect();
        let tokens = Branches::stack(&rows, &self.causal.device)?;
        let length = tokens.ids.dim(D::Minus1)?;
        let depth = self.causal.depth();
        let mut scores = Vec::with_capacity(rows.len());
        self.causal.model.run(&tokens, depth, |layer, states| {
            if layer < depth {
                return Ok(());
            }
            for (row, branches) in rows.iter().enumerate() {
                // From the prompt's last token on, every place predicts a class token.
                let first = branches.prompt - 1;
                let used = states.narrow(0, row, 1)?.squeeze(0)?.narrow(
                    0,
                    first,
                    branches.ids.len() - first,
                )?;
                let log_p = self.causal.model.next_token(&used)?;
                debug_assert!(branches.ids.len() <= length);
                scores.push(self.read(&log_p, branches)?);
            }
            Ok(())
        })?;
        Ok(scores)
    }

    fn read(&self, log_p: &Tensor, branches: &Branches) -> Result<Vec<f32>, TeacherError> {
        let mut scores = Vec::with_capacity(self.tokens.len());
        for (class, start) in self.tokens.iter().zip(&branches.starts) {
            let mut sum = 0.0;
            for (k, &token) in class.iter().enumerate() {
                // The first token is predicted by the prompt's end, the others by the token before them.
                let place = if k == 0 { 0 } else { start + k - branches.prompt };
                sum += log_p.get(place)?.get(token as usize)?.to_scalar::<f32>()?;
            }
            scores.push(sum / class.len() as f32);
        }
        Ok(scores)
    }
}

/// One text's prompt followed by the words of every class except their last token, which predicts nothing.
struct Branches {
    ids: Vec<u32>,
    /// Length of the prompt.
    prompt: usize,
    /// Where each class's first token stands.
    starts: Vec<usize>,
}

impl Branches {
    fn new(prompt: &[u32], classes: &[Vec<u32>]) -> Self {
        let mut ids = prompt.to_vec();
        let mut starts = Vec::with_capacity(classes.len());
        for class in classes {
            starts.push(ids.len());
            ids.extend_from_slice(&class[..class.len() - 1]);
        }
        Self { ids, prompt: prompt.len(), starts }
    }

    /// Where the branch of a place begins; the prompt's own places belong to none.
    fn branch(&self, place: usize) -> Option<usize> {
        self.starts.iter().rev().copied().find(|&start| start <= place)
    }

    fn sees(&self, from: usize, to: usize) -> bool {
        // Padding sees itself: a place that saw nothing would be 0/0 and spread.
        from == to
            || (to < from
                && from < self.ids.len()
                && (to < self.prompt || self.branch(from) == self.branch(to)))
    }

    fn stack(rows: &[Self], device: &candle_core::Device) -> Result<Tokens, TeacherError> {
        let length = rows.iter().map(|r| r.ids.len()).max().unwrap_or(0);
        let (mut ids, mut positions, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            for from in 0..length {
                ids.push(row.ids.get(from).copied().unwrap_or(0));
                let position = row.branch(from).map_or(from, |start| row.prompt + from - start);
                positions.push(if from < row.ids.len() { position as u32 } else { 0 });
                mask.extend(
                    (0..length).map(|to| if row.sees(from, to) { 0.0 } else { f32::NEG_INFINITY }),
                );
            }
        }
        Ok(Tokens {
            ids: Tensor::from_vec(ids, (rows.len(), length), device)?,
            positions,
            mask: Tensor::from_vec(mask, (rows.len(), 1, length, length), device)?,
        })
    }
}

impl Extractor for ClassScores {
    fn identity(&self) -> Identity {
        let base = self.causal.identity();
        Identity {
            settings: format!("{}; mean log-probability of {:?}", base.settings, self.words),
            ..base
        }
    }

    fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn width(&self) -> usize {
        self.words.len()
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        let rows = self.causal.fill(texts)?;
        let extra: usize = self.tokens.iter().map(|t| t.len() - 1).sum();
        let lengths: Vec<usize> = rows.iter().map(|r| r.ids.len() + extra).collect();
        let empty = |i: usize| Pooled { values: Vec::new(), tokens: lengths[i], cut: rows[i].cut };
        let mut out: Vec<Pooled> = (0..rows.len()).map(empty).collect();
        for group in by_length(&lengths, TOKENS_A_BATCH) {
            let ids: Vec<&[u32]> = group.iter().map(|&i| rows[i].ids.as_slice()).collect();
            for (&i, scores) in group.iter().zip(self.score(&ids)?) {
                out[i].values = scores;
            }
        }
        Ok(out)
    }
}

/// A zero-shot teacher: cached class scores, calibrated against an empty text.
pub struct ZeroShot {
    features: Features,
    classes: Vec<String>,
}

impl ZeroShot {
    /// Opens the cache of `scores` in `folder`; `classes` are the class names in the order of the words.
    ///
    /// # Errors
    /// As [`Features::open`].
    pub fn open(
        scores: ClassScores,
        classes: &[String],
        folder: &Path,
    ) -> Result<Self, TeacherError> {
        Ok(Self { features: Features::open(Box::new(scores), folder)?, classes: classes.to_vec() })
    }
}

impl Teacher for ZeroShot {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn models(&self) -> Vec<Identity> {
        vec![self.features.identity()]
    }

    fn method(&self) -> String {
        format!(
            "zero-shot; {}; minus the score of an empty text",
            self.features.identity().settings
        )
    }

    fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Work>, TeacherError> {
        self.features.prepare(&[""], &mut |_, _| {})?;
        Ok(vec![self.features.prepare(texts, progress)?])
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError> {
        let empty = self.features.vectors(&[""], 0)?;
        let scores = self.features.vectors(texts, 0)?;
        let calibrated = |row: &[f32]| row.iter().zip(&empty).map(|(s, e)| s - e).collect();
        Ok(scores.chunks_exact(self.classes.len()).map(calibrated).collect())
    }
}
