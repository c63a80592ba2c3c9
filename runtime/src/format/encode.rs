//! The encoder of model files: what a trainer hands over, and the bytes that come out.

use crate::angles::Squash;
use crate::circuit::QUBITS;
use crate::circuit::affine::Affine;
use crate::circuit::fuse::{Fused, FusedOp};
use crate::circuit::program::{MAX_TERMS, NEGATED, ProgramHeader, StoredOp};
use crate::error::Error;
use crate::format::container::{Kind, write};
use crate::format::meta::{FrontEnd, Meta, Preset};
use crate::math::round;
use crate::model::Model;
use crate::reject::EVIDENCE;
use crate::text::compact::CompactSizes;
use crate::text::ngram::GramKinds;
use crate::text::pool::{Pool, ROW, RowBits};
use crate::text::vocabulary::bucket_bits_for;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// Everything a model file holds.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Class names in the order of the classes.
    pub labels: Vec<String>,
    /// Front end with its tables.
    pub front: FrontEndParts,
    /// How features become angles.
    pub squash: Squash,
    /// The circuit.
    pub circuit: Fused,
    /// Its trainable angles in radians, in the order of its parameters.
    pub parameters: Vec<f64>,
    /// The preset that `circuit` came from; with it the named angles are kept in the file.
    pub preset: Option<Preset>,
    /// The QASM text that `circuit` was read from, its names in the order of `parameters`; with it text
    /// and angles are kept in the file.
    pub qasm: Option<String>,
    /// `classes x outputs` weights, then `classes` biases.
    pub head: Vec<f32>,
    /// Temperature of the softmax.
    pub temperature: f32,
    /// Probability under which a decision is rejected.
    pub reject_below: f32,
    /// Training texts of each class; empty: not stated.
    pub class_counts: Vec<u64>,
    /// The rule of rejection: weights of the evidence, bias, given up, recall; none for none.
    pub rejection: Option<[f32; EVIDENCE + 3]>,
    /// Where the model comes from, as (name, value).
    pub provenance: Vec<(String, String)>,
}

/// Tables of a front end.
#[derive(Clone, Debug)]
pub enum FrontEndParts {
    /// A selected vocabulary.
    Words {
        /// Which n-grams count besides words.
        kinds: GramKinds,
        /// How rows become features.
        pool: Pool,
        /// Keys ([`crate::text::vocabulary::key`] with the bucket bits of their number), ascending.
        keys: Vec<u32>,
        /// Bits of the entries.
        row_bits: RowBits,
        /// One row of 11 integers a key.
        rows: Vec<[i8; ROW]>,
        /// What an integer is worth, by dimension.
        scale: [f32; ROW],
        /// Added after pooling.
        bias: [f32; ROW],
    },
    /// A keyless table of codes (format version 2); circuit and head are written small.
    Compact {
        /// Which n-grams count.
        kinds: GramKinds,
        /// How sums become features.
        pool: Pool,
        /// Sizes of the tables.
        sizes: CompactSizes,
        /// The table's columns of bits ([`crate::text::ribbon::solve`]).
        table: Vec<u8>,
        /// `rank x 2^code_bits` levels.
        levels: Vec<i8>,
        /// `11 x rank` weights.
        lift: Vec<i8>,
        /// What an integer is worth, by feature.
        scale: [f32; ROW],
        /// Added after pooling.
        bias: [f32; ROW],
        /// The head's section ([`small_head`]), in place of [`Parts::head`].
        head: Vec<u8>,
    },
    /// A vector from the caller.
    Dense {
        /// Its length.
        inputs: u16,
        /// `11 x inputs` weights, then 11 biases.
        table: Vec<f32>,
    },
}

/// Encodes a model and reads it back through [`Model::parse`].
///
/// # Errors
/// What a reader would say of the result: nothing that cannot be read is ever returned.
pub fn encode(parts: &Parts) -> Result<Vec<u8>, Error> {
    let mut sections = Vec::new();
    let front = front_sections(&parts.front, &mut sections)?;
    let meta = Meta {
        classes: u8::try_from(parts.labels.len()).map_err(|_| Error::BadClassCount)?,
        front,
        squash: parts.squash,
        temperature: parts.temperature,
        reject_below: parts.reject_below,
    };
    sections.push((Kind::Meta, postcard(&meta)?));
    sections.push((Kind::Labels, postcard(&parts.labels)?));
    let small = match &parts.front {
        FrontEndParts::Compact { head, .. } => Some(head),
        _ => None,
    };
    if small.is_some() && parts.preset == Some(Preset::Paper) {
        let angles = angles(&parts.circuit).map(|a| turns_q16(a.value(&parts.parameters)));
        sections.push((Kind::Angles, angles.flat_map(i16::to_le_bytes).collect()));
    } else {
        sections.push((Kind::Program, program_section(&parts.circuit, &parts.parameters)?));
    }
    sections.push(match small {
        Some(head) => (Kind::SmallHead, head.clone()),
        None => (Kind::Head, floats(&parts.head)),
    });
    #[allow(clippy::cast_possible_truncation)]
    let angles: Vec<f32> = parts.parameters.iter().map(|&x| x as f32).collect();
    if parts.class_counts.iter().any(|&count| count > 0) {
        sections.push((Kind::Shares, shares(&parts.class_counts)));
    }
    if let Some(rule) = &parts.rejection {
        sections.push((Kind::Rejection, floats(rule)));
    }
    if let Some(preset) = parts.preset.filter(|_| small.is_none()) {
        sections.push((Kind::Source, postcard(&(preset, &angles))?));
    }
    if let Some(qasm) = &parts.qasm {
        sections.push((Kind::Qasm, postcard(&(qasm, &angles))?));
    }
    if !parts.provenance.is_empty() {
        let texts: Vec<&String> = parts.provenance.iter().flat_map(|(k, v)| [k, v]).collect();
        sections.push((Kind::Provenance, postcard(&texts)?));
    }
    sections.sort_by_key(|(kind, _)| *kind);
    let bytes = write(&sections);
    Model::parse(&bytes)?;
    Ok(bytes)
}

fn front_sections(
    front: &FrontEndParts,
    sections: &mut Vec<(Kind, Vec<u8>)>,
) -> Result<FrontEnd, Error> {
    match front {
        FrontEndParts::Words { kinds, pool, keys, row_bits, rows, scale, bias } => {
            let count = u16::try_from(keys.len()).map_err(|_| Error::BadVocabulary)?;
            if rows.len() != keys.len() {
                return Err(Error::BadRows);
            }
            let bucket_bits = bucket_bits_for(keys.len());
            let end = |bucket| keys.partition_point(|key| key >> 16 <= bucket) as u16;
            let ends = (0..1_u32 << bucket_bits).flat_map(|b| end(b).to_le_bytes()).collect();
            let low = keys.iter().flat_map(|&key| (key as u16).to_le_bytes()).collect();
            let both: Vec<f32> = scale.iter().chain(bias).copied().collect();
            sections.push((Kind::Buckets, ends));
            sections.push((Kind::Keys, low));
            sections.push((Kind::Rows, pack(rows, *row_bits)));
            sections.push((Kind::Scale, floats(&both)));
            Ok(FrontEnd::Words {
                token_rules: kinds.token_rules(),
                kinds: *kinds,
                pool: *pool,
                rows: count,
                bucket_bits,
                row_bits: *row_bits,
            })
        }
        FrontEndParts::Compact { kinds, pool, sizes, table, levels, lift, scale, bias, .. } => {
            let bytes = |numbers: &[i8]| numbers.iter().map(|&x| x as u8).collect();
            let both: Vec<f32> = scale.iter().chain(bias).copied().collect();
            sections.push((Kind::Scale, floats(&both)));
            sections.push((Kind::Table, table.clone()));
            sections.push((Kind::Levels, bytes(levels)));
            sections.push((Kind::Lift, bytes(lift)));
            Ok(FrontEnd::Compact {
                token_rules: kinds.token_rules(),
                kinds: *kinds,
                cut: kinds.cut,
                runs: kinds.runs,
                pool: *pool,
                sizes: *sizes,
            })
        }
        FrontEndParts::Dense { inputs, table } => {
            sections.push((Kind::Dense, floats(table)));
            Ok(FrontEnd::Dense { inputs: *inputs })
        }
    }
}

/// The angles of a fused circuit in the order of its instructions.
pub fn angles(circuit: &Fused) -> impl Iterator<Item = &Affine> {
    circuit.ops.iter().flat_map(|op| match op {
        FusedOp::Phases(terms) => terms.iter().map(|(_, angle)| angle).collect(),
        FusedOp::Ry(_, angle) => Vec::from([angle]),
        FusedOp::IndexMap(_) => Vec::new(),
    })
}

/// An angle in radians as the nearest `i16` of which 2^16 make a turn; a whole turn more changes no probability.
pub fn turns_q16(angle_rad: f64) -> i16 {
    round(angle_rad * (32_768.0 / core::f64::consts::PI)) as i64 as i16
}

/// A head of small integers as its section ([`crate::head::Weights::small`]).
pub fn small_head(worth: [f32; 2], halvings: &[u8], weights: &[i8], biases: &[i16]) -> Vec<u8> {
    let mut bytes = floats(&worth);
    bytes.extend(halvings);
    bytes.extend(weights.iter().map(|&w| w as u8));
    bytes.extend(biases.iter().flat_map(|b| b.to_le_bytes()));
    bytes
}

/// Packs rows; entries must fit the bits ([`RowBits::Four`]: -8..=7), others are clamped.
fn pack(rows: &[[i8; ROW]], bits: RowBits) -> Vec<u8> {
    let entries = rows.iter().flatten();
    match bits {
        RowBits::Eight => entries.map(|&x| x as u8).collect(),
        RowBits::Four => {
            let mut bytes = alloc::vec![0_u8; bits.table_bytes(rows.len())];
            for (i, &x) in entries.enumerate() {
                bytes[i / 2] |= ((x.clamp(-8, 7) as u8) & 15) << (4 * (i % 2));
            }
            bytes
        }
    }
}

/// The program section of a fused circuit at given parameters; angles are summed in f64.
///
/// # Errors
/// [`Error::BadProgram`] where the circuit has more steps or outputs than a program holds.
pub fn program_section(circuit: &Fused, parameters: &[f64]) -> Result<Vec<u8>, Error> {
    let small = |n: usize| u8::try_from(n).map_err(|_| Error::BadProgram);
    // A diagonal with more phases than an instruction holds becomes several instructions.
    let instructions = |op: &FusedOp| match op {
        FusedOp::Phases(terms) => terms.len().div_ceil(MAX_TERMS),
        _ => 1,
    };
    let header = ProgramHeader {
        qubits: circuit.qubits,
        ops: small(circuit.ops.iter().map(instructions).sum())?,
        outputs: small(circuit.outputs.len())?,
    };
    #[allow(clippy::cast_possible_truncation)]
    let angle = |a: &crate::circuit::affine::Affine| a.value(parameters) as f32;
    let mut bytes = postcard(&header)?;
    for op in &circuit.ops {
        match op {
            FusedOp::Phases(terms) => {
                for terms in terms.chunks(MAX_TERMS) {
                    bytes.extend(postcard(&StoredOp::Phases(small(terms.len())?))?);
                    for (mask, a) in terms {
                        bytes.extend(postcard(&(*mask, angle(a)))?);
                    }
                }
            }
            FusedOp::Ry(qubit, a) => {
                bytes.extend(postcard(&StoredOp::Ry(*qubit, angle(a)))?);
            }
            FusedOp::IndexMap(map) => {
                bytes.extend(postcard(&StoredOp::IndexMap(map.offset))?);
                for column in map.columns.iter().take((circuit.qubits as usize).min(QUBITS)) {
                    bytes.extend(postcard(column)?);
                }
            }
        }
    }
    for &(mask, negated) in &circuit.outputs {
        bytes.extend(postcard(&(mask | if negated { NEGATED } else { 0 }))?);
    }
    Ok(bytes)
}

/// Shares in 1/65536, together 1: each rounded down, what is left to those that lost most.
fn shares(counts: &[u64]) -> Vec<u8> {
    const WHOLE: u64 = 1 << 16;
    let total: u64 = counts.iter().sum();
    // A share is a `u16`: that of all texts cannot be stated.
    let share = |&count: &u64| (count * WHOLE / total).min(WHOLE - 1);
    let mut shares: Vec<u64> = counts.iter().map(share).collect();
    let mut by_loss: Vec<usize> = (0..counts.len()).collect();
    by_loss.sort_by_key(|&i| core::cmp::Reverse(counts[i] * WHOLE % total));
    let left = (WHOLE - shares.iter().sum::<u64>()) as usize;
    let open = by_loss.into_iter().cycle();
    // Beyond the first `left` of them only where one class has all the texts.
    for i in open.filter(|&i| counts[i] < total).take(left) {
        shares[i] += 1;
    }
    shares.iter().flat_map(|&share| (share as u16).to_le_bytes()).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn postcard<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|_| Error::BadMeta)
}
