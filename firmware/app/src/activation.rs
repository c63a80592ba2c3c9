//! Changes the model that the next start uses: forward to a new one, or back to the one before.

use crate::boot::Boot;
use crate::engine::Engine;
use crate::flash::SlotFlash;
use crate::slots::{Found, Slots};
use crate::transfer::{acceptable, floor, id, in_use, is_newer};
use qdllm_link::Fault;
use qdllm_link::message::ModelId;
use qdllm_link::slot::Mark;

/// Lets the next start try a complete model; says whether a reset must follow.
///
/// Everything is checked again: only bytes that are in flash now are ever activated.
///
/// # Errors
/// [`Fault::OtherModel`], [`Fault::SlotIncomplete`], [`Fault::Older`] for the model before the one in
/// use, or what is wrong with the model.
pub(crate) fn activate<'m, F, E>(
    slots: &mut Slots<'_, F>,
    boot: &Boot<'m>,
    model: ModelId,
    engine: &E,
) -> Result<bool, Fault>
where
    F: SlotFlash<'m>,
    E: Engine,
{
    if in_use(boot, model) {
        return Ok(false);
    }
    let found = acceptable(slots, boot, boot.spare(), model, engine)?;
    if !found.marks.has(Mark::Complete) {
        return Err(Fault::SlotIncomplete);
    }
    if !is_newer(boot, &found.header) {
        return Err(Fault::Older);
    }
    if !found.marks.has(Mark::Activated) {
        slots.mark(found.slot, Mark::Activated)?;
    }
    Ok(true)
}

/// Gives up the model in use, so that the next start uses the one before.
///
/// # Errors
/// [`Fault::OtherModel`] when it is not in use; [`Fault::NothingBefore`]; [`Fault::TooOld`] when going
/// back would lower the version that the board insists on.
pub(crate) fn rollback<'m, F, E>(
    slots: &mut Slots<'_, F>,
    boot: &Boot<'m>,
    model: ModelId,
    engine: &E,
) -> Result<(), Fault>
where
    F: SlotFlash<'m>,
    E: Engine,
{
    let active = boot.active.as_ref().filter(|active| id(&active.header) == model);
    let active = active.ok_or(Fault::OtherModel)?;
    let before = slots.usable(boot.spare(), engine).ok().filter(Found::is_confirmed);
    let before = before.filter(|_| !active.bare).ok_or(Fault::NothingBefore)?;
    if before.floor() < floor(boot) {
        return Err(Fault::TooOld);
    }
    slots.mark(active.slot, Mark::Rejected)
}
