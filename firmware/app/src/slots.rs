//! The two model slots as they lie in flash: what is in them, and whether it may be used.

use crate::board::{BoardConfig, SlotFlash};
use crate::engine::Engine;
use qdllm_link::Fault;
use qdllm_link::slot::{HEADER_BYTES, Header, Mark, Marks, UNIT};
use qdllm_runtime::{Model, format};

/// A usable model in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'m> {
    pub(crate) slot: usize,
    pub(crate) header: Header,
    pub(crate) marks: Marks,
    pub(crate) model: Model<'m>,
    /// A model file that lies in the slot without a header, as a debugger writes it.
    pub(crate) bare: bool,
    /// Version and lowest version that the model's signature states; zeros without signing.
    pub(crate) versions: Versions,
}

/// What a signed model says about its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) version: u32,
    /// The lowest version that a board takes once this model is confirmed.
    pub(crate) minimum: u32,
}

/// What header and marks say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) sequence: u32,
    pub(crate) started: bool,
    pub(crate) confirmed: bool,
}

impl Found<'_> {
    /// Whether it was tried and found good.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.bare || self.marks.has(Mark::Confirmed)
    }

    /// The lowest version that this slot alone makes the board insist on.
    pub(crate) fn floor(&self) -> u32 {
        let own = if self.is_confirmed() { self.versions.minimum } else { 0 };
        self.header.floor.max(own)
    }
}

pub(crate) struct Slots<'f, F> {
    pub(crate) flash: &'f mut F,
    pub(crate) config: &'f BoardConfig,
}

impl<'m, F: SlotFlash<'m>> Slots<'_, F> {
    /// Reads header and marks of a slot, whatever they say.
    /// Faults: [`Fault::SlotBlank`], [`Fault::SlotHeader`] or [`Fault::SlotMark`].
    pub(crate) fn header(&self, slot: usize) -> Result<(Header, Marks), Fault> {
        let region = self.flash.map(self.offset(slot)?, HEADER_BYTES);
        let header = Header::decode(region)?;
        Ok((header, Marks::decode(region)?))
    }

    /// What header and marks say about a slot whose model may be used, if it is whole.
    /// Faults: those of [`header`](Self::header); [`Fault::SlotIncomplete`], [`Fault::SlotInactive`] or
    /// [`Fault::SlotRejected`].
    pub(crate) fn state(&self, slot: usize) -> Result<State, Fault> {
        if self.bare_region(slot).is_some() {
            return Ok(State { sequence: 0, started: true, confirmed: true });
        }
        let (header, marks) = self.header(slot)?;
        if !marks.has(Mark::Complete) {
            return Err(Fault::SlotIncomplete);
        }
        if !marks.has(Mark::Activated) {
            return Err(Fault::SlotInactive);
        }
        if marks.has(Mark::Rejected) {
            return Err(Fault::SlotRejected);
        }
        Ok(State {
            sequence: header.sequence,
            started: marks.has(Mark::Started),
            confirmed: marks.has(Mark::Confirmed),
        })
    }

    /// The model in a slot if it may be used: complete, activated, not given up, whole, and within
    /// what the board and its engine can do.
    #[inline(never)]
    pub(crate) fn usable<E: Engine>(&self, slot: usize, engine: &E) -> Result<Found<'m>, Fault> {
        self.state(slot)?;
        if let Some(region) = self.bare_region(slot) {
            let model = Model::from_region(region)?;
            let versions = self.check(&model, engine)?;
            let header = Header::of(model.container().bytes(), 0, 0).ok_or(Fault::SlotHeader)?;
            return Ok(Found {
                slot,
                header,
                marks: Marks::default(),
                model,
                bare: true,
                versions,
            });
        }
        let (header, marks) = self.header(slot)?;
        self.found(slot, header, marks, engine)
    }

    /// Whether the model in a slot may be used.
    #[inline(never)]
    pub(crate) fn sound<E: Engine>(&self, slot: usize, engine: &E) -> Result<(), Fault> {
        self.usable(slot, engine).map(drop)
    }

    /// The model that a header states, its marks aside.
    pub(crate) fn found<E: Engine>(
        &self,
        slot: usize,
        header: Header,
        marks: Marks,
        engine: &E,
    ) -> Result<Found<'m>, Fault> {
        if header.length > self.capacity(slot) {
            return Err(Fault::TooLarge);
        }
        let at = self.offset(slot)?.saturating_add(HEADER_BYTES as u32);
        let file = self.flash.map(at, header.length as usize);
        if file.last_chunk() != Some(&header.checksum.to_le_bytes()) {
            return Err(Fault::SlotContent);
        }
        let model = Model::parse(file)?;
        let versions = self.check(&model, engine)?;
        Ok(Found { slot, header, marks, model, bare: false, versions })
    }

    /// The region of a slot that begins with a model file instead of a header.
    fn bare_region(&self, slot: usize) -> Option<&'m [u8]> {
        let length = *self.config.layout.lengths.get(slot)?;
        let region = self.flash.map(self.offset(slot).ok()?, length as usize);
        (region.first_chunk() == Some(&format::MAGIC)).then_some(region)
    }

    /// Whether this board can and may run a model.
    fn check<E: Engine>(&self, model: &Model<'_>, engine: &E) -> Result<Versions, Fault> {
        if model.kinds().is_none() {
            return Err(qdllm_runtime::Error::WrongFrontEnd.into());
        }
        if model.classes() > usize::from(self.config.max_classes) {
            return Err(Fault::TooManyClasses);
        }
        engine.check(model)?;
        #[cfg(feature = "signing")]
        if let Some(key) = &self.config.key {
            return signed(model, key);
        }
        Ok(Versions::default())
    }

    /// Writes a mark.
    pub(crate) fn mark(&mut self, slot: usize, mark: Mark) -> Result<(), Fault> {
        self.unit(slot, mark.offset(), &mark.pattern())
    }

    /// Writes a unit of the header region.
    pub(crate) fn unit(&mut self, slot: usize, at: usize, unit: &[u8; UNIT]) -> Result<(), Fault> {
        const { assert!(UNIT.is_multiple_of(F::WRITE_SIZE), "WRITE_SIZE must divide 32") };
        let at = self.offset(slot)?.saturating_add(at as u32);
        self.flash.write(at, unit).map_err(|_| Fault::Flash)?;
        if self.flash.map(at, UNIT) == unit { Ok(()) } else { Err(Fault::Flash) }
    }

    /// Bytes of the longest model that fits a slot.
    pub(crate) fn capacity(&self, slot: usize) -> u32 {
        let length = self.config.layout.lengths.get(slot).copied().unwrap_or(0);
        length.saturating_sub(HEADER_BYTES as u32)
    }

    /// Where a slot begins in the flash.
    pub(crate) fn offset(&self, slot: usize) -> Result<u32, Fault> {
        match (self.config.layout.offsets.get(slot), self.config.layout.lengths.get(slot)) {
            (Some(&offset), Some(&length)) if length as usize > HEADER_BYTES => Ok(offset),
            _ => Err(Fault::SlotBlank),
        }
    }
}

/// Checks a model's signature against the public key.
/// Faults: [`Fault::Unsigned`], [`Fault::OtherKey`] or [`Fault::BadSignature`]; a signature section of a wrong
/// shape is the runtime's error.
#[cfg(feature = "signing")]
fn signed(model: &Model<'_>, public: &[u8; 32]) -> Result<Versions, Fault> {
    use qdllm_runtime::format::signature::{CONTEXT, ModelSignature};

    let signed = ModelSignature::of(model.container())?.ok_or(Fault::Unsigned)?;
    if public.first_chunk() != Some(&signed.key) {
        return Err(Fault::OtherKey);
    }
    verify(public, signed.signature, &[CONTEXT, signed.covered])?;
    Ok(Versions { version: signed.version, minimum: signed.minimum })
}

/// Checks the Ed25519 signature of a message in parts.
/// Faults: [`Fault::BadSignature`].
#[cfg(feature = "signing")]
#[inline(never)]
pub(crate) fn verify(
    public: &[u8; 32],
    signature: &[u8; 64],
    message: &[&[u8]],
) -> Result<(), Fault> {
    use ed25519_compact::{PublicKey, Signature};

    let verify = || {
        let signature = Signature::new(*signature);
        let mut state = PublicKey::new(*public).verify_incremental(&signature)?;
        message.iter().for_each(|part| state.absorb(part));
        state.verify()
    };
    verify().map_err(|_| Fault::BadSignature)
}
