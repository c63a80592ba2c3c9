//! Quafu-SQC's side of the protocol.

use super::cloud::{Chip, State, Task, TaskStatus};
use super::request::{Reply, Request, Route, Wrong, ok, refused};
use qdllm_host::dates;
use serde_json::{Map, Value, json};

const STEP: u32 = 1024;

pub fn reply(state: &mut State, ask: &Request, route: Route, wrong: Option<Wrong>) -> Reply {
    // The chip's information is asked for without a token.
    if ask.token.is_empty() && route != Route::Chip {
        return (422, json!({"detail": "token: field required"}));
    }
    let parts = ask.parts();
    let last = parts.last().copied().unwrap_or_default();
    let id = last.parse().unwrap_or(0);
    let task = state.tasks.iter_mut().find(|t| t.id == id && !t.foreign);
    match route {
        Route::Verify => ok(1),
        Route::Status => ok(task.map_or("task not found", |t| word(t.status))),
        Route::Result => ok(task.map_or(json!({}), |t| result(t, wrong))),
        Route::Cancel => {
            ok(if task.is_some_and(Task::cancel) { "Canceled" } else { "not cancelled" })
        }
        Route::Backends => {
            let queue = state.queue();
            let row = |c: &Chip| {
                let shown = if c.online() { json!(queue) } else { json!(c.status) };
                (c.device.name.clone(), shown)
            };
            ok(state.chips.iter().map(row).collect::<Map<_, _>>())
        }
        Route::Run => run(state, ask, wrong),
        Route::List if wrong == Some(Wrong::Stale) => ok(json!([])),
        Route::List => ok(list(state, ask)),
        Route::Chip => {
            // `backendtest` has the digit 1 after the name.
            let new = parts.get(1) == Some(&"backendtest");
            let name = if new { last.strip_suffix('1').unwrap_or_default() } else { last };
            state.chip(name).map_or(refused(404, "not_found", "no such chip"), |c| ok(info(c)))
        }
    }
}

fn word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Queued => "InQueue",
        TaskStatus::Running => "Running",
        TaskStatus::Finished => "Finished",
        TaskStatus::Failed => "Failed",
        TaskStatus::Cancelled => "Canceled",
    }
}

/// A chip's couplings and calibration.
fn info(chip: &Chip) -> Value {
    if let Some(info) = &chip.info {
        return info.clone();
    }
    let device = &chip.device;
    let qubit = |q: usize| {
        let fidelity = 1.0 - device.one_error(q as u8);
        let info = json!({"index": q, "fidelity": fidelity, "coordinate": [q % 13, q / 13]});
        (format!("Q{q}"), info)
    };
    let coupler = |(i, &(a, b)): (usize, &(u8, u8))| {
        let fidelity = 1.0 - device.cz_error(a, b);
        (format!("C{i}"), json!({"index": i, "qubits_index": [a, b], "fidelity": fidelity}))
    };
    json!({
        "size": device.qubits,
        "priority_qubits": [],
        "calibration_time": device.calibrated.as_deref().unwrap_or("never"),
        "basis_gates": ["h", "rx", "ry", "rz", "cz"],
        "global_info": {"two_qubit_gate_basis": "CZ", "nqubits_available": device.qubits},
        "qubits_info": (0..device.qubits).map(qubit).collect::<Map<_, _>>(),
        "couplers_info": device.couplers.iter().enumerate().map(coupler).collect::<Map<_, _>>(),
    })
}

/// A refusal comes with HTTP 200, as a text where the task's number would be.
fn run(state: &mut State, ask: &Request, wrong: Option<Wrong>) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(&ask.body) else {
        return (422, json!({"detail": "the body is not JSON"}));
    };
    let name = ask.get("chip");
    let Some(chip) = state.chip(name) else { return ok(format!("no chip `{name}`")) };
    if !chip.online() {
        return ok(format!("{name} is {}", chip.status));
    }
    let shots = ask.get("shots").parse::<u32>().unwrap_or(0);
    if shots == 0 || !shots.is_multiple_of(STEP) {
        return ok(format!("shots must be a multiple of {STEP}"));
    }
    let Some(circuit) = body["circuit"].as_str() else {
        return (422, json!({"detail": "circuit: field required"}));
    };
    let targets = body["options"]["target_qubits"].as_array().into_iter().flatten();
    let index = state.add(Task {
        name: ask.get("name").into(),
        chip: name.into(),
        circuit: circuit.into(),
        shots,
        compile: body["compile"].as_bool().unwrap_or(true),
        target_qubits: targets.filter_map(|q| u8::try_from(q.as_u64()?).ok()).collect(),
        doomed: wrong == Some(Wrong::Fail),
        ..Task::default()
    });
    ok(state.tasks[index].id)
}

fn result(task: &Task, wrong: Option<Wrong>) -> Value {
    if task.waits() {
        return json!({});
    }
    let mut circuit = task.circuit.clone();
    if wrong == Some(Wrong::Other) {
        circuit =
            circuit.replacen("cz ", "h q[0];\ncz ", 1).replacen("measure", "x q[0];\nmeasure", 1);
    }
    let date = |seconds| format!("{}.000000", dates::beijing(seconds));
    json!({
        "count": task.counts(wrong),
        "corrected": {},
        "chip": task.chip,
        "shots": task.shots,
        "circuit": circuit,
        "transpiled": task.ran.as_ref().map_or("", |r| &r.executed),
        "qlisp": "",
        "tid": task.id,
        "error": task.error,
        "status": word(task.status),
        "created": date(task.times.0),
        "finished": task.times.1.map(date),
    })
}

/// The account's tasks. Its real form is not published; this one is an array of objects.
fn list(state: &State, ask: &Request) -> Value {
    let among = |key: &str, value: &str| {
        let wanted = ask.get(key);
        wanted.is_empty() || wanted.split(',').any(|w| w == value)
    };
    let bound = |key: &str| Some(ask.get(key)).filter(|t| !t.is_empty());
    let mut rows: Vec<&Task> = state
        .tasks
        .iter()
        .filter(|t| !t.foreign && among("chips", &t.chip) && among("status", word(t.status)))
        .filter(|t| {
            let at = dates::beijing(t.times.0).replace([' ', ':'], "-");
            bound("start").is_none_or(|s| at.as_str() >= s)
                && bound("end").is_none_or(|e| at.as_str() <= e)
        })
        .collect();
    match ask.get("sort") {
        "taskName" => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        "chipName" => rows.sort_by(|a, b| a.chip.cmp(&b.chip)),
        "status" => rows.sort_by_key(|t| word(t.status)),
        _ => rows.sort_by_key(|t| t.id),
    }
    if ask.get("order") != "asc" {
        rows.reverse();
    }
    let page = rows.into_iter().skip(ask.number("offset", 0)).take(ask.number("limit", 10));
    let row = |t: &Task| {
        json!({
            "taskId": t.id,
            "taskName": t.name,
            "chipName": t.chip,
            "status": word(t.status),
            "submitTime": dates::beijing(t.times.0),
        })
    };
    page.map(row).collect()
}
