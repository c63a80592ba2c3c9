//! A chip as the platforms describe it.

use crate::processor::topology::Processor;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
pub struct Chip {
    pub name: String,
    pub device: Processor,
    /// The information that it was read from, served as it is.
    pub info: Option<Value>,
    /// `Online`, or the word that is shown instead of the queue.
    pub status: String,
}

impl Chip {
    pub fn online(&self) -> bool {
        self.status == "Online"
    }

    pub fn info(&self) -> Value {
        if let Some(info) = &self.info {
            return info.clone();
        }
        let device = &self.device;
        let mut qubits = Map::new();
        for q in 0..device.qubits {
            let fidelity = 1.0 - device.one_error(q as u8);
            let info = json!({"index": q, "fidelity": fidelity, "coordinate": [q % 13, q / 13]});
            qubits.insert(format!("Q{q}"), info);
        }
        let mut couplers = Map::new();
        for (i, &(a, b)) in device.couplers.iter().enumerate() {
            let fidelity = 1.0 - device.cz_error(a, b);
            couplers.insert(
                format!("C{i}"),
                json!({"index": i, "qubits_index": [a, b], "fidelity": fidelity}),
            );
        }
        json!({
            "size": device.qubits,
            "priority_qubits": [],
            "calibration_time": device.calibrated.clone().unwrap_or_else(|| "never".into()),
            "basis_gates": ["h", "rx", "ry", "rz", "cz"],
            "global_info": {"two_qubit_gate_basis": "CZ", "nqubits_available": device.qubits},
            "qubits_info": qubits,
            "couplers_info": couplers,
        })
    }

    pub fn metadata(&self, target: &str) -> Value {
        let real = target == self.name;
        let map: Vec<[u8; 2]> = self.device.couplers.iter().map(|&(a, b)| [a, b]).collect();
        json!({
            "name": target,
            "n_qubits": self.device.qubits,
            "basis_gates": ["h", "rx", "ry", "rz", "cz", "u"],
            "coupling_map": map,
            "limits": limits(real),
        })
    }

    pub fn calibration(&self) -> Value {
        let device = &self.device;
        let qubits: Vec<Value> =
            (0..device.qubits).map(|q| json!({"index": q, "t1_us": null, "t2_us": null})).collect();
        let coupler = |&(a, b): &(u8, u8)| json!({"qubits": [a, b], "cz_fidelity": 1.0 - device.cz_error(a, b)});
        let couplers: Vec<Value> = device.couplers.iter().map(coupler).collect();
        json!({
            "id": format!("cal-{}", self.name),
            "chip": self.name,
            "calibrated_at": device.calibrated,
            "source": "stand-in",
            "basis_gates": ["h", "rx", "ry", "rz", "cz"],
            "qubits": qubits,
            "couplers": couplers,
            "measured": null,
        })
    }
}

pub fn limits(real: bool) -> Value {
    let (fewest, most, step) = if real { (1024, 8192, 1024) } else { (1, 100_000, 1) };
    json!({
        "max_qubits": if real { 156 } else { 20 },
        "qubit_count": "active",
        "min_shots": fewest,
        "max_shots": most,
        "shots_step": step,
        "max_tasks_per_job": 100,
    })
}
