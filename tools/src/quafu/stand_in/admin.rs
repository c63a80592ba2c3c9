//! What no cloud has: faults are scripted here, and what was received is told.

use super::cloud::Cloud;
use super::fault::Fault;
use super::message::{Reply, Request};
use serde_json::{Value, json};

/// `POST /admin/faults` (a JSON list of texts), `POST /admin/chips/NAME?status=WORD`,
/// `GET /admin/tasks`, `GET /admin/received`.
pub fn reply(cloud: &Cloud, ask: &Request) -> Reply {
    let bad = |text: &str| Reply::error(400, "bad_request", text);
    let mut state = cloud.state();
    match (ask.post, ask.parts().as_slice()) {
        (true, ["admin", "faults"]) => {
            let Ok(texts) = serde_json::from_slice::<Vec<String>>(&ask.body) else {
                return bad("the body is no list of texts");
            };
            match texts.iter().map(|t| t.parse()).collect::<Result<Vec<Fault>, _>>() {
                Ok(faults) => state.faults = faults,
                Err(e) => return bad(&e.to_string()),
            }
            Reply::ok(state.faults.len())
        }
        (true, ["admin", "chips", name]) => {
            match state.chips.iter_mut().find(|c| c.name == *name) {
                Some(chip) => chip.status = ask.get("status").into(),
                None => return bad("no such chip"),
            }
            Reply::ok(1)
        }
        (false, ["admin", "tasks"]) => {
            let tasks = state.tasks.iter().filter(|t| !t.foreign).map(|t| {
                let counts = t.ran.as_ref().map(|r| &r.counts);
                json!({"id": t.id, "name": t.name, "chip": t.chip, "status": format!("{:?}", t.status),
                       "error": t.error, "shots": t.run.shots, "counts": counts})
            });
            Reply::ok(Value::Array(tasks.collect()))
        }
        (false, ["admin", "received"]) => Reply::ok(json!(state.received)),
        _ => Reply::error(404, "not_found", "there is nothing at this path"),
    }
}
