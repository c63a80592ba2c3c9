//! Zero-shot: a causal model scores each class's words as the continuation of a prompt; no label is needed.
//!
//! A phrase's score is the mean log-probability of its tokens after the prompt, minus the same for an empty text:
//! without that, the class whose words the model likes best in any case would win everywhere. A class with several
//! phrases gets their combined score, by [`Several`].

use crate::teacher::features::ScoreTeacher;
use crate::teacher::llm::causal_lm::{Causal, TOKENS_A_BATCH};
use crate::teacher::llm::token_batch::{Row, Tokens, in_batches};
use crate::teacher::{Description, Extractor, Identity, Pooled, Pooling, log_mean_exp};
use anyhow::{Result, bail};
use candle_core::{D, Device, Tensor};
use candle_nn::ops::log_softmax;
use std::path::Path;

/// How the scores of a class's phrases become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Several {
    /// Logarithm of the mean probability: one phrase that fits is enough.
    Any,
    /// Mean of the scores: all phrases have a say.
    Mean,
}

fn mean(scores: &[f32]) -> f32 {
    scores.iter().sum::<f32>() / scores.len().max(1) as f32
}

/// Raw scores: one vector a text with the mean log-probability of each phrase, class by class.
pub struct ClassScores {
    causal: Causal,
    phrases: Vec<usize>,
    tokens: Vec<Vec<u32>>,
    about: Description,
}

impl ClassScores {
    /// Prepares to score `words`, some phrases a class, each after the prompt and one space.
    pub fn new(mut causal: Causal, words: &[Vec<String>]) -> Result<Self> {
        if words.len() < 2 {
            bail!("zero-shot needs at least 2 classes, got {}", words.len());
        }
        if causal.model.unembedding.is_none() {
            bail!(
                "the checkpoint has no output matrix (lm_head.weight), so it cannot be asked for words; use --method probe or head"
            );
        }
        let tail = causal.prompt.tail.trim_end();
        let before = causal.tokenizer.piece(tail)?;
        let mut tokens: Vec<Vec<u32>> = Vec::new();
        for word in words.iter().flatten() {
            let own = causal.tokenizer.piece(&format!(" {word}"))?;
            let joined = causal.tokenizer.piece(&format!("{tail} {word}"))?;
            if own.is_empty() || joined != [before.as_slice(), &own].concat() {
                bail!(
                    "tokenizer: the class words `{word}` join with the prompt's end `{tail}`; end the prompt with a word"
                );
            }
            if tokens.contains(&own) {
                bail!(
                    "two classes share the words `{word}`, as the tokenizer reads them; give each its own"
                );
            }
            tokens.push(own);
        }
        // A phrase's last token predicts nothing and takes no place.
        causal.leave_room(tokens.iter().map(|phrase| phrase.len() - 1).max().unwrap_or(0))?;
        let phrases = words.iter().map(Vec::len).collect();
        let words = words.concat();
        let Identity { name, digest, settings } = causal.description().identity.clone();
        let settings = format!("{settings}; mean log-probability of {words:?}");
        let cell = (causal.model.spec.depth, Pooling::Last);
        let about = Description::single([name, digest, settings], cell, words.len());
        Ok(Self { causal, phrases, tokens, about })
    }

    /// One pass a batch: behind each prompt every class's words branch off, hidden from each other by the mask.
    fn score(&self, prompts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let rows: Vec<Branches> = prompts.iter().map(|p| Branches::new(p, &self.tokens)).collect();
        let tokens = Branches::stack(&rows, self.causal.model.device())?;
        let states = self.causal.model.last(&tokens)?;
        let row = |(row, branches): (usize, &Branches)| {
            // From the prompt's last token on, every place predicts a class token.
            let (first, all) = (branches.prompt - 1, branches.ids.len());
            let used = states.narrow(0, row, 1)?.squeeze(0)?.narrow(0, first, all - first)?;
            let logits = self.causal.model.logits(&used)?;
            self.read(&log_softmax(&logits, D::Minus1)?, branches)
        };
        rows.iter().enumerate().map(row).collect()
    }

    fn read(&self, log_p: &Tensor, branches: &Branches) -> Result<Vec<f32>> {
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

impl Extractor for ClassScores {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>> {
        let texts = self.causal.fill(texts)?;
        let extra: usize = self.tokens.iter().map(|t| t.len() - 1).sum();
        let rows: Vec<Row<'_>> = texts
            .iter()
            .map(|text| (text.ids.as_slice(), text.ids.len() + extra, text.cut))
            .collect();
        in_batches(&rows, TOKENS_A_BATCH, |_, ids| self.score(ids))
    }
}

/// A teacher of cached phrase scores, combined into classes; `classes` are their names in the order of the words.
/// Without `calibrate` an empty text's scores are not taken off.
pub fn teacher(
    scores: ClassScores,
    classes: &[String],
    (several, calibrate): (Several, bool),
    folder: &Path,
) -> Result<ScoreTeacher> {
    let phrases = scores.phrases.clone();
    let calibrated = if calibrate { "; minus the score of an empty text" } else { "" };
    let (combine, combined): (fn(&[f32]) -> f32, _) = match several {
        Several::Any => (log_mean_exp, "; log of the mean over a class's phrases"),
        Several::Mean => (mean, "; mean over a class's phrases"),
    };
    let combined = if phrases.iter().all(|&n| n == 1) { "" } else { combined };
    let method = |settings: &str| format!("zero-shot; {settings}{calibrated}{combined}");
    let read = move |mut row: &[f32]| {
        let class = |&n: &usize| combine(row.split_off(..n).unwrap_or_default());
        phrases.iter().map(class).collect()
    };
    ScoreTeacher::open(Box::new(scores), (folder, calibrate), classes.to_vec(), method, read)
}

/// One text's prompt followed by the words of every class except their last token, which predicts nothing.
struct Branches {
    ids: Vec<u32>,
    prompt: usize,
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

    fn stack(rows: &[Self], device: &Device) -> Result<Tokens> {
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

#[cfg(test)]
mod tests {
    use super::{log_mean_exp, mean};

    #[test]
    fn one_phrase_is_itself_and_several_are_combined() {
        for combine in [log_mean_exp, mean] {
            assert!((combine(&[-1.5]) + 1.5).abs() < 1e-6);
        }
        assert_eq!(mean(&[-1.0, -3.0]), -2.0);
        let any = log_mean_exp(&[0.5f32.ln(), 0.25f32.ln()]);
        assert!((any - 0.375f32.ln()).abs() < 1e-6, "{any}");
        assert!(log_mean_exp(&[-2000.0, -1000.0]) > -1001.0, "small ones do not underflow");
    }
}
