//! Pooling: the hidden states of a text's tokens made into one vector a cell, a cell being a layer and a rule.

use std::fmt;

#[cfg(feature = "teacher")]
use candle_core::{IndexOp, Tensor};
use serde::{Deserialize, Serialize};

#[cfg(feature = "teacher")]
use super::error::TeacherError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The average over the text's own tokens, without the prompt's.
    Mean,
    /// The state at the last token of prompt and text: where a causal model has read everything.
    Last,
}

/// One candidate feature vector: a layer (0 = embedding) and a pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Layer number, 0 being the token embedding.
    pub layer: usize,
    pub pooling: Pooling,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pooling = match self.pooling {
            Pooling::Mean => "mean",
            Pooling::Last => "last",
        };
        write!(f, "layer {} {pooling}", self.layer)
    }
}

/// Pools one row of a batch of states [batch, length, width].
#[cfg(feature = "teacher")]
pub fn pool(
    states: &Tensor,
    row: usize,
    text: &std::ops::Range<usize>,
    end: usize,
    pooling: Pooling,
) -> Result<Vec<f32>, TeacherError> {
    let states = states.i(row)?;
    let pooled = match pooling {
        // An empty text has no tokens of its own: its end state stands in.
        Pooling::Mean if !text.is_empty() => states.narrow(0, text.start, text.len())?.mean(0)?,
        _ => states.i(end)?,
    };
    Ok(pooled.to_vec1()?)
}
