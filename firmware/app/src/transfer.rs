//! Takes a model in parts into the slot that is not in use, and changes the model that the next start
//! uses: forward to the new one, or back to the one before.

use crate::app::App;
use crate::board::{Counters, SlotFlash};
use crate::boot::Boot;
use crate::engine::Engine;
use crate::slots::{Found, Slots};
use qdllm_link::Fault;
use qdllm_link::frame::CHUNK_BYTES;
use qdllm_link::message::{Announced, ModelId};
use qdllm_link::slot::{HEADER_BYTES, Header, Mark, UNIT};
use qdllm_runtime::Error;

/// The shortest file that can be a model: header and checksum.
const SHORTEST: u32 = 16;

/// The most transfers that are begun between two resets: each of them erases the slot.
const MOST_BEGUN: u8 = 16;

/// A transfer under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    slot: usize,
    header: Header,
    /// Bytes of the model that lie in flash: where the next chunk must begin.
    pub(crate) received: u32,
    /// Bytes of the slot, from its front, that are erased or written.
    erased: u32,
}

pub(crate) fn id(header: &Header) -> ModelId {
    ModelId { length: header.length, checksum: header.checksum }
}

/// The lowest model version that this board takes.
pub(crate) fn floor(boot: &Boot<'_>) -> u32 {
    boot.active.as_ref().map_or(0, Found::floor)
}

/// Whether this is the model in use.
fn in_use(boot: &Boot<'_>, model: ModelId) -> bool {
    boot.active.as_ref().is_some_and(|active| id(&active.header) == model)
}

/// Whether a start would choose the model of this header rather than the one in use. The one before
/// lies in its slot whole and confirmed, too, but has the lower number: it must be put again.
fn is_newer(boot: &Boot<'_>, header: &Header) -> bool {
    boot.active.as_ref().is_none_or(|active| header.sequence > active.header.sequence)
}

impl<'m, F: SlotFlash<'m>, M: Counters, E: Engine> App<'_, 'm, F, M, E> {
    /// Begins a transfer, or takes it up where it stands; gives where the next chunk begins.
    /// Faults: [`Fault::TooLarge`], [`Error::TooShort`], [`Fault::TooManyBegun`] or [`Fault::Flash`]; with a public
    /// key those of [`permitted`](Self::permitted).
    pub(crate) fn begin(
        &mut self,
        transfer: &mut Option<Transfer>,
        model: ModelId,
        announced: Option<Announced<'_>>,
    ) -> Result<u32, Fault> {
        if let Some(under_way) = transfer
            && id(&under_way.header) == model
        {
            return Ok(under_way.received);
        }
        if in_use(&self.boot, model) || self.complete(model).is_ok() {
            return Ok(model.length);
        }
        let slot = self.boot.spare();
        if model.length > self.slots.capacity(slot) {
            return Err(Fault::TooLarge);
        }
        if model.length < SHORTEST {
            return Err(Error::TooShort.into());
        }
        self.permitted(model, announced)?;
        if *self.begun >= MOST_BEGUN {
            return Err(Fault::TooManyBegun);
        }
        *self.begun += 1;
        let headers =
            [0, 1].map(|slot| self.slots.header(slot).map_or(0, |(header, _)| header.sequence));
        let newest = headers.into_iter().max().unwrap_or(0);
        let header = Header {
            sequence: newest.saturating_add(1),
            length: model.length,
            checksum: model.checksum,
            floor: floor(&self.boot),
        };
        *transfer = None;
        let mut begun = Transfer { slot, header, received: 0, erased: 0 };
        begun.erase(&mut self.slots, HEADER_BYTES as u32)?;
        self.slots.unit(slot, 0, &header.encode())?;
        *transfer = Some(begun);
        Ok(0)
    }

    /// Whether a slot may be erased for this model: a board with a public key wants it announced by the key's
    /// owner, and new enough.
    /// Faults: [`Fault::Unannounced`], [`Fault::BadSignature`] or [`Fault::TooOld`].
    #[cfg(feature = "signing")]
    #[inline(never)]
    fn permitted(&self, model: ModelId, announced: Option<Announced<'_>>) -> Result<(), Fault> {
        use qdllm_runtime::format::signature::Announcement;

        let Some(key) = &self.slots.config.key else { return Ok(()) };
        let Announced { body, version, minimum, signature } =
            announced.ok_or(Fault::Unannounced)?;
        let signature = signature.as_array().ok_or(Fault::BadSignature)?;
        let length = model.length;
        let announcement = Announcement { length, body, version, minimum, signature };
        crate::slots::verify(key, signature, &[&announcement.message()])?;
        if version < floor(&self.boot) { Err(Fault::TooOld) } else { Ok(()) }
    }

    #[cfg(not(feature = "signing"))]
    fn permitted(&self, _: ModelId, _: Option<Announced<'_>>) -> Result<(), Fault> {
        Ok(())
    }

    /// What stands against using the model of a slot, or going back to it: one that would lower the version
    /// that the board insists on is too old.
    #[inline(never)]
    pub(crate) fn against(&self, slot: usize) -> Option<Fault> {
        match self.slots.usable(slot, self.engine) {
            Ok(found) => (found.floor() < floor(&self.boot)).then_some(Fault::TooOld),
            Err(fault) => Some(fault),
        }
    }

    /// Writes a chunk; gives where the next one begins. A chunk that was written before is left alone.
    /// Faults: [`Fault::NoTransfer`], [`Fault::OutOfOrder`], [`Fault::ChunkShape`]; after [`Fault::Flash`] the
    /// transfer must begin anew.
    pub(crate) fn chunk(
        &mut self,
        transfer: &mut Option<Transfer>,
        offset: u32,
        data: &[u8],
    ) -> Result<u32, Fault> {
        let Some(under_way) = transfer else {
            return Err(Fault::NoTransfer);
        };
        let end = offset.saturating_add(data.len() as u32);
        let whole = data.len().is_multiple_of(UNIT) || end == under_way.header.length;
        let inside = end <= under_way.header.length && data.len() <= CHUNK_BYTES;
        if data.is_empty() || !whole || !inside || !offset.is_multiple_of(UNIT as u32) {
            return Err(Fault::ChunkShape);
        }
        if end <= under_way.received {
            return Ok(under_way.received);
        }
        if offset != under_way.received {
            return Err(Fault::OutOfOrder);
        }
        match under_way.write(&mut self.slots, data) {
            Ok(()) => Ok(under_way.received),
            Err(fault) => {
                // What flash took of it is unknown, and no place may be written twice.
                *transfer = None;
                Err(fault)
            }
        }
    }

    /// Checks what arrived and marks it complete.
    /// Faults: [`Fault::NoTransfer`]; [`Fault::OutOfOrder`] before the last byte; [`Fault::TransferDamaged`] or
    /// what else is wrong with the model, after which the transfer must begin anew.
    pub(crate) fn finish(
        &mut self,
        transfer: &mut Option<Transfer>,
        model: ModelId,
    ) -> Result<u32, Fault> {
        let under_way = transfer.filter(|transfer| id(&transfer.header) == model);
        let Some(Transfer { slot, header, received, .. }) = under_way else {
            if !in_use(&self.boot, model) {
                self.complete(model).map_err(|_| Fault::NoTransfer)?;
            }
            return Ok(model.length);
        };
        if received < header.length {
            return Err(Fault::OutOfOrder);
        }
        *transfer = None;
        self.acceptable(slot, model).map_err(|fault| match fault {
            Fault::SlotContent | Fault::Model(Error::BadChecksum) => Fault::TransferDamaged,
            other => other,
        })?;
        self.slots.mark(slot, Mark::Complete)?;
        Ok(model.length)
    }

    /// The model of a slot, if it is this one, whole, and new enough.
    #[inline(never)]
    fn acceptable(&self, slot: usize, model: ModelId) -> Result<Found<'m>, Fault> {
        let (header, marks) = self.slots.header(slot)?;
        if id(&header) != model {
            return Err(Fault::OtherModel);
        }
        if marks.has(Mark::Rejected) {
            return Err(Fault::SlotRejected);
        }
        let found = self.slots.found(slot, header, marks, self.engine)?;
        if found.versions.version < floor(&self.boot) { Err(Fault::TooOld) } else { Ok(found) }
    }

    /// Whether the spare slot holds this model whole, not given up, and newer than the one in use.
    #[inline(never)]
    fn complete(&self, model: ModelId) -> Result<(), Fault> {
        let slot = self.boot.spare();
        let (header, marks) = self.slots.header(slot)?;
        let whole = marks.has(Mark::Complete) && !marks.has(Mark::Rejected);
        if id(&header) != model || !whole || !is_newer(&self.boot, &header) {
            return Err(Fault::OtherModel);
        }
        self.slots.found(slot, header, marks, self.engine).map(drop)
    }

    /// Lets the next start try a complete model; says whether a reset must follow.
    ///
    /// Everything is checked again: only bytes that are in flash now are ever activated.
    /// Faults: [`Fault::OtherModel`], [`Fault::SlotIncomplete`], [`Fault::Older`] for the model before the one in
    /// use, or what is wrong with the model.
    pub(crate) fn activate(&mut self, model: ModelId) -> Result<bool, Fault> {
        if in_use(&self.boot, model) {
            return Ok(false);
        }
        let found = self.acceptable(self.boot.spare(), model)?;
        if !found.marks.has(Mark::Complete) {
            return Err(Fault::SlotIncomplete);
        }
        if !is_newer(&self.boot, &found.header) {
            return Err(Fault::Older);
        }
        if !found.marks.has(Mark::Activated) {
            self.slots.mark(found.slot, Mark::Activated)?;
        }
        Ok(true)
    }

    /// Gives up the model in use, so that the next start uses the one before.
    /// Faults: [`Fault::OtherModel`] when it is not in use; [`Fault::NothingBefore`]; [`Fault::TooOld`] when going
    /// back would lower the version that the board insists on.
    pub(crate) fn rollback(&mut self, model: ModelId) -> Result<(), Fault> {
        let active = self.boot.active.as_ref().filter(|active| id(&active.header) == model);
        let active = active.ok_or(Fault::OtherModel)?;
        let before =
            self.slots.usable(self.boot.spare(), self.engine).ok().filter(Found::is_confirmed);
        let before = before.filter(|_| !active.bare).ok_or(Fault::NothingBefore)?;
        if before.floor() < floor(&self.boot) {
            return Err(Fault::TooOld);
        }
        self.slots.mark(active.slot, Mark::Rejected)
    }
}

impl Transfer {
    /// Erases until `bytes` of the slot, from its front, are erased.
    fn erase<'m, F: SlotFlash<'m>>(
        &mut self,
        slots: &mut Slots<'_, F>,
        bytes: u32,
    ) -> Result<(), Fault> {
        let sector = F::ERASE_SIZE as u32;
        while self.erased < bytes {
            let from = slots.offset(self.slot)?.saturating_add(self.erased);
            let to = from.saturating_add(sector);
            slots.flash.erase(from, to).map_err(|_| Fault::Flash)?;
            self.erased = self.erased.saturating_add(sector.max(1));
        }
        Ok(())
    }

    /// Writes the next bytes of the model.
    fn write<'m, F: SlotFlash<'m>>(
        &mut self,
        slots: &mut Slots<'_, F>,
        data: &[u8],
    ) -> Result<(), Fault> {
        let start = HEADER_BYTES as u32 + self.received;
        // Whole units, so that what is erased covers a padded end, too.
        let padded = data.len().next_multiple_of(UNIT) as u32;
        self.erase(slots, start.saturating_add(padded))?;
        let at = slots.offset(self.slot)?.saturating_add(start);
        let whole = data.len() - data.len() % F::WRITE_SIZE.max(1);
        let (units, tail) = data.split_at_checked(whole).ok_or(Fault::ChunkShape)?;
        if !units.is_empty() {
            slots.flash.write(at, units).map_err(|_| Fault::Flash)?;
        }
        if !tail.is_empty() {
            let mut last = [qdllm_link::slot::ERASED; UNIT];
            for (to, from) in last.iter_mut().zip(tail) {
                *to = *from;
            }
            let last = last.get(..F::WRITE_SIZE).ok_or(Fault::Flash)?;
            slots.flash.write(at.saturating_add(whole as u32), last).map_err(|_| Fault::Flash)?;
        }
        if slots.flash.map(at, data.len()) != data {
            return Err(Fault::Flash);
        }
        self.received += data.len() as u32;
        Ok(())
    }
}
