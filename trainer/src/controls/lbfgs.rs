//! L-BFGS: minimises a smooth convex function from its values and gradients.
//!
//! The two-loop recursion over the last [`MEMORY`] steps (Nocedal and Wright, *Numerical
//! Optimization*, algorithms 7.4 and 7.5) with a backtracking line search. All sums run in one
//! fixed order, so the result depends on nothing but the function and the start.

use std::collections::VecDeque;

/// Steps the curvature is estimated from.
const MEMORY: usize = 10;
/// Share of the decrease promised by the slope that a step must bring.
const SUFFICIENT: f64 = 1e-4;
/// Halvings of a step after which no decrease is to be had in double precision.
const HALVINGS: usize = 50;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// Largest component of the gradient at which the minimum counts as found.
    pub(super) gradient: f64,
    /// Steps at most.
    pub(super) iterations: usize,
}

/// Where the search ended.
#[derive(Debug)]
pub(super) struct Minimum {
    pub(super) x: Vec<f64>,
    /// Largest component of the gradient at `x`.
    pub(super) gradient: f64,
}

/// One step and the change of the gradient along it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step . change)
    rho: f64,
}

/// Minimises `f`, which fills in the gradient at a point and returns the value.
pub(super) fn minimise(
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
    mut x: Vec<f64>,
    stop: Stop,
) -> Minimum {
    let mut gradient = vec![0.0; x.len()];
    let mut value = f(&x, &mut gradient);
    let mut memory: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    let mut next = x.clone();
    let mut next_gradient = gradient.clone();
    let mut iterations = 0;
    while largest(&gradient) > stop.gradient && iterations < stop.iterations {
        let mut direction = downhill(&gradient, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding has spoilt the curvature: start again from the plain gradient.
            memory.clear();
            direction = downhill(&gradient, &memory);
            slope = dot(&direction, &gradient);
        }
        // Without curvature the first trial is a step of length 1.
        let mut length =
            if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let mut found = false;
        for _ in 0..HALVINGS {
            for ((n, &x), &d) in next.iter_mut().zip(&x).zip(&direction) {
                *n = x + length * d;
            }
            let next_value = f(&next, &mut next_gradient);
            if next_value <= value + SUFFICIENT * length * slope {
                value = next_value;
                found = true;
                break;
            }
            length /= 2.0;
        }
        if !found {
            break;
        }
        remember(&mut memory, difference(&next, &x), difference(&next_gradient, &gradient));
        std::mem::swap(&mut x, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        iterations += 1;
    }
    Minimum { gradient: largest(&gradient), x }
}

fn remember(memory: &mut VecDeque<Pair>, step: Vec<f64>, change: Vec<f64>) {
    let curvature = dot(&step, &change);
    if curvature <= f64::EPSILON * dot(&change, &change) {
        return;
    }
    if memory.len() == MEMORY {
        memory.pop_front();
    }
    memory.push_back(Pair { step, change, rho: 1.0 / curvature });
}

/// Minus the estimated inverse Hessian times the gradient.
fn downhill(gradient: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let alpha = pair.rho * dot(&pair.step, &q);
        add(&mut q, -alpha, &pair.change);
        alphas.push(alpha);
    }
    if let Some(last) = memory.back() {
        let scale = 1.0 / (last.rho * dot(&last.change, &last.change));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, alpha) in memory.iter().zip(alphas.into_iter().rev()) {
        let beta = pair.rho * dot(&pair.change, &q);
        add(&mut q, alpha - beta, &pair.step);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |most, a| a.abs().max(most))
}

#[cfg(test)]
mod tests {
    use super::{Stop, minimise};

    #[test]
    fn finds_the_minimum_of_a_stretched_bowl() {
        // sum of 10^i (x_i - i)^2: condition number 10^5.
        let bowl = |x: &[f64], g: &mut [f64]| {
            let mut value = 0.0;
            let mut stretch = 1.0;
            let mut middle = 0.0;
            for (x, g) in x.iter().zip(g) {
                value += stretch * (x - middle) * (x - middle);
                *g = 2.0 * stretch * (x - middle);
                stretch *= 10.0;
                middle += 1.0;
            }
            value
        };
        let stop = Stop { gradient: 1e-8, iterations: 200 };
        let minimum = minimise(bowl, vec![-7.0; 6], stop);
        assert!(minimum.gradient <= 1e-8, "{minimum:?}");
        for (x, middle) in minimum.x.iter().zip([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) {
            assert!((x - middle).abs() < 1e-8, "{minimum:?}");
        }
    }

    #[test]
    fn stops_where_it_is_told_to() {
        let square = |x: &[f64], g: &mut [f64]| {
            g[0] = 4.0 * x[0].powi(3);
            x[0].powi(4)
        };
        let stop = Stop { gradient: 0.0, iterations: 3 };
        // The first trial of each of three steps is taken: four values in all.
        let mut calls = 0;
        let counted = |x: &[f64], g: &mut [f64]| {
            calls += 1;
            square(x, g)
        };
        let minimum = minimise(counted, vec![3.0], stop);
        assert!(minimum.gradient > 0.0 && minimum.x[0] < 3.0);
        assert_eq!(calls, 4);
    }
}
