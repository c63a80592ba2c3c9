//! A quantum processor: its couplings, and what is published of how well its qubits and couplers work.

use crate::calibration::{AVERAGES, COUPLER, Calibration, Reader};
use crate::readout::BitError;
use anyhow::{Result, anyhow, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::VecDeque;

#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    pub name: String,
    pub qubits: usize,
    pub couplers: Vec<(u8, u8)>,
    pub neighbours: Vec<Vec<u8>>,
    /// Couplers between two qubits; `u8::MAX` where there is no way.
    pub distance: Vec<Vec<u8>>,
    /// When it was calibrated, as its file says; `None`: errors are typical ones.
    pub calibrated: Option<String>,
    pub calibration: Calibration,
    /// What was taken instead of figures that cannot be.
    pub notes: Vec<String>,
}

impl Processor {
    /// `baihua`, `line:N`, `ring:N`, `full:N` or `grid:RxC`.
    pub fn named(target: &str) -> Result<Self> {
        let all = "baihua, line:N, ring:N, full:N, grid:RxC, or a JSON file";
        let unknown = || anyhow!("`{target}` is no target; give {all}");
        if target.eq_ignore_ascii_case("baihua") {
            return Self::baihua();
        }
        let (shape, size) = target.split_once(':').ok_or_else(unknown)?;
        let number = |t: &str| t.parse::<usize>().ok().filter(|n| (1..=256).contains(n));
        let number = |t: &str| number(t).ok_or_else(unknown);
        let (rows, columns) = match (shape, size.split_once('x')) {
            ("grid", Some((rows, columns))) => (number(rows)?, number(columns)?),
            ("line" | "ring" | "full", None) => (1, number(size)?),
            _ => return Err(unknown()),
        };
        let n = rows * columns;
        let couplers: Vec<(usize, usize)> = match shape {
            "ring" => (0..n).map(|q| (q, (q + 1) % n)).collect(),
            "full" => (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect(),
            // A line is a grid of one row.
            _ => {
                let across = (0..n).filter(|q| q % columns + 1 < columns).map(|q| (q, q + 1));
                across.chain((0..n - columns).map(|q| (q, q + columns))).collect()
            }
        };
        Self::new(target, n, &couplers)
    }

    /// Baihua: 12 rows of 13; every horizontal neighbour, verticals from even rows at columns 2, 6,
    /// 10 and from odd rows at 0, 4, 8, 12. Rows 0 to 8 as the public chip page of 2026-07-06 shows them, rows 9 to 11 by the same
    /// pattern; the total of 182 couplers is the page's.
    pub fn baihua() -> Result<Self> {
        let across = (0..156).filter(|q| q % 13 < 12).map(|q| (q, q + 1));
        let down = (0..143).filter(|q| q % 13 % 4 == if q / 13 % 2 == 0 { 2 } else { 0 });
        let couplers: Vec<_> = across.chain(down.map(|q| (q, q + 13))).collect();
        Self::new("Baihua", 156, &couplers)
    }

    /// A processor whose errors are all typical.
    pub fn new(name: &str, qubits: usize, couplers: &[(usize, usize)]) -> Result<Self> {
        ensure!(qubits <= 256, "{qubits} qubits; at most 256 are possible");
        let mut pairs = Vec::new();
        for &(a, b) in couplers {
            let last = qubits.max(1) - 1;
            ensure!(
                a < qubits && b < qubits && a != b,
                "coupler [{a}, {b}] on a chip with qubits 0 to {last}"
            );
            pairs.push((a.min(b) as u8, a.max(b) as u8));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let remedy = "`coupling_map` must list pairs of qubits";
        ensure!(!pairs.is_empty(), "the map has no coupler; {remedy}");
        let mut neighbours = vec![Vec::new(); qubits];
        for &(a, b) in &pairs {
            neighbours[a as usize].push(b);
            neighbours[b as usize].push(a);
        }
        let distance = (0..qubits).map(|q| distances(&neighbours, q)).collect();
        Ok(Self {
            name: name.into(),
            qubits,
            couplers: pairs,
            neighbours,
            distance,
            calibrated: None,
            calibration: Calibration::default(),
            notes: Vec::new(),
        })
    }

    /// A processor from JSON: either `{name, n_qubits, coupling_map}`, or a chip's own information
    /// with `qubits_info` and `couplers_info`, where fidelity 0 means dead.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct MapFile {
            name: String,
            n_qubits: usize,
            coupling_map: Vec<(usize, usize)>,
        }
        let value: Value = serde_json::from_str(text)?;
        if value.get("couplers_info").is_some() {
            return Self::from_chip(&value);
        }
        let map: MapFile = serde_json::from_value(value)
            .map_err(|e| anyhow!("{e}; a map has `name`, `n_qubits` and `coupling_map`"))?;
        Self::new(&map.name, map.n_qubits, &map.coupling_map)
    }

    /// From `qubits_info`, `couplers_info` and, where there, `global_info`; an error names the field that is missing
    /// or cannot be.
    fn from_chip(value: &Value) -> Result<Self> {
        let missing = |field: &str| anyhow!("chip information lacks `{field}`");
        let entries =
            |field: &str| value.get(field).and_then(Value::as_object).ok_or_else(|| missing(field));
        let mut reader = Reader::default();
        let all = value.get("global_info").unwrap_or(&Value::Null);
        let average = reader.figures(all, "global_info", AVERAGES)?;
        let mut calibration = Calibration { average, ..Calibration::default() };
        let mut pairs = Vec::new();
        for (name, coupler) in entries("couplers_info")? {
            let path = format!("couplers_info.{name}");
            let pair = coupler.get("qubits_index").and_then(Value::as_array);
            let index = |i: usize| pair?.get(i)?.as_u64().map(|x| x as usize);
            let (Some(a), Some(b)) = (index(0), index(1)) else {
                return Err(missing(&format!("{path}.qubits_index")));
            };
            let figures = reader.figures(coupler, &path, COUPLER)?;
            if figures.cz_error.is_none() {
                continue;
            }
            pairs.push((a, b));
            // A number beyond 255 is refused with its pair when the map is built.
            calibration.couplers.insert((a.min(b) as u8, a.max(b) as u8), figures);
        }
        let mut last = pairs.iter().map(|p| p.0.max(p.1)).max();
        for (name, qubit) in entries("qubits_info")? {
            let path = format!("qubits_info.{name}");
            let index = qubit.get("index").and_then(Value::as_u64);
            let index = index.ok_or_else(|| missing(&format!("{path}.index")))?;
            ensure!(index < 256, "{path}.index is {index}; at most 256 qubits are possible");
            last = last.max(Some(index as usize));
            calibration.qubits.insert(index as u8, reader.qubit(qubit, &path)?);
        }
        reader.bound_coherence(&mut calibration);
        let name = value.get("name").and_then(Value::as_str).unwrap_or("chip");
        let date =
            value.get("calibration_time").map(|t| t.as_str().map_or(t.to_string(), String::from));
        let calibrated = Some(date.unwrap_or_else(|| "unknown date".into()));
        let processor = Self::new(name, last.map_or(0, |q| q + 1), &pairs)?;
        Ok(Self { calibrated, calibration, notes: reader.notes(), ..processor })
    }

    pub fn coupled(&self, a: u8, b: u8) -> bool {
        self.distance[a as usize][b as usize] == 1
    }

    /// Error of a CZ on a coupler; the typical one where none is published.
    pub fn cz_error(&self, a: u8, b: u8) -> f64 {
        self.calibration.coupler(a, b).coupler().error
    }

    /// Error of a one-qubit gate; the typical one where none is published.
    pub fn one_error(&self, q: u8) -> f64 {
        self.calibration.qubit(q).qubit().one_error
    }

    /// Error of reading a qubit, mean of both outcomes, where published.
    pub fn readout_error(&self, q: u8) -> Option<f64> {
        self.bit_error(q).map(|e| f64::midpoint(e.one_from_zero, e.zero_from_one))
    }

    /// How a qubit is misread, where published.
    pub fn bit_error(&self, q: u8) -> Option<BitError> {
        self.calibration.qubit(q).readout
    }

    /// Refuses a circuit that no connected part can hold.
    pub fn holds(&self, needed: usize) -> Result<()> {
        let reach = |row: &Vec<u8>| row.iter().filter(|&&d| d < u8::MAX).count();
        let largest = self.distance.iter().map(reach).max().unwrap_or(0);
        ensure!(
            needed <= largest,
            "the circuit needs {needed} connected qubits; the largest connected part has {largest}"
        );
        Ok(())
    }
}

fn distances(neighbours: &[Vec<u8>], from: usize) -> Vec<u8> {
    let mut distance = vec![u8::MAX; neighbours.len()];
    distance[from] = 0;
    let mut queue = VecDeque::from([from]);
    while let Some(q) = queue.pop_front() {
        for &n in &neighbours[q] {
            if distance[n as usize] == u8::MAX {
                distance[n as usize] = distance[q].saturating_add(1);
                queue.push_back(n as usize);
            }
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baihua_has_the_published_shape() {
        let d = Processor::baihua().unwrap();
        assert_eq!((d.qubits, d.couplers.len()), (156, 182));
        assert!(d.neighbours.iter().all(|n| (1..=3).contains(&n.len())));
        // Couplers that jobs have used: 14-15-16-17-30-29-28-41.
        for (a, b) in [(14, 15), (15, 16), (16, 17), (17, 30), (30, 29), (29, 28), (28, 41)] {
            assert!(d.coupled(a, b), "{a}-{b}");
        }
        assert!(!d.coupled(12, 13));
    }

    #[test]
    fn bad_maps_are_refused_by_name() {
        let map = |m: &str| {
            Processor::from_json(&format!(r#"{{"name":"x","n_qubits":3,"coupling_map":{m}}}"#))
        };
        assert!(map("[]").unwrap_err().to_string().contains("no coupler"));
        assert!(map("[[0,3]]").unwrap_err().to_string().contains("[0, 3]"));
        assert!(Processor::from_json("{}").unwrap_err().to_string().contains("name"));
        let parted = map("[[0,1]]").unwrap();
        let error = parted.holds(3).unwrap_err().to_string();
        assert!(error.contains("needs 3") && error.contains("part has 2"), "{error}");
        for name in ["grid:3", "line:0", "line:x", "tree:3", "elsewhere", "full:300"] {
            assert!(Processor::named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn chip_information_gives_errors_and_drops_dead_couplers() {
        let d = Processor::from_json(
            r#"{"calibration_time": "2026-07-06 09:05:00",
                "qubits_info": {"Q0": {"index": 0, "fidelity": 0.998}, "Q1": {"index": 1,
                  "readout g_fidelity": 0.98, "readout e_fidelity": 0.94}, "Q2": {"index": 2}},
                "couplers_info": {"C0": {"qubits_index": [1, 0], "fidelity": 0.95},
                  "C1": {"qubits_index": [1, 2], "fidelity": 0.0}}}"#,
        )
        .unwrap();
        assert_eq!(d.couplers, [(0, 1)]);
        assert!((d.cz_error(0, 1) - 0.05).abs() < 1e-12);
        assert!((d.one_error(0) - 0.002).abs() < 1e-12);
        assert!((d.readout_error(1).unwrap() - 0.04).abs() < 1e-12);
        assert_eq!(d.calibrated.as_deref(), Some("2026-07-06 09:05:00"));
    }

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
        let chip = Processor::from_json(chip).unwrap();
        assert_eq!((chip.name.as_str(), chip.qubits), ("Test", 2));
        assert_eq!(chip.couplers, [(0, 1)]);
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
    fn figures_that_cannot_be_are_refused_or_said() {
        // A qubit's, a coupler's and the averages' fields.
        let chip = |qubit: &str, coupler: &str, all: &str| {
            Processor::from_json(&format!(
                r#"{{"global_info": {{{all}}}, "qubits_info": {{"Q0": {{"index": 0{qubit}}}, "Q1": {{"index": 1}}}},
                    "couplers_info": {{"C0": {{"qubits_index": [0, 1], "fidelity": 0.9{coupler}}}}}}}"#
            ))
        };
        let twice = |field: &str, value: &str| format!(", \"{field}\": {value}");
        for field in ["fidelity", "readout g_fidelity", "readout e_fidelity"] {
            for value in ["1.3", "-0.1", "101", "1e300", "\"0.9\"", "true", "[1]"] {
                let error = chip(&twice(field, value), "", "").unwrap_err().to_string();
                assert!(error.contains(&format!("qubits_info.Q0.{field} is ")), "{value}: {error}");
            }
        }
        for (field, value) in [("T1", "-1"), ("T2", "7e-5"), ("T1", "1e9"), ("length", "64")] {
            let error = chip(&twice(field, value), "", "").unwrap_err().to_string();
            assert!(error.contains(&format!("qubits_info.Q0.{field} is ")), "{value}: {error}");
        }
        assert!(chip("", ", \"length\": -1", "").is_err());
        assert!(chip("", "", "\"T1_average\": \"long\"").is_err());
        assert!(chip("", "", "\"two_qubit_gate_fidelity_average\": 2").is_err());
        // Not measured.
        for value in ["0", "null", "0.0"] {
            let good = chip(&twice("fidelity", value), &twice("length", value), "").unwrap();
            assert_eq!((good.notes.len(), good.calibration.qubit(0).one_error), (0, None));
        }
        let said = |qubit: &str| {
            let chip = chip(qubit, "", "").unwrap();
            (chip.notes.join("; "), chip.calibration.qubit(0))
        };
        let (notes, q) =
            said(r#", "fidelity": 99.8, "readout g_fidelity": 98.3, "readout e_fidelity": 0.9"#);
        assert!(notes.contains("is taken as percent") && notes.contains("2 such"), "{notes}");
        assert!((q.one_error.unwrap() - 0.002).abs() < 1e-12);
        assert!((q.readout.unwrap().one_from_zero - 0.017).abs() < 1e-12);
        let (notes, q) = said(r#", "T1": 20, "T2": 50"#);
        assert!(notes.contains("T2") && notes.contains("twice T1"), "{notes}");
        assert_eq!(q.t2_us, Some(40.0));
        let (notes, q) = said(r#", "fidelity": 0.2"#);
        assert!(notes.contains("worse than a random gate"), "{notes}");
        assert_eq!(q.one_error, Some(0.5));
        let dead = Processor::from_json(
            r#"{"qubits_info": {}, "couplers_info": {"C0": {"qubits_index": [0, 1], "fidelity": 0.9},
                "C1": {"qubits_index": [1, 2], "fidelity": 0.1}}}"#,
        )
        .unwrap();
        assert_eq!(dead.couplers, [(0, 1)]);
        assert!(dead.notes[0].contains("left out"), "{:?}", dead.notes);
        let far = r#"{"qubits_info": {"Q": {"index": 18446744073709551615}}, "couplers_info": {}}"#;
        assert!(Processor::from_json(far).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |text: &str| Processor::from_json(text).map_err(|e| e.to_string());
        let error = refused(r#"{"qubits_info": {}, "couplers_info": {"C3": {}}}"#).unwrap_err();
        assert!(error.contains("couplers_info.C3.qubits_index"), "{error}");
        let error = refused(r#"{"qubits_info": {"Q3": {}}, "couplers_info": {}}"#).unwrap_err();
        assert!(error.contains("qubits_info.Q3.index"), "{error}");
    }
}
