//! Where tokens stand: rotation tables, learned positions, slopes on the scores, and windows.

use crate::teacher::llm::config::architecture::{Family, Position, Spec, Stretch};
use crate::teacher::llm::layers::Parameters;
use crate::teacher::llm::token_batch::Tokens;
use anyhow::{Context as _, Result};
use candle_core::Tensor;
use candle_nn::rotary_emb;
use std::collections::{BTreeMap, BTreeSet};

/// cos and sin of positions and frequencies: [.., head width / 2] each.
type Turns = (Tensor, Tensor);

pub(super) enum Places {
    /// For layers that see everything, and for those with a window.
    Rotary([Turns; 2]),
    Learned {
        table: Tensor,
        offset: usize,
    },
    Slopes(Vec<f32>),
}

/// What the tables say of one batch; layers with equal windows share it.
pub(super) struct Placed {
    turns: Option<[Turns; 2]>,
    scores: BTreeMap<Option<usize>, Tensor>,
    pub embedding: Option<Tensor>,
    pub gradient: bool,
}

impl Places {
    pub(super) fn load(
        parameters: &mut Parameters<'_>,
        spec: &Spec,
        context: usize,
    ) -> Result<Self> {
        let table = |base: f64, stretch: &Stretch| {
            let turns = frequencies(spec.head_width, base, stretch);
            let all = |f: fn(f64) -> f64| {
                let of = |p: usize| turns.iter().map(move |turn| f(p as f64 * turn) as f32);
                let values: Vec<f32> = (0..context).flat_map(of).collect();
                Tensor::from_vec(values, (context, turns.len()), &parameters.device)
            };
            anyhow::Ok((all(f64::cos)?, all(f64::sin)?))
        };
        Ok(match &spec.position {
            Position::Rotary { base, stretch, local_base } => {
                // Layers with a window turn as the others do in all families but this one.
                let gemma = spec.family == Family::Gemma3;
                let near = if gemma { &Stretch::None } else { stretch };
                Self::Rotary([table(*base, stretch)?, table(*local_base, near)?])
            }
            Position::Learned { offset } => {
                let name = format!("{}.weight", spec.family.own("positions"));
                let table = parameters.tensor(&name, &[spec.context + offset, spec.width])?;
                Self::Learned { table, offset: *offset }
            }
            Position::Slopes => Self::Slopes(slopes(spec.heads)),
        })
    }

    pub(super) fn place(
        &self,
        tokens: &Tokens,
        windows: &[Option<usize>],
        gradient: bool,
    ) -> Result<Placed> {
        let (batch, length) = tokens.ids.dims2()?;
        let device = tokens.ids.device();
        let rows = |from: &Tensor, offset: u32| {
            let at: Vec<u32> = tokens.positions.iter().map(|p| p + offset).collect();
            let at = Tensor::from_vec(at, batch * length, device)?;
            from.index_select(&at, 0)?.reshape((batch, length, from.dim(1)?))
        };
        let (mut turns, mut embedding, mut tilt) = (None, None, None);
        match self {
            Self::Rotary([far, near]) => {
                let of = |(cos, sin): &Turns| anyhow::Ok((rows(cos, 0)?, rows(sin, 0)?));
                turns = Some([of(far)?, of(near)?]);
            }
            Self::Learned { table, offset } => embedding = Some(rows(table, *offset as u32)?),
            Self::Slopes(slopes) => {
                let of = |row: &[u32]| {
                    let each = |slope| row.iter().map(move |&p| slope * p as f32);
                    slopes.iter().flat_map(each).collect::<Vec<f32>>()
                };
                let all = tokens.positions.chunks_exact(length.max(1)).flat_map(of).collect();
                let shape = (batch, slopes.len(), 1, length);
                tilt = Some(Tensor::from_vec::<_, f32>(all, shape, device)?);
            }
        }
        let mut scores = BTreeMap::new();
        for window in windows.iter().collect::<BTreeSet<_>>() {
            let mut added = match window {
                Some(window) => tokens.near(*window)?,
                None => tokens.mask.clone(),
            };
            if let Some(tilt) = &tilt {
                added = added.broadcast_add(tilt)?;
            }
            scores.insert(*window, added);
        }
        Ok(Placed { turns, scores, embedding, gradient })
    }
}

impl Placed {
    /// Turns queries or keys [batch, heads, length, head width] of a layer with or without a window.
    pub(super) fn turn(&self, x: &Tensor, window: Option<usize>) -> Result<Tensor> {
        let Some(turns) = &self.turns else { return Ok(x.clone()) };
        let (cos, sin) = &turns[usize::from(window.is_some())];
        if !self.gradient {
            return Ok(rotary_emb::rope(&x.contiguous()?, cos, sin)?);
        }
        let half = x.dim(3)? / 2;
        let (a, b) = (x.narrow(3, 0, half)?, x.narrow(3, half, half)?);
        let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        Ok(Tensor::cat(&[first, second], 3)?)
    }

    pub(super) fn added(&self, window: Option<usize>) -> Result<&Tensor> {
        self.scores.get(&window).context("no mask for this window")
    }
}

/// Radians a position turns, for each pair of numbers of a head.
fn frequencies(head_width: usize, base: f64, stretch: &Stretch) -> Vec<f64> {
    let plain = (0..head_width / 2).map(|i| base.powf(-2.0 * i as f64 / head_width as f64));
    plain
        .enumerate()
        .map(|(i, turn)| match stretch {
            Stretch::None => turn,
            Stretch::Linear(factor) => turn / factor,
            Stretch::Divisors(divisors) => turn / divisors.get(i).map_or(1.0, |&d| f64::from(d)),
            Stretch::Llama3 { factor, low, high, original } => {
                let turns = original * turn / std::f64::consts::TAU;
                let quick = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                turn * (quick + (1.0 - quick) / factor)
            }
        })
        .collect()
}

/// Slope of every head: powers of `2^(-8/n)` for the largest power of two `n` among the heads, then every other one of
/// the finer series for the heads beyond.
fn slopes(heads: usize) -> Vec<f32> {
    let whole = 1 << heads.max(1).ilog2();
    let power = |n: usize, k: usize| (-8.0 * k as f64 / n as f64).exp2() as f32;
    let first = (1..=whole).map(|k| power(whole, k));
    let rest = (0..heads - whole).map(|i| power(2 * whole, 2 * i + 1));
    first.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::{Stretch, frequencies, slopes};

    #[test]
    fn slopes_of_six_heads_interleave_two_series() {
        let wanted = [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125];
        assert_eq!(slopes(6), wanted);
        assert_eq!(slopes(1), [0.00390625]);
    }

    #[test]
    fn llama3_leaves_quick_turns_and_divides_slow_ones() {
        let stretch = Stretch::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 64.0 };
        let (plain, scaled) =
            (frequencies(8, 100.0, &Stretch::None), frequencies(8, 100.0, &stretch));
        let ratio: Vec<f64> = plain.iter().zip(&scaled).map(|(p, s)| p / s).collect();
        assert_eq!((ratio[0], ratio[3]), (1.0, 8.0));
        assert!(ratio[1] > 1.0 && ratio[1] < ratio[2] && ratio[2] < 8.0, "{ratio:?}");
    }
}
