//! The circuit as a device executes it: diagonals, RY rotations and index maps, decoded in place
//! from the model file, then Z words to read.

use crate::circuit::QUBITS;
use crate::circuit::index_map::IndexMap;
use crate::error::Error;
use crate::format::Decoder;
#[cfg(feature = "_executor")]
use crate::format::floats::is_finite;
use serde::{Deserialize, Serialize};

/// Expectations that a program may give at most.
pub const MAX_OUTPUTS: usize = 16;
/// Terms that one diagonal may have.
pub const MAX_TERMS: usize = 64;

/// Bit of a stored output word that negates its expectation.
pub(crate) const NEGATED: u16 = 1 << 15;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ProgramHeader {
    pub(crate) qubits: u8,
    pub(crate) ops: u8,
    pub(crate) outputs: u8,
}

/// How an instruction is stored.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum StoredOp {
    /// So many pairs (mask, angle in radians) follow.
    Phases(u8),
    /// Qubit and angle in radians.
    Ry(u8, f32),
    /// The offset; one `u16` column a qubit follows.
    IndexMap(u16),
}

/// One instruction of a program.
#[derive(Clone, Debug)]
pub enum Op<T> {
    /// `exp(-i/2 sum_k angle_k (-1)^parity(mask_k & x))`, given as (mask, angle in radians).
    Phases(T),
    /// RY on a qubit; angle in radians.
    Ry(u8, f32),
    /// The index map `x -> A x + c`.
    IndexMap(IndexMap),
}

/// A validated program, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    header: ProgramHeader,
    ops: &'a [u8],
    outputs: [u16; MAX_OUTPUTS],
}

impl<'a> Program<'a> {
    /// Decodes and checks a program section; a build that only runs compiled back ends needs and
    /// checks no more than its sizes.
    ///
    /// # Errors
    /// [`Error::TooManyQubits`], [`Error::NotFinite`] or [`Error::BadProgram`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(bytes);
        let header: ProgramHeader = decoder.take().ok_or(Error::BadProgram)?;
        let ops = decoder.rest;
        if header.qubits as usize > QUBITS {
            return Err(Error::TooManyQubits);
        }
        if header.qubits == 0 || header.outputs == 0 || header.outputs as usize > MAX_OUTPUTS {
            return Err(Error::BadProgram);
        }
        #[cfg(not(feature = "_executor"))]
        return Ok(Self { header, ops, outputs: [0; MAX_OUTPUTS] });
        #[cfg(feature = "_executor")]
        Self::checked(header, ops)
    }

    #[cfg(feature = "_executor")]
    fn checked(header: ProgramHeader, ops: &'a [u8]) -> Result<Self, Error> {
        let mut walk = Ops { qubits: header.qubits, left: header.ops, decoder: Decoder::new(ops) };
        for _ in 0..header.ops {
            let op = walk.decode().ok_or(Error::BadProgram)?;
            check(&op, header.qubits)?;
        }
        let mut outputs = [0; MAX_OUTPUTS];
        let mut decoder = walk.decoder;
        for word in outputs.iter_mut().take(header.outputs as usize) {
            *word = decoder.take().ok_or(Error::BadProgram)?;
            if (*word & !NEGATED) >> header.qubits != 0 {
                return Err(Error::BadProgram);
            }
        }
        if !decoder.rest.is_empty() {
            return Err(Error::BadProgram);
        }
        Ok(Self { header, ops, outputs })
    }

    /// Qubits, which is also the number of encoder angles.
    pub fn qubits(&self) -> usize {
        self.header.qubits as usize
    }

    /// Expectations it gives.
    pub fn outputs(&self) -> usize {
        self.header.outputs as usize
    }

    /// The Z words it reads, as (mask of qubits, negated).
    pub fn words(&self) -> impl Iterator<Item = (u16, bool)> + '_ {
        self.outputs.iter().take(self.outputs()).map(|w| (w & !NEGATED, w & NEGATED != 0))
    }

    /// The instructions in the order of execution.
    pub fn ops(&self) -> Ops<'a> {
        Ops { qubits: self.header.qubits, left: self.header.ops, decoder: Decoder::new(self.ops) }
    }
}

#[cfg(feature = "_executor")]
fn check(op: &Op<Terms<'_>>, qubits: u8) -> Result<(), Error> {
    match op {
        Op::Phases(terms) => {
            for (mask, angle) in terms.clone() {
                if mask >> qubits != 0 || mask == 0 {
                    return Err(Error::BadProgram);
                }
                finite(angle)?;
            }
            Ok(())
        }
        Op::Ry(qubit, angle) if *qubit < qubits => finite(*angle),
        Op::Ry(..) => Err(Error::BadProgram),
        Op::IndexMap(map) => {
            // Bits of absent qubits must stay where they are, or an index would leave the state.
            let used = map.columns.iter().take(qubits as usize).chain([&map.offset]);
            if used.into_iter().any(|c| c >> qubits != 0) || map.inverse().is_none() {
                return Err(Error::BadProgram);
            }
            Ok(())
        }
    }
}

#[cfg(feature = "_executor")]
fn finite(x: f32) -> Result<(), Error> {
    if is_finite(x) { Ok(()) } else { Err(Error::NotFinite) }
}

/// Iterator over the instructions of a [`Program`].
#[derive(Clone, Debug)]
pub struct Ops<'a> {
    qubits: u8,
    left: u8,
    decoder: Decoder<'a>,
}

impl<'a> Ops<'a> {
    fn decode(&mut self) -> Option<Op<Terms<'a>>> {
        Some(match self.decoder.take()? {
            StoredOp::Phases(left) => {
                let all = Terms { left, decoder: self.decoder };
                let mut walk = all.clone();
                for _ in 0..left {
                    walk.next()?;
                }
                self.decoder = walk.decoder;
                (left as usize <= MAX_TERMS).then_some(Op::Phases(all))?
            }
            StoredOp::Ry(qubit, angle_rad) => Op::Ry(qubit, angle_rad),
            StoredOp::IndexMap(offset) => {
                let mut map = IndexMap { offset, ..IndexMap::IDENTITY };
                for column in map.columns.iter_mut().take(self.qubits as usize) {
                    *column = self.decoder.take()?;
                }
                Op::IndexMap(map)
            }
        })
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Op<Terms<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.decode()
    }
}

/// Iterator over the terms of a diagonal: (mask, angle in radians).
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    left: u8,
    decoder: Decoder<'a>,
}

impl Iterator for Terms<'_> {
    type Item = (u16, f32);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.decoder.take()
    }
}
