//! Quafu-SQC's side of the protocol.

use super::cloud::{Cloud, State, Task, TaskStatus};
use super::fault::{Route, Wrong};
use super::message::{Reply, Request};
use super::run::Run;
use qdllm_host::dates;
use serde_json::{Value, json};

const STEP: u32 = 1024;

pub fn route(ask: &Request) -> Option<Route> {
    match (ask.post, ask.parts().as_slice()) {
        (false, ["task", "verify"]) => Some(Route::Verify),
        (false, ["task", "status", "0"]) => Some(Route::Backends),
        (false, ["task", "status", _]) => Some(Route::Status),
        (true, ["task", "run"]) => Some(Route::Run),
        (false, ["task", "result", _]) => Some(Route::Result),
        (false, ["task", "cancel" | "delete", _]) => Some(Route::Cancel),
        (false, ["task", "query"]) => Some(Route::List),
        (false, ["task", "backendtest" | "backend", _]) => Some(Route::Chip),
        _ => None,
    }
}

pub fn reply(cloud: &Cloud, ask: &Request, route: Route, wrong: Option<Wrong>) -> Reply {
    // The chip's information is asked for without a token.
    if ask.token.is_empty() && route != Route::Chip {
        return Reply { status: 422, body: json!({"detail": "token: field required"}) };
    }
    let parts = ask.parts();
    let last = parts.last().copied().unwrap_or_default();
    let mut state = cloud.state();
    let task = |state: &State| state.task(last.parse().ok()?).cloned();
    match route {
        Route::Verify => Reply::ok(1),
        Route::Backends => {
            let queue = state.queue();
            let row = |c: &super::chip_info::Chip| {
                let shown = if c.online() { json!(queue) } else { json!(c.status) };
                (c.name.clone(), shown)
            };
            Reply::ok(Value::Object(state.chips.iter().map(row).collect()))
        }
        Route::Run => {
            let reply = run(&mut state, ask, wrong);
            drop(state);
            cloud.wake();
            reply
        }
        Route::Status => match task(&state) {
            Some(task) => Reply::ok(word(task.status)),
            None => Reply::ok("task not found"),
        },
        Route::Result => Reply::ok(task(&state).map_or(json!({}), |t| result(&t, wrong))),
        Route::Cancel => {
            let id: u64 = last.parse().unwrap_or(0);
            let found = state.tasks.iter_mut().find(|t| t.id == id && !t.foreign);
            Reply::ok(if found.is_some_and(Task::cancel) { "Canceled" } else { "not cancelled" })
        }
        Route::List if wrong == Some(Wrong::Stale) => Reply::ok(json!([])),
        Route::List => Reply::ok(list(&state, ask)),
        Route::Chip => {
            // `backendtest` has the digit 1 after the name.
            let new = parts.get(1) == Some(&"backendtest");
            let name = if new { last.strip_suffix('1').unwrap_or_default() } else { last };
            let chip = state.chips.iter().find(|c| c.name == name);
            chip.map_or(Reply::error(404, "not_found", "no such chip"), |c| Reply::ok(c.info()))
        }
    }
}

fn word(word: TaskStatus) -> &'static str {
    match word {
        TaskStatus::Queued => "InQueue",
        TaskStatus::Running => "Running",
        TaskStatus::Finished => "Finished",
        TaskStatus::Failed => "Failed",
        TaskStatus::Cancelled => "Canceled",
    }
}

/// A refusal comes with HTTP 200, as a text where the task's number would be.
fn run(state: &mut State, ask: &Request, wrong: Option<Wrong>) -> Reply {
    let body: Value = match serde_json::from_slice(&ask.body) {
        Ok(body) => body,
        Err(_) => return Reply { status: 422, body: json!({"detail": "the body is not JSON"}) },
    };
    let no = |text: String| Reply::ok(text);
    let name = ask.get("chip");
    let Some(chip) = state.chips.iter().find(|c| c.name == name) else {
        return no(format!("no chip `{name}`"));
    };
    if !chip.online() {
        return no(format!("{name} is {}", chip.status));
    }
    let shots = ask.get("shots").parse::<u32>().unwrap_or(0);
    if shots == 0 || !shots.is_multiple_of(STEP) {
        return no(format!("shots must be a multiple of {STEP}"));
    }
    let Some(circuit) = body.get("circuit").and_then(Value::as_str) else {
        return Reply { status: 422, body: json!({"detail": "circuit: field required"}) };
    };
    let options = body.get("options").unwrap_or(&Value::Null);
    let targets = options.get("target_qubits").and_then(Value::as_array);
    let run = Run {
        circuit: circuit.into(),
        shots,
        compile: body.get("compile").and_then(Value::as_bool).unwrap_or(true),
        target_qubits: targets
            .map(|all| all.iter().filter_map(|q| u8::try_from(q.as_u64()?).ok()).collect())
            .unwrap_or_default(),
        occurrence: 0,
    };
    let name = (name.to_string(), ask.get("name").to_string());
    let index = state.add(&name.1, &name.0, run, wrong == Some(Wrong::Fail));
    Reply::ok(state.tasks[index].id)
}

fn result(task: &Task, wrong: Option<Wrong>) -> Value {
    if matches!(task.status, TaskStatus::Queued | TaskStatus::Running) {
        return json!({});
    }
    let ran = task.ran.as_ref();
    let mut count = ran.map(|r| r.counts.clone()).unwrap_or_default();
    if wrong == Some(Wrong::Long) {
        count = count.into_iter().map(|(k, n)| (format!("0{k}"), n)).collect();
    }
    let mut circuit = task.run.circuit.clone();
    if wrong == Some(Wrong::Other) {
        circuit =
            circuit.replacen("cz ", "h q[0];\ncz ", 1).replacen("measure", "x q[0];\nmeasure", 1);
    }
    json!({
        "count": count,
        "corrected": {},
        "chip": task.chip,
        "shots": task.run.shots,
        "circuit": circuit,
        "transpiled": ran.map(|r| r.executed.clone()).unwrap_or_default(),
        "qlisp": "",
        "tid": task.id,
        "error": task.error,
        "status": word(task.status),
        "created": format!("{}.000000", dates::beijing(task.times.0)),
        "finished": task.times.1.map(|s| format!("{}.000000", dates::beijing(s))),
    })
}

/// The account's tasks. Its real form is not published; this one is an array of objects.
fn list(state: &State, ask: &Request) -> Value {
    let number = |key: &str, otherwise: usize| ask.get(key).parse().unwrap_or(otherwise);
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
    let page = rows.into_iter().skip(number("offset", 0)).take(number("limit", 10));
    let row = |t: &Task| {
        json!({
            "taskId": t.id,
            "taskName": t.name,
            "chipName": t.chip,
            "status": word(t.status),
            "submitTime": dates::beijing(t.times.0),
        })
    };
    Value::Array(page.map(row).collect())
}
