//! Which model a start uses, and the trial of a new one.

use crate::board::SlotFlash;
use crate::engine::Engine;
use crate::slots::{Found, Slots, State};
use qdllm_link::Fault;
use qdllm_link::slot::{Header, Mark, Marks};
use qdllm_runtime::Model;

/// The outcome of a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot<'m> {
    pub(crate) active: Option<Found<'m>>,
    /// What stands against the model of each slot.
    pub(crate) faults: [Option<Fault>; 2],
}

impl Boot<'_> {
    /// Why there is no model: what the slot says in which something was found, the first before the
    /// second.
    pub(crate) fn fault(&self) -> Fault {
        let mut said = self.faults.iter().flatten().filter(|fault| **fault != Fault::SlotBlank);
        said.next().copied().unwrap_or(Fault::SlotBlank)
    }

    /// The slot that nothing in use lies in.
    pub(crate) fn spare(&self) -> usize {
        match self.active {
            Some(Found { slot: 0, .. }) => 1,
            _ => 0,
        }
    }
}

/// Chooses the newest model that may be used; one that was never tried is tried now.
///
/// A trial is marked before it begins. A start that finds the mark without a confirmation knows that
/// the trial ended in a reset, and goes back to the other slot, if that has a model.
///
/// Of models in use and confirmed long ago only one is read whole, so a start takes the time of one
/// check.
#[inline(never)]
pub(crate) fn boot<'m, F: SlotFlash<'m>, E: Engine>(
    slots: &mut Slots<'_, F>,
    engine: &mut E,
) -> Boot<'m> {
    let states = [0, 1].map(|slot| slots.state(slot));
    let mut outcome = Boot { active: None, faults: states.map(Result::err) };
    let sequence = |slot: usize| states.get(slot).and_then(|state| state.ok()).map(|s| s.sequence);
    // The newer one first; of equals the first slot.
    let order = if sequence(1) > sequence(0) { [1, 0] } else { [0, 1] };
    for slot in order {
        let Some(Ok(state)) = states.get(slot).copied() else { continue };
        let settled = settle(slots, slot, state, engine);
        match settled.and_then(|()| slots.usable(slot, engine)) {
            Ok(found) => {
                outcome.active = Some(found);
                return outcome;
            }
            Err(fault) => {
                if let Some(slot) = outcome.faults.get_mut(slot) {
                    *slot = Some(fault);
                }
            }
        }
    }
    outcome.active = rescue(slots, &outcome, engine);
    outcome
}

/// Decides about a model that was not confirmed yet: tried now, or given up.
#[inline(never)]
fn settle<'m, F: SlotFlash<'m>, E: Engine>(
    slots: &mut Slots<'_, F>,
    slot: usize,
    state: State,
    engine: &mut E,
) -> Result<(), Fault> {
    if state.confirmed {
        return Ok(());
    }
    slots.sound(slot, engine)?;
    if !state.started {
        slots.mark(slot, Mark::Started)?;
    } else if slots.sound(1 - slot, engine).is_ok() {
        slots.mark(slot, Mark::Rejected)?;
        return Err(Fault::SlotRejected);
    }
    let tried = slots.usable(slot, engine).map(|found| found.model);
    if let Err(fault) = tried.and_then(|model| probe(&model, slots.config.probe, engine)) {
        slots.mark(slot, Mark::Rejected)?;
        return Err(fault);
    }
    slots.mark(slot, Mark::Confirmed)
}

/// When nothing else is left: a model whose content is whole and passes its probe, although one of
/// its marks is damaged. A cut in the middle of writing a mark leaves such a slot, and where the other
/// slot is empty, this is better than no answers.
#[inline(never)]
fn rescue<'m, F: SlotFlash<'m>, E: Engine>(
    slots: &Slots<'_, F>,
    outcome: &Boot<'_>,
    engine: &mut E,
) -> Option<Found<'m>> {
    let damaged = |slot: &usize| outcome.faults.get(*slot) == Some(&Some(Fault::SlotMark));
    [0, 1].into_iter().filter(damaged).find_map(|slot| {
        let at = slots.offset(slot).ok()?;
        let header = Header::decode(slots.flash.map(at, qdllm_link::slot::HEADER_BYTES)).ok()?;
        let found = slots.found(slot, header, Marks::default(), engine).ok()?;
        probe(&found.model, slots.config.probe, engine).is_ok().then_some(found)
    })
}

/// Classifies the built-in sentence: an answer must come, and be a distribution over the classes.
fn probe<E: Engine>(model: &Model<'_>, text: &str, engine: &mut E) -> Result<(), Fault> {
    let prediction = engine.classify(model, text).map_err(|_| Fault::ProbeFailed)?;
    let all = prediction.probabilities();
    let sum: f32 = all.iter().sum();
    let sound = all.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 1e-2;
    if sound && all.len() == model.classes() { Ok(()) } else { Err(Fault::ProbeFailed) }
}
