//! What is published of a processor's qubits and couplers, and typical values for what is not.

use crate::readout::BitError;
use serde_json::Value;
use std::collections::BTreeMap;

/// Noise figures, as far as they are known: of a qubit, of a coupler, or as options those that replace the
/// target's on every qubit and coupler.
#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Average infidelity of a one-qubit gate (Z rotations are free)
    #[arg(long, value_name = "ERROR", value_parser = probability)]
    pub one_error: Option<f64>,
    /// Average infidelity of a CZ
    #[arg(long, value_name = "ERROR", value_parser = probability)]
    pub cz_error: Option<f64>,
    /// Relaxation time, microseconds
    #[arg(long, value_name = "US", value_parser = above_zero)]
    pub t1_us: Option<f64>,
    /// Coherence time, microseconds
    #[arg(long, value_name = "US", value_parser = above_zero)]
    pub t2_us: Option<f64>,
    /// Length of a one-qubit gate, nanoseconds
    #[arg(long, value_name = "NS", value_parser = above_zero)]
    pub one_ns: Option<f64>,
    /// Length of a CZ, nanoseconds
    #[arg(long, value_name = "NS", value_parser = above_zero)]
    pub cz_ns: Option<f64>,
    /// Read-out error: of both outcomes, or `P10,P01` for reading 1 from |0> and 0 from |1>
    #[arg(long = "readout-error", value_name = "ERROR", value_parser = readout)]
    pub readout: Option<BitError>,
}

fn probability(text: &str) -> Result<f64, String> {
    let p: f64 = text.trim().parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.0..=1.0).contains(&p) { Ok(p) } else { Err(format!("{p} is not within 0 to 1")) }
}

fn above_zero(text: &str) -> Result<f64, String> {
    let x: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    // Infinity is meant: no relaxation.
    if x > 0.0 { Ok(x) } else { Err(format!("{x} is not above 0")) }
}

fn readout(text: &str) -> Result<BitError, String> {
    let (zero, one) = text.split_once(',').unwrap_or((text, text));
    Ok(BitError { one_from_zero: probability(zero)?, zero_from_one: probability(one)? })
}

impl Figures {
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
    qubits: BTreeMap<u8, Figures>,
    couplers: BTreeMap<(u8, u8), Figures>,
    average: Figures,
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

#[derive(Clone, Debug)]
pub struct ChipInfo {
    pub name: String,
    pub qubits: usize,
    pub couplers: Vec<(usize, usize)>,
    pub date: String,
    pub calibration: Calibration,
}

impl ChipInfo {
    /// Reads `qubits_info`, `couplers_info` and, where there, `global_info`; an error names the field that
    /// is missing or no number. 0 means not measured; a coupler of fidelity 0 is dead.
    pub fn read(value: &Value) -> Result<Self, String> {
        let missing = |field: &str| format!("chip information lacks `{field}`");
        let entries =
            |field: &str| value.get(field).and_then(Value::as_object).ok_or_else(|| missing(field));
        let mut calibration = Calibration { average: averages(value), ..Calibration::default() };
        let mut pairs = Vec::new();
        for (name, coupler) in entries("couplers_info")? {
            let pair = coupler.get("qubits_index").and_then(Value::as_array);
            let index = |i: usize| pair?.get(i)?.as_u64().map(|x| x as usize);
            let (Some(a), Some(b)) = (index(0), index(1)) else {
                return Err(missing(&format!("couplers_info.{name}.qubits_index")));
            };
            let Some(error) = infidelity(coupler, "fidelity") else { continue };
            pairs.push((a, b));
            let (cz_error, cz_ns) = (Some(error), length_ns(coupler, "length"));
            let figures = Figures { cz_error, cz_ns, ..Figures::default() };
            // A number beyond 255 is refused with its pair when the map is built.
            calibration.couplers.insert((a.min(b) as u8, a.max(b) as u8), figures);
        }
        let mut last = pairs.iter().map(|p| p.0.max(p.1)).max();
        for (name, qubit) in entries("qubits_info")? {
            let index = qubit.get("index").and_then(Value::as_u64);
            let index = index.ok_or_else(|| missing(&format!("qubits_info.{name}.index")))?;
            last = last.max(Some(index as usize));
            calibration.qubits.insert(index as u8, qubit_figures(qubit));
        }
        let name = value.get("name").and_then(Value::as_str).unwrap_or("chip");
        let date =
            value.get("calibration_time").map(|t| t.as_str().map_or(t.to_string(), String::from));
        Ok(Self {
            name: name.into(),
            qubits: last.map_or(0, |q| q + 1),
            couplers: pairs,
            date: date.unwrap_or_else(|| "unknown date".into()),
            calibration,
        })
    }
}

fn averages(value: &Value) -> Figures {
    let all = value.get("global_info").unwrap_or(&Value::Null);
    Figures {
        one_error: infidelity(all, "single_qubit_gate_fidelity_average"),
        cz_error: infidelity(all, "two_qubit_gate_fidelity_average"),
        t1_us: positive(all, "T1_average"),
        t2_us: positive(all, "T2_average"),
        one_ns: length_ns(all, "one_qubit_gate_length"),
        cz_ns: length_ns(all, "two_qubit_gate_length"),
        readout: None,
    }
}

fn qubit_figures(qubit: &Value) -> Figures {
    let zero = infidelity(qubit, "readout g_fidelity");
    let readout = zero.zip(infidelity(qubit, "readout e_fidelity"));
    Figures {
        one_error: infidelity(qubit, "fidelity"),
        t1_us: positive(qubit, "T1"),
        t2_us: positive(qubit, "T2"),
        one_ns: length_ns(qubit, "length"),
        readout: readout.map(|(zero, one)| BitError { one_from_zero: zero, zero_from_one: one }),
        ..Figures::default()
    }
}

/// The service gives lengths in seconds.
fn length_ns(value: &Value, field: &str) -> Option<f64> {
    positive(value, field).map(|seconds| seconds * 1e9)
}

fn positive(value: &Value, field: &str) -> Option<f64> {
    value.get(field).and_then(Value::as_f64).filter(|&x| x > 0.0)
}

fn infidelity(value: &Value, field: &str) -> Option<f64> {
    positive(value, field).map(|f| (1.0 - f).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chips_information_is_read_field_by_field() {
        let chip = r#"{"name": "Test", "calibration_time": "2026-07-06 09:05:00",
            "global_info": {"T1_average": 60.0, "T2_average": 20.0, "one_qubit_gate_length": 7e-8,
              "two_qubit_gate_length": 2.1e-7, "two_qubit_gate_fidelity_average": 0.97},
            "qubits_info": {"Q0": {"index": 0, "T1": 40.5, "T2": 0.0, "fidelity": 0.998,
              "length": 6.4e-8, "readout g_fidelity": 0.98, "readout e_fidelity": 0.94},
              "Q1": {"index": 1, "readout g_fidelity": 0.0, "readout e_fidelity": 0.9}},
            "couplers_info": {"C0": {"qubits_index": [1, 0], "fidelity": 0.95, "length": 2.2e-7},
              "C1": {"qubits_index": [1, 2], "fidelity": 0.0}}}"#;
        let chip = ChipInfo::read(&serde_json::from_str(chip).unwrap()).unwrap();
        assert_eq!((chip.name.as_str(), chip.qubits), ("Test", 2));
        assert_eq!(chip.couplers, [(1, 0)]);
        let near = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9, "{a:?}, {b}");
        let q = chip.calibration.qubit(0);
        near(q.t1_us, 40.5);
        near(q.t2_us, 20.0);
        near(q.one_ns, 64.0);
        near(q.one_error, 0.002);
        near(q.readout.map(|r| r.one_from_zero), 0.02);
        near(q.readout.map(|r| r.zero_from_one), 0.06);
        let q = chip.calibration.qubit(1);
        assert_eq!((q.readout, q.one_error), (None, None));
        near(q.one_ns, 70.0);
        near(chip.calibration.coupler(0, 1).cz_error, 0.05);
        near(chip.calibration.coupler(0, 1).cz_ns, 220.0);
        near(chip.calibration.coupler(5, 6).cz_error, 0.03);
        near(chip.calibration.coupler(5, 6).cz_ns, 210.0);
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |text: &str| ChipInfo::read(&serde_json::from_str(text).unwrap());
        let error = refused(r#"{"qubits_info": {}, "couplers_info": {"C3": {}}}"#).unwrap_err();
        assert!(error.contains("couplers_info.C3.qubits_index"), "{error}");
        let error = refused(r#"{"qubits_info": {"Q3": {}}, "couplers_info": {}}"#).unwrap_err();
        assert!(error.contains("qubits_info.Q3.index"), "{error}");
    }
}
