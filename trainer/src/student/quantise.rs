//! Rows to int4 or int8: one scale a dimension, chosen so that the squared error is least.

use qdllm_runtime::QUBITS;
use qdllm_runtime::text::pool::{ROW, RowBits};
use rayon::prelude::*;

/// Quantised rows: `value = integer * scale[dimension]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// One row of 11 integers a vocabulary entry.
    pub rows: Vec<[i8; ROW]>,
    /// What an integer is worth, by dimension.
    pub scale: [f32; ROW],
}

/// Fractions of the largest value that are tried as clipping bounds.
const CLIPS: [f32; 17] =
    [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2];

/// Quantises `rows`, 11 numbers each, one after the other.
pub fn quantise(rows: &[f32], bits: RowBits) -> Quantised {
    let largest = match bits {
        RowBits::Four => 7.0,
        RowBits::Eight => 127.0,
    };
    let scale: Vec<f32> =
        (0..QUBITS).into_par_iter().map(|d| best_scale(rows, d, largest)).collect();
    let mut fixed = [0.0; ROW];
    fixed.copy_from_slice(&scale);
    let integers = rows
        .chunks_exact(QUBITS)
        .map(|row| {
            let mut out = [0; ROW];
            for (d, x) in row.iter().enumerate() {
                out[d] = nearest(*x, fixed[d], largest) as i8;
            }
            out
        })
        .collect();
    Quantised { rows: integers, scale: fixed }
}

impl Quantised {
    /// The numbers that the integers stand for.
    pub fn values(&self) -> Vec<f32> {
        let value = |row: &[i8; ROW]| -> Vec<f32> {
            row.iter().zip(self.scale).map(|(&x, s)| f32::from(x) * s).collect()
        };
        self.rows.iter().flat_map(value).collect()
    }
}

fn nearest(x: f32, scale: f32, largest: f32) -> f32 {
    (x / scale).round().clamp(-largest, largest)
}

fn best_scale(rows: &[f32], dimension: usize, largest: f32) -> f32 {
    let values = || rows.iter().skip(dimension).step_by(QUBITS);
    let most = values().fold(0.0_f32, |m, x| m.max(x.abs()));
    if most == 0.0 {
        return 1.0;
    }
    let error = |scale: f32| -> f64 {
        values().map(|&x| f64::from(x - nearest(x, scale, largest) * scale).powi(2)).sum()
    };
    CLIPS
        .iter()
        .map(|clip| clip * most / largest)
        .min_by(|a, b| error(*a).total_cmp(&error(*b)))
        .unwrap_or(most / largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(rows: &[f32], q: &Quantised) -> f64 {
        rows.iter().zip(q.values()).map(|(x, y)| f64::from(x - y).powi(2)).sum()
    }

    #[test]
    fn eight_bits_are_within_half_a_step_and_clipping_beats_the_full_range() {
        // A long tail: most values small, few large.
        let rows: Vec<f32> = (0..11 * 500).map(|i| ((i as f32 * 0.37).sin()).powi(9)).collect();
        let eight = quantise(&rows, RowBits::Eight);
        for (i, (x, y)) in rows.iter().zip(eight.values()).enumerate() {
            let bound = 127.0 * eight.scale[i % 11];
            assert!((x.clamp(-bound, bound) - y).abs() <= 0.5001 * eight.scale[i % 11]);
        }
        let four = quantise(&rows, RowBits::Four);
        assert!(four.rows.iter().flatten().all(|x| (-7..=7).contains(x)));
        let most = rows.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let full = Quantised {
            rows: rows
                .chunks_exact(11)
                .map(|r| std::array::from_fn(|d| nearest(r[d], most / 7.0, 7.0) as i8))
                .collect(),
            scale: [most / 7.0; 11],
        };
        assert!(error(&rows, &four) < error(&rows, &full));
    }

    #[test]
    fn a_dimension_of_zeros_keeps_a_finite_scale() {
        let q = quantise(&[0.0; 22], RowBits::Four);
        assert_eq!((q.rows.len(), q.scale[3]), (2, 1.0));
    }
}
