//! The portal's task API: jobs of one task, header `Authorization: Bearer`. A repeated submission with
//! the same `client_ref` gives the job that exists, so a lost answer is resolved by submitting again.

use super::http::{Http, Request, counts_of, escaped, get, id_of};
use super::{
    Backend, CloudError, Delivery, Fetched, Limits, Order, Outcome, Platform, Progress, SubmitError,
};
use serde_json::{Map, Value, json};

pub struct Portal(pub Http);

impl Portal {
    fn get(&self, path: &str, authorised: bool) -> Result<Value, CloudError> {
        self.0.call(&Request { authorised, ..get(&format!("/api/v1{path}")) })
    }

    fn progress(&self, answer: &Value) -> Result<Progress, CloudError> {
        self.0.progress(answer, answer["status"].as_str().filter(|word| !word.is_empty()))
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

impl Platform for Portal {
    fn submit(&self, order: &Order<'_>) -> Result<String, SubmitError> {
        let body = json!({
            "mode": "single",
            "target": order.chip,
            "shots": order.shots,
            "circuit_level": if order.physical { "physical" } else { "logical" },
            "circuits": [{"qasm": order.qasm, "shots": order.shots, "name": order.name}],
            "name": order.name,
            "client_ref": order.client_ref,
        })
        .to_string();
        let call = Request { post: true, body: Some(&body), declared: true, ..get("/api/v1/jobs") };
        let answer = self.0.submit(&call)?;
        id_of(&answer["job_id"]).ok_or_else(|| self.0.no_task(&answer))
    }

    fn recover(&self, order: &Order<'_>, _since_s: u64) -> Result<Option<String>, CloudError> {
        // The job that exists, or a new one: either way exactly one.
        let mut done = 0;
        loop {
            done += 1;
            let error = match self.submit(order) {
                Ok(id) => return Ok(Some(id)),
                Err(error) => error,
            };
            let refused = error.delivery == Delivery::Refused;
            if refused || !self.0.retry.pause(done, error.wait) {
                return Err(error.why);
            }
        }
    }

    fn status(&self, task: &str) -> Result<Progress, CloudError> {
        self.progress(&self.get(&format!("/jobs/{}/status", escaped(task)), true)?)
    }

    fn result(&self, task: &str) -> Result<Fetched, CloudError> {
        let path = format!("/jobs/{}/tasks/0?include=counts,executed", escaped(task));
        let answer = self.get(&path, true)?;
        match self.progress(&answer)? {
            Progress::Finished => {}
            Progress::Failed => {
                let error = &answer["error"];
                let why = format!("{}: {}", text(error, "category"), text(error, "detail"));
                return Ok(Fetched::Failed(self.0.short(&why)));
            }
            Progress::Cancelled => return Ok(Fetched::Cancelled),
            Progress::Waiting(_) => return Ok(Fetched::Waiting),
        }
        let (result, circuit) = (&answer["result"], &answer["circuit"]);
        let order = text(result, "bit_order");
        if order != "c0_rightmost" {
            let order = self.0.short(order);
            let what = format!("bit order `{order}`; only c0_rightmost is known");
            return Err(CloudError::Protocol(what));
        }
        Ok(Fetched::Done(Outcome {
            task: id_of(&answer["job"]["id"]),
            chip: Some(text(&answer, "target").into()).filter(|t: &String| !t.is_empty()),
            circuit: None,
            counts: counts_of(&result["counts"])?,
            shots: result["shots_returned"].as_u64(),
            details: json!({
                "executed": circuit["executed"],
                "measurements": circuit["measurements"],
                "calibration": answer["calibration"],
                "execution": answer["execution"],
            }),
        }))
    }

    fn cancel(&self, task: &str) -> Result<(), CloudError> {
        let path = format!("/api/v1/jobs/{}/cancel", escaped(task));
        self.0.call(&Request { post: true, ..get(&path) }).map(drop)
    }

    fn backends(&self) -> Result<Vec<Backend>, CloudError> {
        let answer = self.get("/devices", false)?;
        let backend = |row: &Value, name: &str, status: &str| Backend {
            name: name.into(),
            online: matches!(status, "online" | "starting"),
            status: self.0.short(status),
            queue: row["queue"].as_u64(),
            qubits: row.get("n_qubits").unwrap_or(&row["max_qubits"]).as_u64(),
        };
        let mut all = Vec::new();
        let simulator = &answer["simulator"];
        let simulator_status = simulator.is_object().then(|| text(simulator, "status"));
        if let Some(status) = simulator_status {
            let name = Some(text(simulator, "name")).filter(|n| !n.is_empty());
            all.push(backend(simulator, name.unwrap_or("sim"), status));
        }
        for row in
            ["devices", "simulated_chips"].iter().flat_map(|k| answer[k].as_array()).flatten()
        {
            let name = text(row, "name");
            all.push(backend(row, name, text(row, "status")));
            if row["simulator_available"] == true {
                let status = simulator_status.unwrap_or("online");
                all.push(backend(row, &format!("{name}-sim"), status));
            }
        }
        if all.is_empty() { Err(self.0.not_understood(&answer)) } else { Ok(all) }
    }

    fn chip(&self, name: &str) -> Result<Value, CloudError> {
        let metadata = self.get(&format!("/backends/{}/metadata", escaped(name)), false)?;
        let (qubits, map) = match (metadata["n_qubits"].as_u64(), &metadata["coupling_map"]) {
            (Some(qubits), map @ Value::Array(_)) => (qubits, map),
            _ => return Err(self.0.not_understood(&metadata)),
        };
        let plain = json!({"name": name, "n_qubits": qubits, "coupling_map": map});
        // A simulator follows its device's calibration; some targets have none.
        let device = name.split("-sim").next().unwrap_or(name);
        match self.get(&format!("/devices/{}/calibration", escaped(device)), false) {
            Ok(calibration) => Ok(chip_info(name, qubits, &calibration).unwrap_or(plain)),
            Err(CloudError::Refused { status: 404, .. }) => Ok(plain),
            Err(e) => Err(e),
        }
    }

    fn limits(&self, chip: &str) -> Result<Limits, CloudError> {
        let metadata = self.get(&format!("/backends/{}/metadata", escaped(chip)), false)?;
        let limit = |key: &str| metadata["limits"][key].as_u64().and_then(|v| v.try_into().ok());
        Ok(Limits {
            min_shots: limit("min_shots").unwrap_or(1),
            max_shots: limit("max_shots").unwrap_or(u32::MAX),
            step: limit("shots_step").unwrap_or(1),
        })
    }
}

/// The portal's calibration in the form of a chip's information; unmeasured couplers are left out.
fn chip_info(name: &str, qubits: u64, calibration: &Value) -> Option<Value> {
    let mut couplers = Map::new();
    for (i, coupler) in calibration["couplers"].as_array()?.iter().enumerate() {
        let fidelity = &coupler["cz_fidelity"];
        let pair = coupler.get("qubits")?;
        couplers.insert(format!("C{i}"), json!({"qubits_index": pair, "fidelity": fidelity}));
    }
    let row = |all: &Value, index: u64| {
        let found = all.as_array()?.iter().find(|q| q["index"].as_u64() == Some(index));
        found.cloned()
    };
    let entry = |index: u64| {
        let stated = row(&calibration["qubits"], index).unwrap_or_default();
        let measured = row(&calibration["measured"]["qubits"], index).unwrap_or_default();
        let info = json!({
            "index": index,
            "T1": stated["t1_us"],
            "T2": stated["t2_us"],
            "readout g_fidelity": measured["readout_fidelity_0"],
            "readout e_fidelity": measured["readout_fidelity_1"],
        });
        (format!("Q{index}"), info)
    };
    Some(json!({
        "name": name,
        "calibration_time": calibration.get("calibrated_at"),
        "qubits_info": (0..qubits).map(entry).collect::<Map<_, _>>(),
        "couplers_info": couplers,
    }))
}
