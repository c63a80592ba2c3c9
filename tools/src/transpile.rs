//! The compiler: source to plan (searched once), plan and inputs to circuits (fast, and checked).

use crate::bind::{elements, written};
use crate::block::merge::merged;
use crate::check::{Readout, TOLERANCE, outputs_differ};
use crate::circuit::Circuit;
use crate::device::{Device, DeviceError};
use crate::expand::expanded;
use crate::order::{Order, cz_depth, scheduled};
use crate::place::{Layout, NOWHERE, pairs, place};
use crate::rewrite::{Branch, end, fold, fresh, mixture};
use crate::route::{Routed, Taste, route};
use crate::source::Source;
use crate::step::{Step, simplified};
use crate::unitary::Basis;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the compiler may do, and how long it searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The structural rewrites of [`crate::rewrite`] that change what is prepared or read.
    pub rewrite: bool,
    /// The device's one-qubit gates.
    pub basis: Basis,
    /// Seed of the routing's choices.
    pub seed: u64,
    /// Routings that are tried.
    pub tries: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { rewrite: true, basis: Basis::HRz, seed: 1, tries: 160 }
    }
}

/// Why nothing was compiled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TranspileError {
    /// The target cannot hold the circuit.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An angle is not a number.
    #[error("input {0} is not a finite angle")]
    NotFinite(usize),
    /// The compiled circuit is not the source: a fault of this program.
    #[error(
        "internal error: the compiled circuit differs from its source by {0:e}; nothing was written"
    )]
    Mismatch(f64),
    /// Too many qubits to check.
    #[error("the compiled circuit passes through too many qubits to be checked by simulation")]
    Uncheckable,
}

/// A source laid out on a device; every set of inputs shares it.
#[derive(Clone, Debug)]
pub struct Plan {
    source: Source,
    device: Device,
    options: Options,
    branches: Vec<PlannedBranch>,
}

#[derive(Clone, Debug)]
struct PlannedBranch {
    branch: Branch,
    /// Physical steps, each worth at most one CZ.
    steps: Vec<Step>,
    /// Physical qubit of each step qubit at the end.
    layout: Layout,
}

/// One circuit to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// How much its outputs count; the weights of all circuits of a source sum to 1.
    pub weight: f64,
    /// Gates on physical qubits, and the measurements.
    pub circuit: Circuit,
    /// The source's outputs, in order, from the measured bits.
    pub readouts: Vec<Readout>,
}

impl Plan {
    /// Searches the best layout of `source` on `device`.
    ///
    /// # Errors
    /// [`TranspileError::Device`] if the device is too small.
    pub fn new(source: Source, device: &Device, options: Options) -> Result<Self, TranspileError> {
        let (steps, names) = source.steps();
        let renamed = |mask: u16| {
            let bit = |q: usize| (mask >> q & 1) << names[q];
            (0..names.len()).fold(0, |m, q| m | bit(q))
        };
        let outputs: Vec<_> = source.outputs.iter().map(|&(m, n)| (renamed(m), n)).collect();
        let whole = Branch { weight: Vec::new(), steps: simplified(steps), outputs };
        let branches =
            if options.rewrite { rewritten(whole, source.qubits) } else { vec![cleaned(whole)] };
        let mut planned = Vec::new();
        for branch in branches {
            let needed = used(&branch, source.qubits, options.rewrite);
            device.holds(needed.count_ones().max(1) as usize)?;
            let (steps, layout) = laid_out(&branch, needed, source.qubits, device, options);
            planned.push(PlannedBranch { branch, steps, layout });
        }
        Ok(Self { source, device: device.clone(), options, branches: planned })
    }

    /// The circuits for given inputs (radians), each checked against the source.
    ///
    /// # Errors
    /// [`TranspileError`]; on [`TranspileError::Mismatch`] the result must not be used, so there is none.
    pub fn compile(&self, inputs: &[f64]) -> Result<Vec<Compiled>, TranspileError> {
        if let Some(i) = inputs.iter().position(|x| !x.is_finite()) {
            return Err(TranspileError::NotFinite(i));
        }
        let all: Vec<Compiled> = self.branches.iter().map(|b| self.bound(b, inputs)).collect();
        let parts: Vec<(f64, &Circuit, &[Readout])> =
            all.iter().map(|c| (c.weight, &c.circuit, &c.readouts[..])).collect();
        match outputs_differ(&self.source, inputs, &parts) {
            None => Err(TranspileError::Uncheckable),
            // Written so that a NaN is a mismatch too.
            Some(d) if d <= TOLERANCE => Ok(all),
            Some(d) => Err(TranspileError::Mismatch(d)),
        }
    }

    /// The device it was made for.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Circuits that each set of inputs takes.
    pub fn circuits(&self) -> usize {
        self.branches.len()
    }

    fn bound(&self, planned: &PlannedBranch, inputs: &[f64]) -> Compiled {
        let read = planned.branch.outputs.iter().fold(0, |all, (mask, _)| all | mask);
        let measured: Vec<u8> = (0..16).filter(|q| read >> q & 1 == 1).collect();
        let measures: Vec<(u8, u8)> = measured
            .iter()
            .enumerate()
            .map(|(bit, &q)| (planned.layout[q as usize], bit as u8))
            .collect();
        let qubits: Vec<u8> = measures.iter().map(|m| m.0).collect();
        let all = merged(elements(&planned.steps, inputs), &qubits);
        let ops = written(&all, self.options.basis);
        let highest =
            ops.iter().flat_map(|op| op.on().to_vec()).chain(measures.iter().map(|m| m.0)).max();
        let readouts = planned.branch.outputs.iter().map(|&(mask, negated)| Readout {
            bits: (0..measured.len() as u8)
                .filter(|&b| mask >> measured[b as usize] & 1 == 1)
                .collect(),
            negated,
        });
        Compiled {
            weight: planned.branch.weight(inputs),
            readouts: readouts.collect(),
            circuit: Circuit {
                qubits: highest.map_or(1, |q| q as usize + 1),
                bits: measures.len(),
                ops,
                measures,
            },
        }
    }
}

/// Clean-up that keeps the final state.
fn cleaned(mut branch: Branch) -> Branch {
    while fold::fold(&mut branch.steps) > 0 {
        branch.steps = simplified(branch.steps);
    }
    branch
}

/// All structural rewrites but the choice of fresh qubits.
fn rewritten(mut whole: Branch, qubits: u8) -> Vec<Branch> {
    end::absorb(&mut whole);
    let shortened = |mut branch: Branch| {
        // Each pass can open the way for the others; each lowers the number of steps or stops.
        loop {
            let before = (branch.steps.len(), branch.cost());
            branch = cleaned(branch);
            end::absorb(&mut branch);
            branch.steps = simplified(branch.steps);
            if (branch.steps.len(), branch.cost()) == before {
                return branch;
            }
        }
    };
    mixture::split(whole, qubits).into_iter().map(shortened).collect()
}

/// Qubits that need a place.
fn used(branch: &Branch, qubits: u8, rewrite: bool) -> u16 {
    let touched = branch.steps.iter().flat_map(Step::acts).fold(0, |m, (q, _)| m | 1 << q);
    let read = branch.outputs.iter().fold(0, |m, o| m | o.0);
    if rewrite { touched | read } else { (1_u32 << qubits).wrapping_sub(1) as u16 | touched | read }
}

/// Physical steps of one CZ each, and the final layout: the fewest CZ, then the least depth.
fn laid_out(
    branch: &Branch,
    needed: u16,
    qubits: u8,
    device: &Device,
    options: Options,
) -> (Vec<Step>, Layout) {
    let n = qubits as usize;
    let variants: Vec<Vec<Step>> = if options.rewrite {
        let roots = (0..qubits).filter(|q| needed >> q & 1 == 1);
        let mut all: Vec<_> =
            roots.map(|root| scheduled(&fresh::mark(&branch.steps, root))).collect();
        let cost =
            |steps: &Vec<Step>| (steps.iter().map(Step::cost).sum::<usize>(), cz_depth(steps));
        all.sort_by_key(cost);
        all.truncate(if all.len() > 3 { 3 } else { all.len() });
        all
    } else {
        vec![branch.steps.clone()]
    };
    let Some(first) = variants.first() else {
        // No qubit at all: every output is constant.
        return (Vec::new(), vec![NOWHERE; 16]);
    };
    let weights = pairs(first, n);
    let placements = place(&weights, needed, device, 12);
    let finish = |mut routed: Routed| {
        routed.steps = fresh::kept(routed.steps);
        let steps = scheduled(&expanded(&scheduled(&routed.steps)));
        let plain = expanded(&routed.steps);
        let key = |s: &Vec<Step>| (s.iter().map(Step::cost).sum::<usize>(), cz_depth(s));
        let steps = if key(&plain) < key(&steps) { plain } else { steps };
        (key(&steps), steps, routed.layout)
    };
    let mut best: Option<((usize, usize), Vec<Step>, Layout)> = None;
    let mut keep = |candidate: ((usize, usize), Vec<Step>, Layout)| {
        if best.as_ref().is_none_or(|b| candidate.0 < b.0) {
            best = Some(candidate);
        }
    };
    let fits = placements.first().is_some_and(|p| p.missing == 0);
    if fits {
        let layout = &placements[0].layout;
        for steps in &variants {
            let steps = steps.iter().map(|s| s.renamed(|q| layout[q as usize])).collect();
            keep(finish(Routed { steps, layout: layout.clone() }));
        }
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let orders: Vec<Order> = variants.iter().map(|v| Order::of(v)).collect();
        for attempt in 0..options.tries.max(1) {
            let (steps, order) =
                (&variants[attempt % variants.len()], &orders[attempt % variants.len()]);
            let mut layout = placements[attempt % placements.len()].layout.clone();
            let taste = Taste {
                later: [0.3, 0.5, 0.8, 1.2][rng.random_range(0..4)],
                horizon: [8, 15, 20, 30][rng.random_range(0..4)],
                merge: [0.0, 0.3, 0.7, 1.0][rng.random_range(0..4)],
            };
            if attempt >= placements.len() {
                // There and back again: where a backward pass ends is a good place to begin.
                let back: Vec<Step> = steps.iter().rev().cloned().collect();
                let backward = Order::of(&back);
                let there = route(steps, order, device, &layout, taste, &mut rng);
                layout = route(&back, &backward, device, &there.layout, taste, &mut rng).layout;
            }
            keep(finish(route(steps, order, device, &layout, taste, &mut rng)));
        }
    }
    best.map_or_else(|| (Vec::new(), vec![NOWHERE; 16]), |(_, steps, layout)| (steps, layout))
}
