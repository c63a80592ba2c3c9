//! How far logits with some coefficients are from logits with others: at no input farther than a bound,
//! and as far as that at the worst input that a search finds.

use crate::compile::coefficients::{Coefficients, digit};
use crate::seed::stream;
use rand::Rng;
use std::f64::consts::PI;

const STARTS: usize = 24;
const PASSES: usize = 20;
/// A pass that gains less than this share is the last.
const GAIN: f64 = 1e-3;

/// Differences to the first class of one tensor less those of another.
pub struct ErrorBound {
    qubits: usize,
    /// One tensor a class but the first.
    values: Vec<Vec<f64>>,
}

impl ErrorBound {
    pub fn new(one: &Coefficients, two: &Coefficients) -> Self {
        let rows = || (0..one.monomials()).map(|m| (one.row(m), two.row(m)));
        let of = |c: usize| rows().map(|(a, b)| (a[c] - a[0]) - (b[c] - b[0])).collect();
        Self { qubits: one.qubits, values: (1..one.classes).map(of).collect() }
    }

    /// Whether it is within `allowed`: proven, or because no input was found where it is not.
    pub fn is_within(&self, allowed: f64) -> bool {
        self.bound() <= allowed || self.largest_found(allowed) <= allowed
    }

    /// At most this, at every input.
    ///
    /// The monomials of one set of qubits are the entries of a product of unit vectors (cos, sin), so
    /// that what they add is the length of their coefficients at most.
    pub fn bound(&self) -> f64 {
        let bound = |values: &Vec<f64>| {
            let mut squares = vec![0.0; 1 << self.qubits];
            for (m, x) in values.iter().enumerate() {
                let set: usize =
                    (0..self.qubits).filter(|&q| digit(m, q) > 0).map(|q| 1 << q).sum();
                squares[set] += x * x;
            }
            squares.into_iter().map(f64::sqrt).sum::<f64>()
        };
        self.values.iter().map(bound).fold(0.0, f64::max)
    }

    /// The largest that a search finds; it ends where it finds more than `enough`.
    ///
    /// From random inputs one angle after the other is set where the gap is largest: with the others
    /// held it is `a + b cos + c sin`, at most `|a| + |(b, c)|`.
    pub fn largest_found(&self, enough: f64) -> f64 {
        let mut random = stream(0, "worst inputs of a train");
        let mut largest = 0.0_f64;
        for _ in 0..STARTS {
            let mut circles: Vec<[f64; 2]> = (0..self.qubits)
                .map(|_| random.random_range(-PI..PI).sin_cos())
                .map(|(sin, cos)| [cos, sin])
                .collect();
            let mut reached = 0.0;
            for _ in 0..PASSES {
                let before = reached;
                for q in 0..self.qubits {
                    reached = self.ascend(&mut circles, q);
                    largest = largest.max(reached);
                    if largest > enough {
                        return largest;
                    }
                }
                if reached <= before * (1.0 + GAIN) {
                    break;
                }
            }
        }
        largest
    }

    /// Sets angle `q` where some class's gap is largest.
    fn ascend(&self, circles: &mut [[f64; 2]], q: usize) -> f64 {
        let mut largest = 0.0;
        for values in &self.values {
            let [a, b, c] = along(values, circles, q);
            let length = b.hypot(c);
            if a.abs() + length > largest {
                largest = a.abs() + length;
                let size = if a < 0.0 { -length } else { length };
                circles[q] = if length > 0.0 { [b / size, c / size] } else { circles[q] };
            }
        }
        largest
    }
}

/// A tensor with every angle but `q` put in: what stands with 1, cosine and sine of that one.
fn along(values: &[f64], circles: &[[f64; 2]], q: usize) -> [f64; 3] {
    let put = |values: &[f64], [cos, sin]: [f64; 2]| -> Vec<f64> {
        let (one, rest) = values.split_at(values.len() / 3);
        let (two, three) = rest.split_at(rest.len() / 2);
        one.iter().zip(two).zip(three).map(|((x, y), z)| x + cos * y + sin * z).collect()
    };
    // The last qubit's digit is the slowest.
    let (below, above) = circles.split_at(q);
    let whole = above[1..].iter().rev().fold(values.to_vec(), |rest, &circle| put(&rest, circle));
    std::array::from_fn(|i| {
        let block = whole[i * whole.len() / 3..][..whole.len() / 3].to_vec();
        below.iter().rev().fold(block, |rest, &circle| put(&rest, circle))[0]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: Vec<f64>) -> Coefficients {
        Coefficients { qubits: 3, classes: 2, values }
    }

    #[test]
    fn the_worst_input_is_found_under_the_bound() {
        let none = tensor(vec![0.0; 54]);
        let some = tensor((0..54).map(|i| (7.3 * f64::from(i)).sin()).collect());
        let gap = ErrorBound::new(&some, &none);
        let found = gap.largest_found(f64::INFINITY);
        assert!(found <= gap.bound() && found > 0.5 * gap.bound(), "{found} {}", gap.bound());
        // No input of a grid is worse, and a slightly finer one comes close.
        let mut on_grid = 0.0_f64;
        for i in 0..40_usize.pow(3) {
            let circles: [[f64; 2]; 3] = std::array::from_fn(|q| {
                let (sin, cos) = ((i / 40_usize.pow(q as u32) % 40) as f64 * PI / 20.0).sin_cos();
                [cos, sin]
            });
            let [a, b, c] = along(&gap.values[0], &circles, 1);
            on_grid = on_grid.max((a + b * circles[1][0] + c * circles[1][1]).abs());
        }
        assert!(on_grid <= found * (1.0 + 1e-9) && on_grid > 0.97 * found, "{on_grid} {found}");
        assert!(gap.is_within(gap.bound()) && gap.is_within(1.01 * found));
        assert!(!gap.is_within(0.99 * found));
    }

    #[test]
    fn one_set_of_qubits_reaches_the_bound() {
        let mut values = vec![0.0; 54];
        (values[2 * 4 + 1], values[2 * 8 + 1]) = (3.0, 4.0);
        let gap = ErrorBound::new(&tensor(values), &tensor(vec![0.0; 54]));
        assert!((gap.bound() - 5.0).abs() < 1e-12);
        // The two monomials are cos cos and sin sin: 4 at most, at right angles.
        assert!((gap.largest_found(f64::INFINITY) - 4.0).abs() < 1e-2);
        assert!(!gap.is_within(3.9) && gap.is_within(4.1));
    }
}
