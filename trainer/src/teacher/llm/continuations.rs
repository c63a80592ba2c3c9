//! Several continuations of one prompt in one sequence, hidden from each other by the mask.

use candle_core::{Device, Tensor};

use crate::teacher::TeacherError;
use crate::teacher::llm::token_batch::Tokens;

/// One text's prompt followed by the words of every class except their last token, which predicts nothing.
pub(crate) struct Branches {
    pub ids: Vec<u32>,
    pub prompt: usize,
    pub starts: Vec<usize>,
}

impl Branches {
    pub fn new(prompt: &[u32], classes: &[Vec<u32>]) -> Self {
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

    pub fn stack(rows: &[Self], device: &Device) -> Result<Tokens, TeacherError> {
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
