//! The portal's side of the protocol.

use super::cloud::{Chip, Group, State, Task, TaskStatus};
use super::request::{Reply, Request, Route, Wrong, ok, refused};
use crate::quafu::jobs::random_hex;
use qdllm_host::dates;
use serde_json::{Value, json};

pub fn reply(state: &mut State, ask: &Request, route: Route, wrong: Option<Wrong>) -> Reply {
    if ask.token.is_empty() && !matches!(route, Route::Backends | Route::Chip) {
        return refused(401, "unauthenticated", "no credentials");
    }
    let found = |body: Option<Value>| match body {
        Some(body) => ok(body),
        None => refused(404, "not_found", "not found"),
    };
    // The first two parts are `api/v1`.
    match &ask.parts()[2..] {
        ["healthz"] => ok(json!({"status": "ok"})),
        ["devices"] => ok(json!({
            "simulator":
                {"name": "sim", "status": "online", "max_qubits": 20, "limits": limits(false)},
            "devices": state.chips.iter().map(|c| device(state, c)).collect::<Value>(),
            "simulated_chips": [],
        })),
        ["auth", "me"] => ok(json!({"user": {"public_id": "u1", "name": "someone"}})),
        ["stats", "me"] => ok(json!({"tasks": state.tasks.len()})),
        ["backends", "sim", "metadata"] => ok(json!({
            "name": "sim", "n_qubits": 20, "basis_gates": [], "coupling_map": [],
            "limits": limits(false),
        })),
        ["backends", target, "metadata"] => {
            found(state.chip_of(target).map(|c| metadata(c, target)))
        }
        ["devices", name] => found(state.chip(name).map(|c| device(state, c))),
        ["devices", name, "calibration"] => found(state.chip(name).map(calibration)),
        ["calibrations", id] => {
            let name = id.strip_prefix("cal-");
            found(name.and_then(|name| state.chip(name)).map(calibration))
        }
        ["jobs"] => submit(state, ask, wrong),
        ["jobs", id, rest @ ..] => {
            let Some(group) = state.groups.iter().find(|g| g.id == *id).cloned() else {
                return found(None);
            };
            match rest {
                ["status"] => ok(status(state, &group)),
                ["cancel"] => {
                    for &i in &group.tasks {
                        state.tasks[i].cancel();
                    }
                    ok(status(state, &group))
                }
                ["tasks", seq] => {
                    let seq = seq.parse().ok().filter(|&s: &usize| s < group.tasks.len());
                    found(seq.map(|seq| task(state, &group, seq, wrong)))
                }
                _ => ok(results(state, &group, ask)),
            }
        }
        _ => found(None),
    }
}

/// Fewest, most and step of shots; on a chip, or on a simulator.
const fn shots(real: bool) -> [u64; 3] {
    if real { [1024, 8192, 1024] } else { [1, 100_000, 1] }
}

fn limits(real: bool) -> Value {
    let [fewest, most, step] = shots(real);
    json!({
        "max_qubits": if real { 156 } else { 20 },
        "qubit_count": "active",
        "min_shots": fewest,
        "max_shots": most,
        "shots_step": step,
        "max_tasks_per_job": 100,
    })
}

fn metadata(chip: &Chip, target: &str) -> Value {
    json!({
        "name": target,
        "n_qubits": chip.device.qubits,
        "basis_gates": ["h", "rx", "ry", "rz", "cz", "u"],
        "coupling_map": chip.device.couplers,
        "limits": limits(target == chip.device.name),
    })
}

fn calibration(chip: &Chip) -> Value {
    let device = &chip.device;
    let qubit = |q| json!({"index": q, "t1_us": null, "t2_us": null});
    let coupler =
        |&(a, b): &(u8, u8)| json!({"qubits": [a, b], "cz_fidelity": 1.0 - device.cz_error(a, b)});
    json!({
        "id": format!("cal-{}", chip.device.name),
        "chip": chip.device.name,
        "calibrated_at": device.calibrated,
        "source": "stand-in",
        "basis_gates": ["h", "rx", "ry", "rz", "cz"],
        "qubits": (0..device.qubits).map(qubit).collect::<Value>(),
        "couplers": device.couplers.iter().map(coupler).collect::<Value>(),
        "measured": null,
    })
}

fn device(state: &State, chip: &Chip) -> Value {
    json!({
        "name": chip.device.name,
        "status": chip.status.to_ascii_lowercase(),
        "n_qubits": chip.device.qubits,
        "queue": state.queue(),
        "simulator_available": true,
        "calibration_id": format!("cal-{}", chip.device.name),
        "limits": limits(true),
        "sim_limits": limits(false),
    })
}

fn submit(state: &mut State, ask: &Request, wrong: Option<Wrong>) -> Reply {
    let bad = |text: &str| refused(400, "bad_request", text);
    let Ok(body) = serde_json::from_slice::<Value>(&ask.body) else {
        return bad("the body is not JSON");
    };
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let client_ref = text("client_ref");
    // The same reference is the same job, however often it comes.
    let known = state.groups.iter().find(|g| g.client_ref == client_ref && !client_ref.is_empty());
    if let Some(group) = known {
        return ok(created(group));
    }
    if !matches!(text("mode"), "single" | "collection") {
        return bad("mode: this stand-in knows single and collection");
    }
    let target = text("target");
    let real = match state.chip_of(target) {
        Some(chip) if chip.device.name == target && !chip.online() => {
            let error = format!("{target} is {}", chip.status);
            return refused(409, "runtime.deviceUnavailable", &error);
        }
        Some(chip) => chip.device.name == target,
        None if target == "sim" => false,
        None => return refused(404, "unknown_device", "no such target"),
    };
    let circuits = body["circuits"].as_array().map_or(&[][..], Vec::as_slice);
    if circuits.is_empty() {
        return bad("circuits: at least one");
    }
    let [_, most, step] = shots(real);
    let mut tasks = Vec::new();
    for circuit in circuits {
        let shots = circuit.get("shots").unwrap_or(&body["shots"]).as_u64().unwrap_or(1024);
        if shots == 0 || shots > most || !shots.is_multiple_of(step) {
            return refused(422, "precheck.shotsOutOfRange", "shots outside the limits");
        }
        let Some(qasm) = circuit["qasm"].as_str() else {
            return bad("circuits: qasm is missing");
        };
        tasks.push(Task {
            name: circuit["name"].as_str().unwrap_or(text("name")).into(),
            chip: target.into(),
            circuit: qasm.into(),
            shots: shots as u32,
            compile: text("circuit_level") != "physical",
            doomed: wrong == Some(Wrong::Fail),
            ..Task::default()
        });
    }
    let tasks = tasks.into_iter().map(|task| state.add(task)).collect();
    let group = Group { id: format!("J{}", random_hex(16)), client_ref: client_ref.into(), tasks };
    let body = created(&group);
    state.groups.push(group);
    (201, body)
}

/// The answer that the first order got.
pub fn first(state: &State) -> Option<Value> {
    state.groups.first().map(created)
}

fn created(group: &Group) -> Value {
    let ids: Vec<String> = (0..group.tasks.len()).map(|i| format!("{}-{i}", group.id)).collect();
    json!({"job_id": group.id, "task_ids": ids, "status": "Queued", "n_tasks": ids.len()})
}

fn status(state: &State, group: &Group) -> Value {
    let count = |word| group.tasks.iter().filter(|&&i| state.tasks[i].status == word).count();
    let (queued, running) = (count(TaskStatus::Queued), count(TaskStatus::Running));
    let (finished, failed) = (count(TaskStatus::Finished), count(TaskStatus::Failed));
    let (cancelled, total) = (count(TaskStatus::Cancelled), group.tasks.len());
    let status = match (finished, failed, cancelled) {
        _ if running > 0 || (queued > 0 && queued < total) => "Running",
        _ if queued > 0 => "Queued",
        (done, 0, 0) if done == total => "Finished",
        (0, 0, _) => "Cancelled",
        (0, _, _) => "Failed",
        _ => "PartiallyFinished",
    };
    json!({
        "job_id": group.id, "status": status, "open": false,
        "counts": {"total": total, "queued": queued, "running": running, "finished": finished,
                   "failed": failed, "cancelled": cancelled},
    })
}

fn task(state: &State, group: &Group, seq: usize, wrong: Option<Wrong>) -> Value {
    let task = &state.tasks[group.tasks[seq]];
    let chip = state.chip_of(&task.chip);
    let id = if wrong == Some(Wrong::Other) { "another" } else { &group.id };
    let mut detail = json!({
        "task_id": format!("{}-{seq}", group.id),
        "status": task.status,
        "target": task.chip,
        "chip": chip.map(|c| &c.device.name),
        "kind": if chip.is_some_and(|c| c.device.name == task.chip) { "real" } else { "sim" },
        "name": task.name,
        "job": {"id": id, "seq": seq},
        "execution": {"shots_requested": task.shots, "compiler": {"name": "qdllm"}},
        "calibration": {"id": chip.map(|c| format!("cal-{}", c.device.name))},
        "submitted_at": dates::utc(task.times.0),
    });
    if let Some(ran) = &task.ran {
        let measurement =
            |&(q, c): &(u8, u8)| json!({"cbit": c, "physical_qubit": q, "virtual_qubit": null});
        detail["result"] = json!({
            "counts": task.counts(wrong), "bit_order": "c0_rightmost", "n_clbits": ran.bits,
            "shots_returned": task.shots,
        });
        detail["circuit"] = json!({
            "measurements": ran.measures.iter().map(measurement).collect::<Value>(),
            "executed": {"text": ran.executed},
        });
    }
    if task.status == TaskStatus::Failed {
        detail["error"] = json!({
            "category": "runtime.hardware", "stage": "hardware", "retryable": true,
            "detail": task.error, "vars": {},
        });
    }
    detail
}

fn results(state: &State, group: &Group, ask: &Request) -> Value {
    let offset = ask.number("offset", 0);
    let all = group.tasks.iter().map(|&i| &state.tasks[i]).enumerate();
    let page: Vec<_> = all.skip(offset).take(ask.number("limit", 200)).collect();
    let column =
        |of: fn(usize, &Task) -> Value| page.iter().map(|p| of(p.0, p.1)).collect::<Value>();
    json!({
        "total": group.tasks.len(),
        "offset": offset,
        "seq": column(|seq, _| json!(seq)),
        "status": column(|_, t| json!(t.status)),
        "counts": column(|_, t| json!(t.ran.as_ref().map(|r| &r.counts))),
        "bit_order": "c0_rightmost",
    })
}
