//! The portal's side of the protocol.

use super::chip_info::limits;
use super::cloud::{Cloud, Group, State, Task, TaskStatus};
use super::fault::{Route, Wrong};
use super::message::{Reply, Request};
use super::run::Run;
use crate::quafu::jobs::job::random_hex;
use qdllm_host::dates;
use serde_json::{Value, json};

/// What a request is for. The first two parts of the path are `api/v1`.
pub fn route(ask: &Request) -> Option<Route> {
    match (ask.post, ask.parts().get(2..)?) {
        (false, ["healthz"] | ["devices"]) => Some(Route::Backends),
        (false, ["auth", "me"] | ["stats", "me"]) => Some(Route::Verify),
        (false, ["devices", _] | ["devices", _, "calibration"] | ["calibrations", _])
        | (false, ["backends", _, "metadata"]) => Some(Route::Chip),
        (true, ["jobs"]) => Some(Route::Run),
        (false, ["jobs", _, "status"]) => Some(Route::Status),
        (false, ["jobs", _, "tasks", _] | ["jobs", _, "results"]) => Some(Route::Result),
        (true, ["jobs", _, "cancel"]) => Some(Route::Cancel),
        _ => None,
    }
}

pub fn reply(cloud: &Cloud, ask: &Request, route: Route, wrong: Option<Wrong>) -> Reply {
    if ask.token.is_empty() && route.private() {
        return Reply::error(401, "unauthenticated", "no credentials");
    }
    let parts = ask.parts();
    let path = parts.get(2..).unwrap_or_default();
    let mut state = cloud.state();
    let missing = || Reply::error(404, "not_found", "not found");
    match path {
        ["healthz"] => Reply::ok(json!({"status": "ok"})),
        ["devices"] => Reply::ok(devices(&state)),
        ["auth", "me"] => Reply::ok(json!({"user": {"public_id": "u1", "name": "someone"}})),
        ["stats", "me"] => Reply::ok(json!({"tasks": state.tasks.len()})),
        ["backends", target, "metadata"] => match (state.chip_of(target), *target) {
            (Some(chip), _) => Reply::ok(chip.metadata(target)),
            (None, "sim") => Reply::ok(json!({
                "name": "sim", "n_qubits": 20, "basis_gates": [], "coupling_map": [],
                "limits": limits(false),
            })),
            _ => missing(),
        },
        ["devices", name] => match state.chips.iter().find(|c| c.name == *name) {
            Some(chip) => Reply::ok(device(&state, chip)),
            None => missing(),
        },
        ["devices", name, "calibration"] => {
            let chip = state.chips.iter().find(|c| c.name == *name);
            chip.map_or_else(missing, |c| Reply::ok(c.calibration()))
        }
        ["calibrations", id] => {
            let chip = state.chips.iter().find(|c| format!("cal-{}", c.name) == *id);
            chip.map_or_else(missing, |c| Reply::ok(c.calibration()))
        }
        ["jobs"] => {
            let reply = submit(&mut state, ask, wrong);
            drop(state);
            cloud.wake();
            reply
        }
        ["jobs", id, rest @ ..] => {
            let Some(group) = state.groups.iter().find(|g| g.id == *id).cloned() else {
                return missing();
            };
            match rest {
                ["status"] => Reply::ok(status(&state, &group)),
                ["cancel"] => {
                    for &i in &group.tasks {
                        state.tasks[i].cancel();
                    }
                    Reply::ok(status(&state, &group))
                }
                ["tasks", seq] => {
                    let index = seq.parse().ok().and_then(|s: usize| group.tasks.get(s));
                    index.map_or_else(missing, |&i| Reply::ok(task(&state, &group, i, wrong)))
                }
                _ => Reply::ok(results(&state, &group, ask)),
            }
        }
        _ => missing(),
    }
}

fn device(state: &State, chip: &super::chip_info::Chip) -> Value {
    json!({
        "name": chip.name,
        "status": chip.status.to_ascii_lowercase(),
        "n_qubits": chip.device.qubits,
        "queue": state.queue(),
        "simulator_available": true,
        "calibration_id": format!("cal-{}", chip.name),
        "limits": limits(true),
        "sim_limits": limits(false),
    })
}

fn devices(state: &State) -> Value {
    json!({
        "simulator":
            {"name": "sim", "status": "online", "max_qubits": 20, "limits": limits(false)},
        "devices": state.chips.iter().map(|c| device(state, c)).collect::<Vec<_>>(),
        "simulated_chips": [],
    })
}

fn submit(state: &mut State, ask: &Request, wrong: Option<Wrong>) -> Reply {
    let bad = |text: &str| Reply::error(400, "bad_request", text);
    let Ok(body) = serde_json::from_slice::<Value>(&ask.body) else {
        return bad("the body is not JSON");
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let client_ref = text("client_ref");
    // The same reference is the same job, however often it comes.
    if let Some(group) =
        state.groups.iter().find(|g| g.client_ref == client_ref && !client_ref.is_empty())
    {
        return Reply::ok(created(group));
    }
    if !matches!(text("mode"), "single" | "collection") {
        return bad("mode: this stand-in knows single and collection");
    }
    let target = text("target");
    let real = match state.chip_of(target) {
        Some(chip) if chip.name == target && !chip.online() => {
            let error = format!("{target} is {}", chip.status);
            return Reply::error(409, "runtime.deviceUnavailable", &error);
        }
        Some(chip) => chip.name == target,
        None if target == "sim" => false,
        None => return Reply::error(404, "unknown_device", "no such target"),
    };
    let circuits = body.get("circuits").and_then(Value::as_array).cloned().unwrap_or_default();
    if circuits.is_empty() {
        return bad("circuits: at least one");
    }
    let (step, most) = if real { (1024, 8192) } else { (1, 100_000) };
    let mut runs = Vec::new();
    for circuit in &circuits {
        let shots = circuit.get("shots").or_else(|| body.get("shots")).and_then(Value::as_u64);
        let shots = shots.unwrap_or(1024);
        if shots == 0 || shots > most || !shots.is_multiple_of(step) {
            return Reply::error(422, "precheck.shotsOutOfRange", "shots outside the limits");
        }
        let Some(qasm) = circuit.get("qasm").and_then(Value::as_str) else {
            return bad("circuits: qasm is missing");
        };
        let name = circuit.get("name").and_then(Value::as_str).unwrap_or(text("name"));
        let run = Run {
            circuit: qasm.into(),
            shots: shots as u32,
            compile: text("circuit_level") != "physical",
            target_qubits: Vec::new(),
            occurrence: 0,
        };
        runs.push((name.to_string(), run));
    }
    let doomed = wrong == Some(Wrong::Fail);
    let tasks = runs.into_iter().map(|(name, run)| state.add(&name, target, run, doomed)).collect();
    let group = Group { id: format!("J{}", random_hex(16)), client_ref: client_ref.into(), tasks };
    let reply = Reply { status: 201, body: created(&group) };
    state.groups.push(group);
    reply
}

fn created(group: &Group) -> Value {
    let ids: Vec<String> = (0..group.tasks.len()).map(|i| format!("{}-{i}", group.id)).collect();
    json!({"job_id": group.id, "task_ids": ids, "status": "Queued", "n_tasks": ids.len()})
}

fn word(word: TaskStatus) -> &'static str {
    match word {
        TaskStatus::Queued => "Queued",
        TaskStatus::Running => "Running",
        TaskStatus::Finished => "Finished",
        TaskStatus::Failed => "Failed",
        TaskStatus::Cancelled => "Cancelled",
    }
}

fn status(state: &State, group: &Group) -> Value {
    let count = |word| group.tasks.iter().filter(|&&i| state.tasks[i].status == word).count();
    let [queued, running, finished, failed, cancelled] = [
        TaskStatus::Queued,
        TaskStatus::Running,
        TaskStatus::Finished,
        TaskStatus::Failed,
        TaskStatus::Cancelled,
    ]
    .map(count);
    let total = group.tasks.len();
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

fn task(state: &State, group: &Group, index: usize, wrong: Option<Wrong>) -> Value {
    let task: &Task = &state.tasks[index];
    let seq = group.tasks.iter().position(|&i| i == index);
    let chip = state.chip_of(&task.chip);
    let id = if wrong == Some(Wrong::Other) { "another" } else { &group.id };
    let mut detail = json!({
        "task_id": format!("{}-{}", group.id, seq.unwrap_or(0)),
        "status": word(task.status),
        "target": task.chip,
        "chip": chip.map(|c| &c.name),
        "kind": if chip.is_some_and(|c| c.name == task.chip) { "real" } else { "sim" },
        "name": task.name,
        "job": {"id": id, "seq": seq},
        "execution": {"shots_requested": task.run.shots, "compiler": {"name": "qdllm"}},
        "calibration": {"id": chip.map(|c| format!("cal-{}", c.name))},
        "submitted_at": dates::utc(task.times.0),
    });
    if let Some(ran) = &task.ran {
        let mut counts = ran.counts.clone();
        if wrong == Some(Wrong::Long) {
            counts = counts.into_iter().map(|(k, n)| (format!("0{k}"), n)).collect();
        }
        let measurement =
            |&(q, c): &(u8, u8)| json!({"cbit": c, "physical_qubit": q, "virtual_qubit": null});
        let measurements: Vec<Value> = ran.measures.iter().map(measurement).collect();
        detail["result"] = json!({
            "counts": counts, "bit_order": "c0_rightmost", "n_clbits": ran.bits,
            "shots_returned": task.run.shots,
        });
        detail["circuit"] =
            json!({"measurements": measurements, "executed": {"text": ran.executed}});
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
    let number = |key: &str, otherwise: usize| ask.get(key).parse().unwrap_or(otherwise);
    let offset = number("offset", 0);
    let page: Vec<(usize, &Task)> = group
        .tasks
        .iter()
        .map(|&i| &state.tasks[i])
        .enumerate()
        .skip(offset)
        .take(number("limit", 200))
        .collect();
    let counts = |t: &Task| t.ran.as_ref().map(|r| r.counts.clone());
    json!({
        "total": group.tasks.len(),
        "offset": offset,
        "seq": page.iter().map(|p| p.0).collect::<Vec<_>>(),
        "status": page.iter().map(|p| word(p.1.status)).collect::<Vec<_>>(),
        "counts": page.iter().map(|p| counts(p.1)).collect::<Vec<_>>(),
        "bit_order": "c0_rightmost",
    })
}
