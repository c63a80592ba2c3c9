//! Token sequences of one length, with what attention needs to know about them.

use candle_core::{Device, Tensor};

use crate::teacher::TeacherError;

pub struct Tokens {
    pub ids: Tensor,
    /// Position of every token, row-major, batch x length; all rows count from 0.
    pub positions: Vec<u32>,
    /// Added to the attention scores: [batch or 1, 1, length, length], 0 or minus infinity.
    pub mask: Tensor,
}

impl Tokens {
    /// Plain causal sequences, right-padded to the longest: padding follows the text, so the causal mask hides it.
    pub fn causal(rows: &[&[u32]], device: &Device) -> Result<Self, TeacherError> {
        let length = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let mask = (0..length * length)
            .map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        Ok(Self {
            ids: padded(rows, length, device)?,
            positions: rows.iter().flat_map(|_| 0..length as u32).collect(),
            mask: Tensor::from_vec::<_, f32>(mask, (1, 1, length, length), device)?,
        })
    }

    /// Sequences in which every token sees every other, padding excepted.
    pub fn mutual(rows: &[&[u32]], device: &Device) -> Result<Self, TeacherError> {
        let length = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let sees = |row: &&[u32]| {
            let own = row.len();
            (0..length).map(move |to| if to < own { 0.0 } else { f32::NEG_INFINITY })
        };
        let mask = rows.iter().flat_map(sees).collect();
        Ok(Self {
            ids: padded(rows, length, device)?,
            positions: rows.iter().flat_map(|_| 0..length as u32).collect(),
            mask: Tensor::from_vec::<_, f32>(mask, (rows.len(), 1, 1, length), device)?,
        })
    }

    /// The mask with everything `window` or more tokens back hidden as well.
    pub fn near(&self, window: usize) -> Result<Tensor, TeacherError> {
        let (batch, length) = self.ids.dims2()?;
        let mut far = Vec::with_capacity(batch * length * length);
        for row in self.positions.chunks_exact(length.max(1)) {
            for &from in row {
                let hidden = |&to: &u32| (from.saturating_sub(to) as usize) >= window;
                far.extend(row.iter().map(|to| if hidden(to) { f32::NEG_INFINITY } else { 0.0 }));
            }
        }
        let far = Tensor::from_vec::<_, f32>(far, (batch, 1, length, length), self.ids.device())?;
        Ok(far.broadcast_add(&self.mask)?)
    }
}

fn padded(rows: &[&[u32]], length: usize, device: &Device) -> Result<Tensor, TeacherError> {
    let row = |r: &&[u32]| {
        r.iter().copied().chain(std::iter::repeat(0)).take(length).collect::<Vec<u32>>()
    };
    let ids = rows.iter().flat_map(row).collect();
    Ok(Tensor::from_vec::<_, u32>(ids, (rows.len(), length), device)?)
}
