//! What many places compute of rows of numbers, once.

use nalgebra::RealField;

/// Turns logits into `exp(z / temperature)` over their sum, in place; returns the logarithm of the sum of exponentials, as
/// at temperature 1.
pub fn softmax_in_place<T: RealField + Copy>(z: &mut [T], temperature: T) -> T {
    let most = largest(z);
    let mut sum = T::zero();
    for z in z.iter_mut() {
        *z = ((*z - most) / temperature).exp();
        sum += *z;
    }
    z.iter_mut().for_each(|z| *z /= sum);
    most + sum.ln()
}

pub fn softmax<T: RealField + Copy>(logits: &[T], temperature: T) -> Vec<T> {
    let mut z = logits.to_vec();
    softmax_in_place(&mut z, temperature);
    z
}

/// Logarithm of the sum of exponentials, safe for large numbers.
pub fn log_sum_exp<T: RealField + Copy>(z: &[T]) -> T {
    let most = largest(z);
    most + z.iter().fold(T::zero(), |sum, &z| sum + (z - most).exp()).ln()
}

fn largest<T: RealField + Copy>(z: &[T]) -> T {
    z.iter().copied().reduce(T::max).unwrap_or_else(T::zero)
}

/// Adds `factor` times a row to another.
pub fn add<T: RealField + Copy>(to: &mut [T], factor: T, from: &[T]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to += factor * from);
}

/// Index of the largest number, the first of equals; 0 for an empty row.
pub fn argmax<T: PartialOrd>(row: &[T]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// Where a function of one minimum between `low` and `high` is least, by golden section; `left_is_less` compares its
/// values at two points, the left one first.
pub fn golden_section(
    mut low: f64,
    mut high: f64,
    rounds: usize,
    left_is_less: impl Fn(f64, f64) -> bool,
) -> f64 {
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    for _ in 0..rounds {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if left_is_less(a, b) { high = b } else { low = a }
    }
    f64::midpoint(low, high)
}

/// Rows of different lengths, one after the other in memory.
#[derive(Clone, Debug, Default)]
pub struct Ragged<T> {
    ends: Vec<usize>,
    pub values: Vec<T>,
}

impl<T> Ragged<T> {
    pub fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.ends.push(self.values.len());
    }

    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    pub fn range(&self, i: usize) -> std::ops::Range<usize> {
        i.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[i]
    }

    pub fn row(&self, i: usize) -> &[T] {
        &self.values[self.range(i)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_overflow_nothing_and_both_precisions_agree() {
        let z = [1000.0_f64, 1001.0, 999.0];
        let narrow = z.map(|z| z as f32);
        let (wide, single) = (softmax(&z, 2.0), softmax(&narrow, 2.0));
        assert!((wide.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!(wide.iter().zip(&single).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-7));
        assert!((wide[1] / wide[0] - 0.5_f64.exp()).abs() < 1e-12);
        let mut row = z;
        let log_sum = softmax_in_place(&mut row, 1.0);
        assert!((log_sum - log_sum_exp(&z)).abs() < 1e-12 && log_sum > 1001.0);
        assert!((row[0].ln() - (z[0] - log_sum)).abs() < 1e-12);
        assert_eq!((argmax(&z), argmax::<f32>(&[]), argmax(&[1, 2, 2])), (1, 0, 1));
    }
}
