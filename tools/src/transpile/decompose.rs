//! Turns physical steps into steps of one CZ each: ZZ phases into CX, RZ, CX; exchanges into CX,
//! merged with the step on the same pair before or after them.

use crate::transpile::ir::{Step, exchanged, simplified};

/// The same circuit with every two-qubit step worth exactly one CZ.
pub fn expanded(steps: &[Step]) -> Vec<Step> {
    let mut steps: Vec<Option<Step>> = steps.iter().cloned().map(Some).collect();
    let mut out: Vec<Vec<Step>> = vec![Vec::new(); steps.len()];
    for i in 0..steps.len() {
        if let Some(Step::Swap(a, b)) = steps[i] {
            exchange(&mut steps, &mut out, i, a, b);
        }
    }
    let rest = steps.into_iter().zip(out).flat_map(|(step, mut done)| {
        done.extend(step.into_iter().flat_map(|s| plain(&s)));
        done
    });
    simplified(rest.collect())
}

fn plain(step: &Step) -> Vec<Step> {
    match *step {
        Step::Zz(a, b, ref t) if step.cost() == 2 => {
            vec![Step::Cx(a, b), Step::Rz(b, t.clone()), Step::Cx(a, b)]
        }
        Step::Swap(a, b) => vec![Step::Cx(a, b), Step::Cx(b, a), Step::Cx(a, b)],
        _ => vec![step.clone()],
    }
}

/// A step on the pair, then the exchange of the pair; `None` if that saves nothing.
fn with_exchange(step: &Step, a: u8, b: u8) -> Option<Vec<Step>> {
    match step {
        // CX(c,t) and then CX(c,t) CX(t,c) CX(c,t): the first two go.
        Step::Cx(c, t) => Some(vec![Step::Cx(*t, *c), Step::Cx(*c, *t)]),
        Step::Zz(_, _, angle) if step.cost() == 2 => {
            Some(vec![Step::Cx(a, b), Step::Rz(b, angle.clone()), Step::Cx(b, a), Step::Cx(a, b)])
        }
        _ => None,
    }
}

fn exchange(steps: &mut [Option<Step>], out: &mut [Vec<Step>], i: usize, a: u8, b: u8) {
    let swapped = |q| exchanged(q, a, b);
    let touches = |s: &Step| s.touches(a) || s.touches(b);
    // A step already expanded blocks, and so does any two-qubit step but one on just this pair.
    let partner = |range: &mut dyn Iterator<Item = usize>| {
        for j in range {
            if out[j].iter().any(touches) {
                return None;
            }
            if let Some(s) = steps[j].as_ref().filter(|s| s.pair().is_some() && touches(s)) {
                let same = s.touches(a) && s.touches(b);
                return same.then(|| with_exchange(s, a, b)).flatten().map(|m| (j, m));
            }
        }
        None
    };
    if let Some((j, merged)) = partner(&mut (0..i).rev()) {
        // The exchange moves back to `j`: what it passes is renamed.
        for step in steps[j + 1..i].iter_mut().flatten() {
            *step = step.renamed(swapped);
        }
        (steps[j], steps[i]) = (None, None);
        out[j] = merged;
        return;
    }
    if let Some((j, _)) = partner(&mut (i + 1..steps.len())) {
        // The exchange moves on to `j`, whose step now acts before it, on renamed qubits.
        let Some(step) = steps[j].take().map(|s| s.renamed(swapped)) else { return };
        if let Some(merged) = with_exchange(&step, a, b) {
            for between in steps[i + 1..j].iter_mut().flatten() {
                *between = between.renamed(swapped);
            }
            steps[i] = None;
            out[j] = merged;
        }
        return;
    }
    // With a qubit that nothing has touched yet, still |0>, two CX move the other one.
    let before = || steps[..i].iter().flatten().chain(out[..i].iter().flatten());
    let [used_a, used_b] = [a, b].map(|q| before().any(|s| s.touches(q)));
    if used_a != used_b {
        let (from, to) = if used_a { (a, b) } else { (b, a) };
        steps[i] = None;
        out[i] = vec![Step::Cx(from, to), Step::Cx(to, from)];
    }
}
