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
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, Serialize)]
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
    /// The angles, where they do not stand among the instructions.
    angles: Option<&'a [[u8; 2]]>,
    outputs: [u16; MAX_OUTPUTS],
}

/// The fused preset circuit without its angles: what a model file need not hold.
#[rustfmt::skip]
const PAPER: &[u8] = &[
    // Header: qubits, instructions, outputs.
    11, 23, 11,
    // Phases of neighbours.
    0, 9, 6, 12, 24, 48, 96, 192, 1, 128, 3, 128, 6, 128, 12,
    // RY of qubits 0 to 9.
    1, 0, 1, 1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1, 8, 1, 9,
    // Phases of the second layer.
    0, 18, 2, 4, 8, 16, 32, 64, 128, 1, 128, 2, 128, 4, 12, 24, 48, 96, 192, 1, 128, 3, 254, 1, 254, 15, 1,
    // Index map.
    2, 0, 1, 129, 6, 130, 6, 132, 6, 136, 6, 144, 6, 160, 6, 192, 6, 128, 7, 128, 4, 129, 8,
    // RY of qubits 0 to 9.
    1, 0, 1, 1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1, 8, 1, 9,
    // Outputs.
    131, 8, 4, 8, 16, 32, 64, 128, 1, 128, 2, 254, 3, 254, 7, 128, 8,
];
/// Angles of the fused preset circuit.
pub const PAPER_FUSED_ANGLES: usize = 47;

impl<'a> Program<'a> {
    /// The preset circuit with these angles, `i16` in the order of its instructions, 2^16 one turn.
    ///
    /// # Errors
    /// [`Error::BadProgram`].
    pub fn paper(angles: &'a [u8]) -> Result<Self, Error> {
        match angles.as_chunks() {
            (angles, []) if angles.len() == PAPER_FUSED_ANGLES => Self::read(PAPER, Some(angles)),
            _ => Err(Error::BadProgram),
        }
    }

    /// Decodes and checks a program section; a build that only runs compiled back ends needs and
    /// checks no more than its sizes.
    ///
    /// # Errors
    /// [`Error::TooManyQubits`], [`Error::NotFinite`] or [`Error::BadProgram`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(bytes, None)
    }

    fn read(bytes: &'a [u8], angles: Option<&'a [[u8; 2]]>) -> Result<Self, Error> {
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
        return Ok(Self { header, ops, angles, outputs: [0; MAX_OUTPUTS] });
        #[cfg(feature = "_executor")]
        Self::checked(header, ops, angles)
    }

    #[cfg(feature = "_executor")]
    fn checked(
        header: ProgramHeader,
        ops: &'a [u8],
        angles: Option<&'a [[u8; 2]]>,
    ) -> Result<Self, Error> {
        let source = Source { decoder: Decoder::new(ops), angles };
        let mut walk = Ops { qubits: header.qubits, left: header.ops, source };
        for _ in 0..header.ops {
            let op = walk.decode().ok_or(Error::BadProgram)?;
            check(&op, header.qubits)?;
        }
        let mut outputs = [0; MAX_OUTPUTS];
        let mut decoder = walk.source.decoder;
        for word in outputs.iter_mut().take(header.outputs as usize) {
            *word = decoder.take().ok_or(Error::BadProgram)?;
            if (*word & !NEGATED) >> header.qubits != 0 {
                return Err(Error::BadProgram);
            }
        }
        if !decoder.rest.is_empty() {
            return Err(Error::BadProgram);
        }
        Ok(Self { header, ops, angles, outputs })
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
        let source = Source { decoder: Decoder::new(self.ops), angles: self.angles };
        Ops { qubits: self.header.qubits, left: self.header.ops, source }
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

/// Instructions, and the angles where they lie apart.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    decoder: Decoder<'a>,
    angles: Option<&'a [[u8; 2]]>,
}

impl Source<'_> {
    /// The next angle in radians.
    fn angle(&mut self) -> Option<f32> {
        let Some(angles) = &mut self.angles else { return self.decoder.take() };
        let (first, rest) = angles.split_first()?;
        *angles = rest;
        Some(f32::from(i16::from_le_bytes(*first)) * (core::f32::consts::PI / 32_768.0))
    }
}

/// Iterator over the instructions of a [`Program`].
#[derive(Clone, Debug)]
pub struct Ops<'a> {
    qubits: u8,
    left: u8,
    source: Source<'a>,
}

impl<'a> Ops<'a> {
    fn decode(&mut self) -> Option<Op<Terms<'a>>> {
        let source = &mut self.source;
        // The numbers of `StoredOp`, whose angles are elsewhere in some programs.
        Some(match source.decoder.take::<u32>()? {
            0 => {
                let left = source.decoder.take()?;
                let all = Terms { left, source: *source };
                let mut walk = all.clone();
                for _ in 0..left {
                    walk.next()?;
                }
                self.source = walk.source;
                (left as usize <= MAX_TERMS).then_some(Op::Phases(all))?
            }
            1 => Op::Ry(source.decoder.take()?, source.angle()?),
            2 => {
                let mut map = IndexMap { offset: source.decoder.take()?, ..IndexMap::IDENTITY };
                for column in map.columns.iter_mut().take(self.qubits as usize) {
                    *column = source.decoder.take()?;
                }
                Op::IndexMap(map)
            }
            _ => return None,
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
    source: Source<'a>,
}

impl Iterator for Terms<'_> {
    type Item = (u16, f32);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.source.decoder.take()?, self.source.angle()?))
    }
}

#[cfg(feature = "alloc")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::fuse::Fused;
    use crate::circuit::paper;
    use crate::format::encode::{angles, program_section, turns_q16};
    use std::vec::Vec;

    /// The program of the fused preset, angles within and apart, gives the same instructions to half a unit of an angle.
    #[test]
    fn the_preset_is_the_fused_circuit_without_its_angles() {
        let readouts: Vec<u16> = (0..QUBITS).map(|q| 1 << q).collect();
        let fused = Fused::new(paper(), QUBITS as u8, &readouts).unwrap();
        let parameters: Vec<f64> = (0..144).map(|i| f64::from(i).sin() * 2.0).collect();
        let section = program_section(&fused, &parameters).unwrap();
        let whole = Program::parse(&section).unwrap();
        let apart: Vec<u8> =
            angles(&fused).flat_map(|a| turns_q16(a.value(&parameters)).to_le_bytes()).collect();
        let flat = |program: &Program<'_>| -> Vec<(u32, u32, f32)> {
            let step = |op: Op<Terms<'_>>| match op {
                Op::Phases(terms) => {
                    terms.map(|(mask, angle)| (0, u32::from(mask), angle)).collect()
                }
                Op::Ry(qubit, angle) => Vec::from([(1, u32::from(qubit), angle)]),
                Op::IndexMap(map) => map
                    .columns
                    .iter()
                    .chain([&map.offset])
                    .map(|&c| (2, u32::from(c), 0.0))
                    .collect(),
            };
            program.ops().flat_map(step).collect()
        };
        let preset = Program::paper(&apart).unwrap();
        assert!(preset.words().eq(whole.words()) && preset.qubits() == whole.qubits());
        let (a, b) = (flat(&preset), flat(&whole));
        assert_eq!(a.len(), b.len());
        for (x, y) in a.iter().zip(&b) {
            assert_eq!((x.0, x.1), (y.0, y.1));
            let turns = (x.2 - y.2) / core::f32::consts::TAU;
            assert!((turns - libm::roundf(turns)).abs() < 1.1 / 131_072.0, "{x:?} {y:?}");
        }
        assert_eq!(Program::paper(&apart[2..]).unwrap_err(), Error::BadProgram);
    }
}
