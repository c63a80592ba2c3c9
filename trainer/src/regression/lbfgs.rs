//! Limited-memory BFGS for smooth convex functions, in f64, without randomness.

use crate::numeric::add;

/// Curvature pairs kept; more gained nothing on probes of a few thousand parameters.
const MEMORY: usize = 10;
/// Numbers in all of them; very long vectors keep fewer pairs.
const MOST_NUMBERS: usize = 8 << 20;
/// Sufficient decrease (Armijo) and curvature (weak Wolfe) constants.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// Minimises `f` from `x` in place. `f(x, g)` writes the gradient into `g` and returns the value and the largest
/// gradient entry; `dot` is the product of two vectors as they are written. Stops when no gradient entry exceeds
/// `tolerance` or after `limit` iterations, or when the line search cannot go lower, which in exact arithmetic means the
/// minimum. Returns the largest gradient entry at the end.
pub fn minimise(
    x: &mut [f64],
    (tolerance, limit): (f64, usize),
    dot: impl Fn(&[f64], &[f64]) -> f64,
    mut f: impl FnMut(&[f64], &mut [f64]) -> (f64, f64),
) -> f64 {
    let n = x.len();
    let memory = (MOST_NUMBERS / (2 * n.max(1))).clamp(3, MEMORY);
    let mut gradient = vec![0.0; n];
    let (mut value, mut largest) = f(x, &mut gradient);
    let mut history: Vec<Pair> = Vec::with_capacity(memory);
    let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    for _ in 0..limit {
        if largest <= tolerance {
            return largest;
        }
        let direction = descent(&gradient, &history, &dot);
        let slope = dot(&direction, &gradient);
        let start =
            if history.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        // Bracketing bisection for the weak Wolfe conditions: keeps every curvature pair positive.
        let (mut low, mut high, mut step) = (0.0, f64::INFINITY, start);
        let mut trial = |step: f64, next_gradient: &mut [f64]| {
            for ((to, from), along) in next.iter_mut().zip(x.iter()).zip(&direction) {
                *to = from + step * along;
            }
            f(&next, next_gradient)
        };
        // Near the minimum a good step changes the value by less than its last digits.
        let rounding = 4.0 * f64::EPSILON * value.abs();
        let no_worse = |candidate: f64| candidate <= value + rounding;
        let (mut candidate, mut steepest) = (f64::INFINITY, largest);
        for _ in 0..40 {
            (candidate, steepest) = trial(step, &mut next_gradient);
            let lower = candidate <= value + DECREASE * step * slope + rounding;
            if lower && dot(&next_gradient, &direction) >= CURVATURE * slope {
                break;
            }
            if lower {
                low = step;
            } else {
                high = step;
            }
            step = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * low };
        }
        // Out of trials on a failing step: the best known one is `low`, and none at all is the end. NaN counts as
        // failing throughout.
        if !no_worse(candidate) {
            if low > 0.0 {
                (candidate, steepest) = trial(low, &mut next_gradient);
            }
            if !no_worse(candidate) {
                return largest;
            }
        }
        let moved: Vec<f64> = next.iter().zip(x.iter()).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-12 * dot(&turned, &turned) {
            if history.len() == memory {
                history.remove(0);
            }
            history.push(Pair { moved, turned, curvature });
        }
        x.copy_from_slice(&next);
        gradient.copy_from_slice(&next_gradient);
        (value, largest) = (candidate, steepest);
    }
    largest
}

struct Pair {
    moved: Vec<f64>,
    turned: Vec<f64>,
    curvature: f64,
}

/// The two-loop recursion: minus the approximate inverse Hessian times the gradient.
fn descent(gradient: &[f64], history: &[Pair], dot: impl Fn(&[f64], &[f64]) -> f64) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(history.len());
    for pair in history.iter().rev() {
        let alpha = dot(&pair.moved, &q) / pair.curvature;
        add(&mut q, -alpha, &pair.turned);
        alphas.push(alpha);
    }
    if let Some(pair) = history.last() {
        let scale = pair.curvature / dot(&pair.turned, &pair.turned);
        q.iter_mut().for_each(|v| *v *= scale);
    }
    for (pair, alpha) in history.iter().zip(alphas.iter().rev()) {
        let beta = dot(&pair.turned, &q) / pair.curvature;
        add(&mut q, alpha - beta, &pair.moved);
    }
    q
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, v| m.max(v.abs()))
}

#[cfg(test)]
mod tests {
    use super::{dot, largest, minimise};

    #[test]
    fn finds_the_minimum_of_an_ill_conditioned_bowl() {
        let mut x = vec![5.0, -3.0, 2.0];
        let scale = [1.0, 100.0, 0.01];
        let at = [1.0, 2.0, 3.0];
        let end = minimise(&mut x, (1e-9, 200), dot, |x, g| {
            let mut value = 0.0;
            for i in 0..3 {
                g[i] = scale[i] * (x[i] - at[i]);
                value += 0.5 * g[i] * (x[i] - at[i]);
            }
            (value, largest(g))
        });
        assert!(end <= 1e-9, "{end:e}");
        for (x, at) in x.iter().zip(at) {
            assert!((x - at).abs() < 1e-6, "{x} is not {at}");
        }
    }

    #[test]
    fn walks_down_a_curved_valley() {
        // Rosenbrock's function: not convex, a hard case for the line search.
        let mut x = vec![-1.2, 1.0];
        let end = minimise(&mut x, (1e-8, 500), dot, |x, g| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            (a * a + 100.0 * b * b, largest(g))
        });
        assert!((x[0] - 1.0).abs() < 1e-6 && (x[1] - 1.0).abs() < 1e-6, "{x:?} {end:e}");
    }
}
