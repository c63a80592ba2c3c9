//! What is known of how well qubits and couplers work: figures from options, from a chip's information, or typical ones;
//! and for each field of that information, what it may hold.
//!
//! | field | may hold | else |
//! | --- | --- | --- |
//! | fidelities | 0 (not measured) to 1 | above 50 to 100: taken as percent, and said; other numbers are refused |
//! | of a one-qubit gate | from 1/2 on | taken as 1/2, a random gate, and said |
//! | of a CZ | from 1/4 on | the coupler is left out, and said |
//! | T1, T2 | 0 (not measured), 0.01 to 10^6 us | refused |
//! | T2 | up to twice T1 | taken as twice T1, and said |
//! | gate lengths | 0 (not measured), 10^-10 to 10^-3 s | refused |
//!
//! A field that is absent or null is not measured; what is no number is refused.

use crate::readout::BitError;
use anyhow::{Result, bail};
use qdllm_host::errors::wrong_use;
use qdllm_host::values::{self, above_zero};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Noise figures, as far as they are known: of a qubit, of a coupler, or as options those that replace the
/// target's on every qubit and coupler.
#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Average infidelity of a one-qubit gate (Z rotations are free)
    #[arg(long, value_name = "ERROR", value_parser = one_error)]
    pub one_error: Option<f64>,
    /// Average infidelity of a CZ
    #[arg(long, value_name = "ERROR", value_parser = cz_error)]
    pub cz_error: Option<f64>,
    /// Relaxation time, microseconds
    #[arg(long, value_name = "US", value_parser = values::within(above_zero(f64::INFINITY)))]
    pub t1_us: Option<f64>,
    /// Coherence time, microseconds
    #[arg(long, value_name = "US", value_parser = values::within(above_zero(f64::INFINITY)))]
    pub t2_us: Option<f64>,
    /// Length of a one-qubit gate, nanoseconds
    #[arg(long, value_name = "NS", value_parser = values::within(above_zero(f64::INFINITY)))]
    pub one_ns: Option<f64>,
    /// Length of a CZ, nanoseconds
    #[arg(long, value_name = "NS", value_parser = values::within(above_zero(f64::INFINITY)))]
    pub cz_ns: Option<f64>,
    /// Read-out error: of both outcomes, or `P10,P01` for reading 1 from |0> and 0 from |1>
    #[arg(long = "readout-error", value_name = "ERROR", value_parser = readout)]
    pub readout: Option<BitError>,
}

fn probability(text: &str) -> Result<f64, String> {
    values::within(0.0..=1.0)(text)
}

/// The average infidelity of a gate that leaves nothing but chance: of one qubit, of two.
const RANDOM: [f64; 2] = [0.5, 0.75];

fn gate_error(text: &str, random: f64) -> Result<f64, String> {
    let error = probability(text)?;
    let worse = format!("an error of {error} is worse than a random gate's, which is {random}");
    if error <= random { Ok(error) } else { Err(worse) }
}

fn one_error(text: &str) -> Result<f64, String> {
    gate_error(text, RANDOM[0])
}

fn cz_error(text: &str) -> Result<f64, String> {
    gate_error(text, RANDOM[1])
}

fn readout(text: &str) -> Result<BitError, String> {
    let (zero, one) = text.split_once(',').unwrap_or((text, text));
    Ok(BitError { one_from_zero: probability(zero)?, zero_from_one: probability(one)? })
}

impl Figures {
    /// Refuses options that contradict each other.
    pub fn check(&self) -> Result<()> {
        let (t1, t2) = (self.t1_us.unwrap_or(f64::INFINITY), self.t2_us.unwrap_or(0.0));
        if t2 <= 2.0 * t1 {
            return Ok(());
        }
        let beyond = "is more than twice --t1-us";
        Err(wrong_use(format_args!(
            "--t2-us {t2} {beyond} {t1}, which no qubit has; `inf` is no relaxation"
        )))
    }

    /// Whether T2 is more than twice T1, which no qubit has; it counts as twice.
    pub fn is_too_coherent(&self) -> bool {
        self.t2_us.is_some() && self.qubit().t2_us > 2.0 * self.qubit().t1_us
    }

    /// These figures, and `other`'s for what is missing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            one_error: self.one_error.or(other.one_error),
            cz_error: self.cz_error.or(other.cz_error),
            t1_us: self.t1_us.or(other.t1_us),
            t2_us: self.t2_us.or(other.t2_us),
            one_ns: self.one_ns.or(other.one_ns),
            cz_ns: self.cz_ns.or(other.cz_ns),
            readout: self.readout.or(other.readout),
        }
    }

    /// Of a qubit, with typical figures for what is missing.
    pub fn qubit(&self) -> QubitNoise {
        QubitNoise {
            one_error: self.one_error.unwrap_or(TYPICAL.0.one_error),
            t1_us: self.t1_us.unwrap_or(TYPICAL.0.t1_us),
            t2_us: self.t2_us.unwrap_or(TYPICAL.0.t2_us),
            one_ns: self.one_ns.unwrap_or(TYPICAL.0.one_ns),
            readout: self.readout.unwrap_or(TYPICAL.0.readout),
        }
    }

    /// Of a coupler, with typical figures for what is missing.
    pub fn coupler(&self) -> CouplerNoise {
        CouplerNoise {
            error: self.cz_error.unwrap_or(TYPICAL.1.error),
            cz_ns: self.cz_ns.unwrap_or(TYPICAL.1.cz_ns),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QubitNoise {
    /// Average infidelity of a one-qubit gate, relaxation during it included.
    pub one_error: f64,
    /// Relaxation time in microseconds; infinite for none.
    pub t1_us: f64,
    /// Coherence time in microseconds; more than twice `t1_us` counts as twice.
    pub t2_us: f64,
    /// Length of a one-qubit gate in nanoseconds. Z rotations take no time and make no error.
    pub one_ns: f64,
    pub readout: BitError,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CouplerNoise {
    /// Average infidelity of a two-qubit gate, relaxation during it included.
    pub error: f64,
    /// Length of a two-qubit gate in nanoseconds.
    pub cz_ns: f64,
}

/// Baihua's medians on its public page of 2026-07-06 (errors, T1, T2); gate lengths in the middle of
/// those in public clients' fixtures (64 to 84 and 210 to 224 ns). The read-out is published by nobody:
/// 3% on the average, as in this project's study of shots, more from |1>, is an assumption.
pub const TYPICAL: (QubitNoise, CouplerNoise) = (
    QubitNoise {
        one_error: 1e-3,
        t1_us: 71.507,
        t2_us: 23.724,
        one_ns: 74.0,
        readout: BitError { one_from_zero: 0.02, zero_from_one: 0.04 },
    },
    CouplerNoise { error: 1.7e-2, cz_ns: 217.0 },
);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    pub qubits: BTreeMap<u8, Figures>,
    pub couplers: BTreeMap<(u8, u8), Figures>,
    pub average: Figures,
}

impl Calibration {
    /// A qubit's figures, the chip's averages where it has none of its own.
    pub fn qubit(&self, q: u8) -> Figures {
        self.qubits.get(&q).copied().unwrap_or_default().or(self.average)
    }

    pub fn coupler(&self, a: u8, b: u8) -> Figures {
        self.couplers.get(&(a.min(b), a.max(b))).copied().unwrap_or_default().or(self.average)
    }
}

/// Not published of a qubit, or of a coupler.
const ABSENT: &str = "";

const QUBIT: [&str; 6] = ["fidelity", ABSENT, "T1", "T2", "length", ABSENT];
pub const COUPLER: [&str; 6] = [ABSENT, "fidelity", ABSENT, ABSENT, ABSENT, "length"];
pub const AVERAGES: [&str; 6] = [
    "single_qubit_gate_fidelity_average",
    "two_qubit_gate_fidelity_average",
    "T1_average",
    "T2_average",
    "one_qubit_gate_length",
    "two_qubit_gate_length",
];

/// Microseconds that a qubit may keep its state.
const TIMES_US: RangeInclusive<f64> = 0.01..=1e6;

/// Seconds that a gate may take.
const LENGTHS_S: RangeInclusive<f64> = 1e-10..=1e-3;

/// Reads figures of a chip's information, and keeps what it takes instead of what stands there: how often, and the first.
#[derive(Debug, Default)]
pub struct Reader(BTreeMap<&'static str, (usize, String)>);

impl Reader {
    /// Figures under the names that they have there: errors of one-qubit gates and CZ, T1, T2, and the lengths of both.
    pub fn figures(
        &mut self,
        of: &Value,
        path: &str,
        [one, cz, t1, t2, one_length, cz_length]: [&str; 6],
    ) -> Result<Figures> {
        let mut one_error = self.infidelity(of, path, one)?;
        let mut cz_error = self.infidelity(of, path, cz)?;
        if let Some(error) = one_error.filter(|&error| error > RANDOM[0]) {
            self.note(
                "worse than a random gate and counts as one",
                format!("{path}.{one} {}", 1.0 - error),
            );
            one_error = Some(RANDOM[0]);
        }
        if let Some(error) = cz_error.filter(|&error| error > RANDOM[1]) {
            self.note(
                "worse than a random gate and left out",
                format!("{path}.{cz} {}", 1.0 - error),
            );
            cz_error = None;
        }
        let us = |field| within(of, path, field, TIMES_US, "microseconds");
        let ns = |field| {
            let length = within(of, path, field, LENGTHS_S, "seconds")?;
            anyhow::Ok(length.map(|s| s * 1e9))
        };
        Ok(Figures {
            one_error,
            cz_error,
            t1_us: us(t1)?,
            t2_us: us(t2)?,
            one_ns: ns(one_length)?,
            cz_ns: ns(cz_length)?,
            readout: None,
        })
    }

    /// Figures of a qubit, with its read-out.
    pub fn qubit(&mut self, of: &Value, path: &str) -> Result<Figures> {
        let zero = self.infidelity(of, path, "readout g_fidelity")?;
        let readout = zero.zip(self.infidelity(of, path, "readout e_fidelity")?);
        let readout =
            readout.map(|(zero, one)| BitError { one_from_zero: zero, zero_from_one: one });
        Ok(Figures { readout, ..self.figures(of, path, QUBIT)? })
    }

    fn infidelity(&mut self, of: &Value, path: &str, field: &str) -> Result<Option<f64>> {
        let Some(x) = number(of, path, field)? else { return Ok(None) };
        let fidelity = match x {
            _ if x > 0.0 && x <= 1.0 => x,
            _ if x > 50.0 && x <= 100.0 => {
                self.note("taken as percent", format!("{path}.{field} {x}"));
                x / 100.0
            }
            _ => bail!("{path}.{field} is {x}; a fidelity lies within 0 to 1"),
        };
        Ok(Some(1.0 - fidelity))
    }

    /// Takes T2 as twice T1 where it is more.
    pub fn bound_coherence(&mut self, calibration: &mut Calibration) {
        for q in calibration.qubits.keys().copied().collect::<Vec<_>>() {
            let figures = calibration.qubit(q);
            if figures.is_too_coherent() {
                let QubitNoise { t1_us, t2_us, .. } = figures.qubit();
                self.note(
                    "more than twice T1 and taken as that",
                    format!("T2 {t2_us} us of qubit {q}"),
                );
                calibration.qubits.entry(q).or_default().t2_us = Some(2.0 * t1_us);
            }
        }
    }

    fn note(&mut self, what: &'static str, first: String) {
        self.0.entry(what).or_insert((0, first)).0 += 1;
    }

    pub fn notes(&self) -> Vec<String> {
        let note = |(what, (count, first)): (&&str, &(usize, String))| match count {
            1 => format!("{first} is {what}"),
            _ => format!("{first} is {what} ({count} such)"),
        };
        self.0.iter().map(note).collect()
    }
}

/// A number that is there and not 0.
fn number(of: &Value, path: &str, field: &str) -> Result<Option<f64>> {
    match of.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(x) => Ok(Some(x).filter(|&x| x != 0.0)),
            None => bail!("{path}.{field} is {value}, no number"),
        },
    }
}

fn within(
    of: &Value,
    path: &str,
    field: &str,
    range: RangeInclusive<f64>,
    unit: &str,
) -> Result<Option<f64>> {
    let x = number(of, path, field)?;
    if let Some(x) = x.filter(|x| !range.contains(x)) {
        bail!("{path}.{field} is {x}; it is given in {unit}, {} to {}", range.start(), range.end());
    }
    Ok(x)
}
