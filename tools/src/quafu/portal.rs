//! The portal's task API: jobs of one task, header `Authorization: Bearer`. A repeated submission with
//! the same `client_ref` gives the job that exists, so a lost answer is resolved by submitting again.

use super::error::{CloudError, SubmitError};
use super::http::{Http, Request, escaped, get};
use super::kind::Limits;
use super::platform::{Backend, Fetched, Order, Outcome, Platform, Progress, Recovery, counts_of};
use serde_json::{Value, json};

pub struct Portal {
    http: Http,
}

impl Portal {
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    fn get(&self, path: &str, authorised: bool) -> Result<Value, CloudError> {
        let path = format!("/api/v1{path}");
        self.http.call(&Request { authorised, ..get(&path) })
    }

    fn not_understood(&self, value: &Value) -> CloudError {
        CloudError::Protocol(self.http.short(&value.to_string()))
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
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
        let call = Request {
            post: true,
            path: "/api/v1/jobs",
            body: Some(&body),
            declared: true,
            authorised: true,
        };
        let answer = self.http.submit(&call)?;
        match answer.get("job_id").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(id.into()),
            _ => Err(SubmitError::Unknown(self.not_understood(&answer))),
        }
    }

    fn recover(&self, order: &Order<'_>, _since_s: u64) -> Result<Recovery, CloudError> {
        // The job that exists, or a new one: either way exactly one.
        let mut done = 0;
        loop {
            done += 1;
            let (error, wait) = match self.submit(order) {
                Ok(id) => return Ok(Recovery::Found(id)),
                Err(SubmitError::Refused(error)) => return Err(error),
                Err(SubmitError::Busy(error, wait)) => (error, wait),
                Err(other) => (other.into_error(), None),
            };
            if done >= self.http.retry().tries {
                return Err(error);
            }
            std::thread::sleep(wait.unwrap_or_else(|| self.http.retry().backoff.wait(done)));
        }
    }

    fn status(&self, task: &str) -> Result<Progress, CloudError> {
        let answer = self.get(&format!("/jobs/{}/status", escaped(task)), true)?;
        match text(&answer, "status") {
            "" => Err(self.not_understood(&answer)),
            "Finished" => Ok(Progress::Finished),
            "Failed" => Ok(Progress::Failed),
            "Cancelled" => Ok(Progress::Cancelled),
            word => Ok(Progress::Waiting(self.http.short(word))),
        }
    }

    fn result(&self, task: &str) -> Result<Fetched, CloudError> {
        let path = format!("/jobs/{}/tasks/0?include=counts,executed", escaped(task));
        let answer = self.get(&path, true)?;
        match text(&answer, "status") {
            "" => return Err(self.not_understood(&answer)),
            "Finished" => {}
            "Failed" => {
                let error = answer.get("error").unwrap_or(&Value::Null);
                let why = format!("{}: {}", text(error, "category"), text(error, "detail"));
                return Ok(Fetched::Failed(self.http.short(&why)));
            }
            "Cancelled" => return Ok(Fetched::Cancelled),
            word => return Ok(Fetched::Waiting(self.http.short(word))),
        }
        let result = answer.get("result").unwrap_or(&Value::Null);
        let order = text(result, "bit_order");
        if order != "c0_rightmost" {
            let what =
                format!("bit order `{}`; only c0_rightmost is known", self.http.short(order));
            return Err(CloudError::Protocol(what));
        }
        let circuit = answer.get("circuit").unwrap_or(&Value::Null);
        let details = json!({
            "executed": circuit.get("executed"),
            "measurements": circuit.get("measurements"),
            "calibration": answer.get("calibration"),
            "execution": answer.get("execution"),
        });
        Ok(Fetched::Done(Outcome {
            task: answer
                .get("job")
                .and_then(|j| j.get("id"))
                .and_then(Value::as_str)
                .map(Into::into),
            chip: Some(text(&answer, "target").to_string()).filter(|t| !t.is_empty()),
            circuit: None,
            counts: counts_of(result.get("counts").unwrap_or(&Value::Null))?,
            shots: result.get("shots_returned").and_then(Value::as_u64),
            details,
        }))
    }

    fn cancel(&self, task: &str) -> Result<(), CloudError> {
        let path = format!("/api/v1/jobs/{}/cancel", escaped(task));
        self.http.call(&Request { post: true, ..get(&path) }).map(|_| ())
    }

    fn backends(&self) -> Result<Vec<Backend>, CloudError> {
        let answer = self.get("/devices", false)?;
        let mut all = Vec::new();
        let mut add = |row: &Value, name: String, status: &str| {
            all.push(Backend {
                name,
                online: matches!(status, "online" | "starting"),
                status: self.http.short(status),
                queue: row.get("queue").and_then(Value::as_u64),
                qubits: row
                    .get("n_qubits")
                    .or_else(|| row.get("max_qubits"))
                    .and_then(Value::as_u64),
            });
        };
        let simulator = answer.get("simulator").filter(|s| s.is_object());
        if let Some(row) = simulator {
            let name = Some(text(row, "name")).filter(|n| !n.is_empty()).unwrap_or("sim");
            add(row, name.into(), text(row, "status"));
        }
        for key in ["devices", "simulated_chips"] {
            for row in answer.get(key).and_then(Value::as_array).into_iter().flatten() {
                add(row, text(row, "name").into(), text(row, "status"));
                if row.get("simulator_available").and_then(Value::as_bool) == Some(true) {
                    let status = simulator.map_or("online", |s| text(s, "status"));
                    add(row, format!("{}-sim", text(row, "name")), status);
                }
            }
        }
        if all.is_empty() { Err(self.not_understood(&answer)) } else { Ok(all) }
    }

    fn chip(&self, name: &str) -> Result<Value, CloudError> {
        let metadata = self.get(&format!("/backends/{}/metadata", escaped(name)), false)?;
        let missing = || self.not_understood(&metadata);
        let qubits = metadata.get("n_qubits").and_then(Value::as_u64).ok_or_else(missing)?;
        let map = metadata.get("coupling_map").filter(|m| m.is_array()).ok_or_else(missing)?;
        let plain = json!({"name": name, "n_qubits": qubits, "coupling_map": map});
        // A simulator follows its device's calibration; some targets have none.
        let device = name.split("-sim").next().unwrap_or(name);
        let path = format!("/devices/{}/calibration", escaped(device));
        let calibration = match self.get(&path, false) {
            Ok(calibration) => calibration,
            Err(CloudError::Refused { status: 404, .. }) => return Ok(plain),
            Err(e) => return Err(e),
        };
        Ok(chip_info(name, qubits, &calibration).unwrap_or(plain))
    }

    fn limits(&self, chip: &str) -> Result<Limits, CloudError> {
        let metadata = self.get(&format!("/backends/{}/metadata", escaped(chip)), false)?;
        let limit = |key: &str| {
            let value = metadata.get("limits").and_then(|l| l.get(key)).and_then(Value::as_u64);
            value.and_then(|v| u32::try_from(v).ok())
        };
        Ok(Limits {
            min_shots: limit("min_shots").unwrap_or(1),
            max_shots: limit("max_shots").unwrap_or(u32::MAX),
            step: limit("shots_step").unwrap_or(1),
            daily_tasks: None,
        })
    }
}

/// The portal's calibration in the form of a chip's information; unmeasured couplers are left out.
fn chip_info(name: &str, qubits: u64, calibration: &Value) -> Option<Value> {
    let mut couplers = serde_json::Map::new();
    for (i, coupler) in calibration.get("couplers")?.as_array()?.iter().enumerate() {
        let fidelity = coupler.get("cz_fidelity").and_then(Value::as_f64).unwrap_or(0.0);
        let pair = coupler.get("qubits")?;
        couplers.insert(format!("C{i}"), json!({"qubits_index": pair, "fidelity": fidelity}));
    }
    let measured = |index: u64| {
        let all = calibration.get("measured")?.get("qubits")?.as_array()?;
        all.iter().find(|q| q.get("index").and_then(Value::as_u64) == Some(index))
    };
    let row = |index: u64| {
        let all = calibration.get("qubits")?.as_array()?;
        all.iter().find(|q| q.get("index").and_then(Value::as_u64) == Some(index))
    };
    let number = |value: Option<&Value>, key: &str| value?.get(key)?.as_f64();
    let entry = |index: u64| {
        let (stated, census) = (row(index), measured(index));
        let info = json!({
            "index": index,
            "T1": number(stated, "t1_us"),
            "T2": number(stated, "t2_us"),
            "readout g_fidelity": number(census, "readout_fidelity_0"),
            "readout e_fidelity": number(census, "readout_fidelity_1"),
        });
        (format!("Q{index}"), info)
    };
    let qubits: serde_json::Map<String, Value> = (0..qubits).map(entry).collect();
    let date = calibration.get("calibrated_at");
    Some(json!({
        "name": name, "calibration_time": date, "qubits_info": qubits, "couplers_info": couplers,
    }))
}
