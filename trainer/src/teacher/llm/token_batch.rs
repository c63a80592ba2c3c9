//! Token sequences of one length, with what attention needs to know about them, and batches of texts of like length, so
//! that little is spent on padding.

use crate::teacher::Pooled;
use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use std::iter::repeat;

pub struct Tokens {
    pub ids: Tensor,
    /// Position of every token, row-major, batch x length; all rows count from 0.
    pub positions: Vec<u32>,
    /// Added to the attention scores: [batch or 1, 1, length, length], 0 or minus infinity.
    pub mask: Tensor,
}

/// What is added to the score of a token that is not to be seen.
fn hidden(hidden: bool) -> f32 {
    if hidden { f32::NEG_INFINITY } else { 0.0 }
}

impl Tokens {
    /// Sequences, padded with zeros behind them, in which every token sees those before it, or else every other, padding
    /// excepted. Behind a causal sequence padding needs no mask of its own.
    pub fn new(rows: &[&[u32]], causal: bool, device: &Device) -> Result<Self> {
        let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let padded = |row: &&[u32]| row.iter().copied().chain(repeat(0)).take(length).collect();
        let ids: Vec<Vec<u32>> = rows.iter().map(padded).collect();
        let mask: Vec<f32> = match causal {
            true => (0..length * length).map(|i| hidden(i % length > i / length)).collect(),
            false => {
                rows.iter().flat_map(|row| (0..length).map(|to| hidden(to >= row.len()))).collect()
            }
        };
        let shape = if causal { (1, 1, length, length) } else { (rows.len(), 1, 1, length) };
        Ok(Self {
            ids: Tensor::from_vec(ids.concat(), (rows.len(), length), device)?,
            positions: rows.iter().flat_map(|_| 0..length as u32).collect(),
            mask: Tensor::from_vec(mask, shape, device)?,
        })
    }

    /// The mask with everything `window` or more tokens back hidden as well.
    pub fn near(&self, window: usize) -> Result<Tensor> {
        let (batch, length) = self.ids.dims2()?;
        let mut far = Vec::with_capacity(batch * length * length);
        for row in self.positions.chunks_exact(length.max(1)) {
            for &from in row {
                let beyond = |&to: &u32| (from.saturating_sub(to) as usize) >= window;
                far.extend(row.iter().map(|to| hidden(beyond(to))));
            }
        }
        let far = Tensor::from_vec::<_, f32>(far, (batch, 1, length, length), self.ids.device())?;
        Ok(far.broadcast_add(&self.mask)?)
    }
}

/// A text's ids, the tokens that they take in a batch, and whether they were cut.
pub type Row<'a> = (&'a [u32], usize, bool);

/// Runs `model` over rows in batches of at most `budget` padded tokens: one vector a row, in their order. It is given the
/// numbers of the rows, and their ids.
pub fn in_batches(
    rows: &[Row<'_>],
    budget: usize,
    mut model: impl FnMut(&[usize], &[&[u32]]) -> Result<Vec<Vec<f32>>>,
) -> Result<Vec<Pooled>> {
    let empty = |&(_, tokens, cut): &Row<'_>| Pooled { values: Vec::new(), tokens, cut };
    let mut out: Vec<Pooled> = rows.iter().map(empty).collect();
    let lengths: Vec<usize> = rows.iter().map(|row| row.1).collect();
    for group in by_length(&lengths, budget) {
        let ids: Vec<&[u32]> = group.iter().map(|&i| rows[i].0).collect();
        let vectors = model(&group, &ids).context("running the model failed")?;
        for (&i, vector) in group.iter().zip(vectors) {
            out[i].values = vector;
        }
    }
    Ok(out)
}

/// Splits `lengths` into groups of indices: sorted by length, each group at most `budget` tokens after padding
/// (always at least one text). Deterministic for equal input.
fn by_length(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| (lengths[i], i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        // Sorted: the newcomer is the longest of its group.
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * lengths[i] <= budget => group.push(i),
            _ => groups.push(vec![i]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::by_length;

    #[test]
    fn groups_hold_every_text_once_within_the_budget() {
        let lengths = [9, 1, 4, 4, 30, 2, 0];
        let groups = by_length(&lengths, 12);
        let mut seen: Vec<usize> = groups.concat();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
        for group in &groups {
            let longest = group.iter().map(|&i| lengths[i]).max().unwrap_or(0);
            assert!(group.len() == 1 || group.len() * longest <= 12, "{group:?}");
        }
        assert_eq!(
            groups.last().map(Vec::as_slice),
            Some(&[4][..]),
            "a text over the budget goes alone"
        );
    }
}
