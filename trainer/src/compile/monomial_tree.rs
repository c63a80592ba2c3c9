//! Monomials as a tree in which each node multiplies its parent by one factor.
//!
//! The order in which factors are taken decides how many leading products monomials share; a short
//! search exchanges factors as long as that saves nodes.

use super::coefficients::digit;
use crate::seed::stream;
use rand::Rng;
use std::collections::{BTreeMap, HashSet};

const TRIES: usize = 2000;

/// A factor: the qubit, and whether it is the sine.
pub type Factor = (usize, bool);

/// A node of the tree, parents before children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    pub depth: usize,
    pub factor: Factor,
    /// Which of the monomials it is; none if it is only a parent.
    pub monomial: Option<usize>,
}

/// The factors of a monomial, by qubit.
fn factors(monomial: u32, qubits: usize) -> impl Iterator<Item = Factor> {
    (0..qubits).filter_map(move |q| match digit(monomial as usize, q) {
        0 => None,
        digit => Some((q, digit == 2)),
    })
}

/// The tree of monomials (as in [`Coefficients`](super::coefficients::Coefficients)), none of them 1.
pub fn tree(monomials: &[u32], qubits: usize) -> Vec<Branch> {
    let mut uses: BTreeMap<Factor, usize> = BTreeMap::new();
    for &m in monomials {
        factors(m, qubits).for_each(|f| *uses.entry(f).or_default() += 1);
    }
    let mut order: Vec<Factor> = uses.keys().copied().collect();
    order.sort_by_key(|f| std::cmp::Reverse(uses[f]));
    let mut fewest = nodes(monomials, qubits, &order);
    let mut random = stream(0, "tree of monomials");
    for _ in 0..if order.len() > 1 { TRIES } else { 0 } {
        let (a, b) = (random.random_range(0..order.len()), random.random_range(0..order.len()));
        order.swap(a, b);
        let count = nodes(monomials, qubits, &order);
        if count <= fewest {
            fewest = count;
        } else {
            order.swap(a, b);
        }
    }
    let mut paths: Vec<(Vec<usize>, usize)> =
        monomials.iter().enumerate().map(|(i, &m)| (path(m, qubits, &order), i)).collect();
    paths.sort();
    let mut branches: Vec<Branch> = Vec::new();
    let mut last: &[usize] = &[];
    for (path, monomial) in &paths {
        let shared = last.iter().zip(path).take_while(|(a, b)| a == b).count();
        for (depth, &place) in path.iter().enumerate().skip(shared) {
            branches.push(Branch { depth, factor: order[place], monomial: None });
        }
        if let Some(branch) = branches.last_mut() {
            branch.monomial = Some(*monomial);
        }
        last = path;
    }
    branches
}

/// A monomial's factors as ascending places in the order.
fn path(monomial: u32, qubits: usize, order: &[Factor]) -> Vec<usize> {
    let mut path: Vec<usize> = factors(monomial, qubits)
        .filter_map(|factor| order.iter().position(|f| *f == factor))
        .collect();
    path.sort_unstable();
    path
}

/// How many nodes an order gives: the different leading products.
fn nodes(monomials: &[u32], qubits: usize, order: &[Factor]) -> usize {
    let mut leading = HashSet::new();
    for &m in monomials {
        let mut mask = 0_u32;
        for place in path(m, qubits, order) {
            mask |= 1 << place;
            leading.insert(mask);
        }
    }
    leading.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_monomial_is_a_node_below_its_factors() {
        // cos0, cos0 sin1, cos0 sin1 cos2, sin2, in base 3.
        let monomials = [1, 1 + 6, 1 + 6 + 9, 18];
        let branches = tree(&monomials, 3);
        let mut path: Vec<Factor> = Vec::new();
        let mut found = vec![false; monomials.len()];
        for branch in &branches {
            path.truncate(branch.depth);
            path.push(branch.factor);
            if let Some(i) = branch.monomial {
                let mut expected: Vec<Factor> = factors(monomials[i], 3).collect();
                let mut sorted = path.clone();
                expected.sort();
                sorted.sort();
                assert_eq!(sorted, expected);
                assert!(!std::mem::replace(&mut found[i], true));
            }
        }
        assert!(found.iter().all(|&f| f));
        assert_eq!(branches.len(), 4, "each shares its factors with the one before: {branches:?}");
    }
}
