//! The compiler: source to plan (searched once), plan and inputs to circuits (fast, and checked).

pub mod block;
pub mod check;
pub mod greedy;
pub mod ir;
pub mod native;
pub mod pauli;
pub mod rewrite;
pub mod route;
pub mod search;
pub mod source;
pub mod synthesis;
pub mod variants;
pub mod word;

use crate::circuit::Circuit;
use crate::processor::Processor;
use crate::readout::{BitError, Readout};
use crate::transpile::block::merged;
use crate::transpile::check::{TOLERANCE, outputs_differ};
use crate::transpile::ir::{Step, cost, simplified};
use crate::transpile::native::{Basis, elements, written};
use crate::transpile::rewrite::{Branch, fold_phases, split};
use crate::transpile::route::Layout;
use crate::transpile::search::{Effort, laid_out};
use crate::transpile::source::Source;
use crate::transpile::variants::variants;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// What the compiler may do, and how long it searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The structural rewrites of [`rewrite`] that change what is prepared or read.
    pub rewrite: bool,
    pub basis: Basis,
    pub seed: u64,
    /// Routings of a circuit; of a long one fewer.
    pub tries: usize,
    /// After this the best found so far is taken, so that the result depends on the machine.
    pub time_limit: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rewrite: true, basis: Basis::HRz, seed: 1, tries: 160, time_limit: None }
    }
}

/// A source laid out on a processor; every set of inputs shares it.
#[derive(Clone, Debug)]
pub struct Plan {
    source: Source,
    options: Options,
    branches: Vec<PlannedBranch>,
    /// Whether the time limit ended the search.
    pub cut: bool,
}

#[derive(Clone, Debug)]
struct PlannedBranch {
    branch: Branch,
    /// Physical steps, each worth at most one CZ.
    steps: Vec<Step>,
    /// Physical qubit of each step qubit at the end.
    layout: Layout,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// How much its outputs count; the weights of all circuits of a source sum to 1.
    pub weight: f64,
    pub circuit: Circuit,
    /// The source's outputs, in order, from the measured bits.
    pub readouts: Vec<Readout>,
}

impl Compiled {
    /// How each classical bit is misread, if that is known of every qubit that is measured.
    pub fn bit_errors(&self, of: impl Fn(u8) -> Option<BitError>) -> Option<Vec<BitError>> {
        let mut all = vec![BitError::default(); self.circuit.bits];
        for &(qubit, bit) in &self.circuit.measures {
            all[bit as usize] = of(qubit)?;
        }
        Some(all)
    }
}

impl Plan {
    pub fn new(source: Source, processor: &Processor, options: Options) -> Result<Self> {
        Self::watched(source, processor, options, &mut |_, _| {})
    }

    /// The same; `progress` hears how many of how many routings are done.
    pub fn watched(
        source: Source,
        processor: &Processor,
        options: Options,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let mut effort = Effort::new(options.time_limit, progress);
        let (steps, names) = source.steps();
        let renamed = |mask: u16| {
            let bit = |q: usize| (mask >> q & 1) << names[q];
            (0..names.len()).fold(0, |m, q| m | bit(q))
        };
        let outputs: Vec<_> = source.outputs.iter().map(|&(m, n)| (renamed(m), n)).collect();
        let whole = Branch { weight: Vec::new(), steps: simplified(steps), outputs };
        let tidied = if options.rewrite { shortened } else { tidied };
        let branches =
            if options.rewrite { rewritten(whole, source.qubits) } else { vec![tidied(whole)] };
        let offered: Vec<Vec<Branch>> =
            branches.into_iter().map(|b| variants(b, options.rewrite, tidied)).collect();
        effort.expect(options.tries, offered.iter().flatten().map(|b| b.steps.len()));
        let mut planned = Vec::new();
        for branches in offered {
            let mut best = None;
            for branch in branches {
                let needed = used(&branch, source.qubits, options.rewrite);
                processor.holds(needed.count_ones().max(1) as usize)?;
                effort.begin(options.tries, branch.steps.len());
                if best.is_some() && effort.is_over() {
                    continue;
                }
                let (key, steps, layout) =
                    laid_out(&branch, needed, source.qubits, processor, options.seed, &mut effort);
                if best.as_ref().is_none_or(|(least, _)| key < *least) {
                    best = Some((key, PlannedBranch { branch, steps, layout }));
                }
            }
            planned.extend(best.map(|(_, branch)| branch));
        }
        Ok(Self { source, options, branches: planned, cut: effort.cut })
    }

    /// The circuits for given inputs (radians), each checked against the source.
    pub fn compile(&self, inputs: &[f64]) -> Result<Vec<Compiled>> {
        for (i, x) in inputs.iter().enumerate() {
            ensure!(x.is_finite(), "input {i} is not a finite angle");
        }
        let all: Vec<Compiled> = self.branches.iter().map(|b| self.bound(b, inputs)).collect();
        let parts = all.iter().map(|c| (c.weight, &c.circuit, &c.readouts[..]));
        let difference = outputs_differ(&self.source, inputs, parts).context(
            "the compiled circuit passes through too many qubits to be checked by simulation",
        )?;
        // Written so that a NaN is a mismatch too.
        ensure!(
            difference <= TOLERANCE,
            "internal error: the compiled circuit differs from its source by {difference:e}; nothing was written"
        );
        Ok(all)
    }

    fn bound(&self, planned: &PlannedBranch, inputs: &[f64]) -> Compiled {
        // A bit for each qubit that is read, in the order in which outputs name them: where each output
        // is one qubit of its own, bit k is output k.
        let mut measured: Vec<u8> = Vec::new();
        for (mask, _) in &planned.branch.outputs {
            let named = (0..16).filter(|q| mask >> q & 1 == 1);
            measured.extend(named.filter(|q| !measured.contains(q)).collect::<Vec<u8>>());
        }
        let qubits: Vec<u8> = measured.iter().map(|&q| planned.layout[q as usize]).collect();
        let all = merged(elements(&planned.steps, inputs), &qubits);
        let readouts = planned.branch.outputs.iter().map(|&(mask, negated)| {
            let read = |&b: &u8| mask >> measured[b as usize] & 1 == 1;
            Readout { bits: (0..measured.len() as u8).filter(read).collect(), negated }
        });
        let (gates, barriers) = written(&all, self.options.basis);
        let mut circuit = Circuit {
            qubits: 0,
            bits: measured.len(),
            gates,
            measures: qubits.into_iter().zip(0..).collect(),
            ..Circuit::default()
        };
        let used = circuit.used();
        circuit.qubits = used.last().map_or(1, |&q| q as usize + 1);
        circuit.barriers = fences(barriers, circuit.gates.len(), &used);
        Compiled { weight: planned.branch.weight(inputs), readouts: readouts.collect(), circuit }
    }
}

/// The barriers that are left: before a gate, and on qubits that are used.
fn fences(mut barriers: Vec<(usize, Vec<u8>)>, gates: usize, used: &[u8]) -> Vec<(usize, Vec<u8>)> {
    barriers.iter_mut().for_each(|(_, on)| on.retain(|q| used.contains(q)));
    barriers.retain(|(at, on)| *at < gates && !on.is_empty());
    barriers
}

/// Clean-up that leaves every output on its qubit.
fn tidied(mut branch: Branch) -> Branch {
    loop {
        let before = branch.steps.len();
        branch.trim();
        branch = cleaned(branch);
        if branch.steps.len() == before {
            return branch;
        }
    }
}

fn cleaned(mut branch: Branch) -> Branch {
    while fold_phases(&mut branch.steps) > 0 {
        branch.steps = simplified(branch.steps);
    }
    branch
}

/// All structural rewrites but the choice of fresh qubits.
fn rewritten(mut whole: Branch, qubits: u8) -> Vec<Branch> {
    whole.absorb_measurement();
    split(whole, qubits).into_iter().map(shortened).collect()
}

fn shortened(mut branch: Branch) -> Branch {
    // Each pass can open the way for the others; each lowers the number of steps or stops.
    loop {
        let before = (branch.steps.len(), cost(&branch.steps));
        branch = cleaned(branch);
        branch.absorb_measurement();
        branch.steps = simplified(branch.steps);
        if (branch.steps.len(), cost(&branch.steps)) == before {
            return branch;
        }
    }
}

fn used(branch: &Branch, qubits: u8, rewrite: bool) -> u16 {
    let touched = branch.steps.iter().flat_map(Step::acts).fold(0, |m, (q, _)| m | 1 << q);
    let read = branch.outputs.iter().fold(0, |m, o| m | o.0);
    if rewrite { touched | read } else { (1_u32 << qubits).wrapping_sub(1) as u16 | touched | read }
}
