//! Quafu-SQC: tasks by name, header `token`. It does not recognise a repeated submission, so a lost
//! answer is resolved by looking for the task's name in the account's list.

use super::http::{Http, Request, counts_of, escaped, get, id_of};
use super::{
    Backend, CloudError, Delivery, Fetched, Limits, Order, Outcome, Platform, Progress, SubmitError,
};
use qdllm_host::dates;
use serde_json::{Map, Value, json};

/// Every status word that clients of the platform have seen; the list is asked for all of them.
const WORDS: &str =
    "Submitted,Pending,InQueue,Queued,Compiling,Running,Finished,Failed,Canceled,Cancelled";
const PAGE: usize = 100;
/// Pages that are looked through at most: ten days' quota of tasks.
const PAGES: usize = 100;
/// Digits of a task's id: date, time, and a number.
const DIGITS: usize = 19;
const STEP: u32 = 1024;
/// No upper bound is published; the larger of the two that other clients hold to.
const MOST_SHOTS: u32 = 102_400;
/// Tasks a user and day; the platform keeps further ones waiting.
const DAILY: u32 = 1000;
/// What is in the texts with which it turns an order away: a chip that is not there or takes none, wrong shots.
const REFUSALS: [&str; 5] =
    ["no chip `", "shots must be", " is Offline", " is Maintenance", " is Calibrating"];
/// How far the clocks here and there may differ.
const CLOCKS_S: u64 = 600;

pub struct Sqc(pub Http);

impl Platform for Sqc {
    fn submit(&self, order: &Order<'_>) -> Result<String, SubmitError> {
        let path = format!(
            "/task/run/?name={}&chip={}&shots={}",
            escaped(order.name),
            escaped(order.chip),
            order.shots
        );
        let compiler = (!order.physical).then_some("quarkcircuit");
        let text = json!({
            "circuit": order.qasm,
            "compile": !order.physical,
            "options":
                {"compiler": compiler, "correct": false, "open_dd": null, "target_qubits": []},
        })
        .to_string();
        let answer = self.0.submit(&Request { post: true, body: Some(&text), ..get(&path) })?;
        // A bare whole number is the task's id, if it is whole: the beginning of one is a number, too.
        if let Some(id) = task_of(&answer).filter(|id| id.len() == DIGITS) {
            return Ok(id);
        }
        // A text says why not, if it is one that is known.
        let known = |text: &&str| REFUSALS.iter().any(|part| text.contains(part));
        let Some(text) = answer.as_str().filter(known) else { return Err(self.0.no_task(&answer)) };
        let (what, text) = ("POST /task/run/".into(), self.0.short(text));
        let why = CloudError::Refused { what, status: 200, text };
        Err(SubmitError { delivery: Delivery::Refused, why, wait: None })
    }

    fn recover(&self, order: &Order<'_>, since_s: u64) -> Result<Option<String>, CloudError> {
        let date = |seconds| dates::beijing(seconds).replace([' ', ':'], "-");
        let (start, end) =
            (date(since_s.saturating_sub(CLOCKS_S)), date(dates::now_s() + CLOCKS_S));
        for page in 0..PAGES {
            let list = self.0.call(&get(&format!(
                "/task/query/?tid=2&chips={}&status={WORDS}&start={start}&end={end}&offset={}\
                 &limit={PAGE}&sort=submitTime&order=desc",
                escaped(order.chip),
                page * PAGE
            )))?;
            let rows = rows(&list).ok_or_else(|| self.0.not_understood(&list))?;
            for row in rows {
                let field = |names: [&str; 3]| names.iter().find_map(|n| row.get(*n));
                // A row of another form may be the very task that is looked for.
                let Some(name) = field(["taskName", "name", "task_name"]) else {
                    return Err(self.0.not_understood(row));
                };
                if name.as_str() == Some(order.name) {
                    let id = field(["taskId", "tid", "task_id"]).and_then(task_of);
                    return id.map(Some).ok_or_else(|| self.0.not_understood(row));
                }
            }
            if rows.len() < PAGE {
                return Ok(None);
            }
        }
        Err(CloudError::Protocol(format!("the list of tasks does not end after {PAGES} pages")))
    }

    fn status(&self, task: &str) -> Result<Progress, CloudError> {
        let answer = self.0.call(&get(&format!("/task/status/{}", escaped(task))))?;
        self.0.progress(&answer, answer.as_str().or_else(|| answer["status"].as_str()))
    }

    fn result(&self, task: &str) -> Result<Fetched, CloudError> {
        let answer = self.0.call(&get(&format!("/task/result/{}", escaped(task))))?;
        let text = |key: &str| answer[key].as_str().map(String::from);
        let failed = || Fetched::Failed(self.0.short(&text("error").unwrap_or_default()));
        let status = answer["status"].as_str();
        match status {
            Some("Failed") => return Ok(failed()),
            Some("Canceled" | "Cancelled") => return Ok(Fetched::Cancelled),
            _ => {}
        }
        let counts = &answer["count"];
        if counts.as_object().is_none_or(Map::is_empty) {
            // Nothing yet, or it ended without a result; only the status tells.
            let empty = answer.is_null() || answer.as_object().is_some_and(Map::is_empty);
            if !empty && status.is_none() {
                return Err(self.0.not_understood(&answer));
            }
            return Ok(match self.status(task)? {
                // Finished, but without a result yet.
                Progress::Waiting(_) | Progress::Finished => Fetched::Waiting,
                Progress::Failed => failed(),
                Progress::Cancelled => Fetched::Cancelled,
            });
        }
        let kept = ["corrected", "transpiled", "created", "finished"];
        let details = kept.iter().filter_map(|k| Some(((*k).to_string(), answer.get(*k)?.clone())));
        Ok(Fetched::Done(Outcome {
            task: task_of(&answer["tid"]),
            chip: text("chip"),
            circuit: text("circuit"),
            counts: counts_of(counts)?,
            shots: answer["shots"].as_u64(),
            details: Value::Object(details.collect()),
        }))
    }

    fn cancel(&self, task: &str) -> Result<(), CloudError> {
        // What it answers is not specified; the status tells what came of it.
        self.0.call(&get(&format!("/task/cancel/{}", escaped(task)))).map(drop)
    }

    fn backends(&self) -> Result<Vec<Backend>, CloudError> {
        let answer = self.0.call(&get("/task/status/0"))?;
        let chips = answer.as_object().ok_or_else(|| self.0.not_understood(&answer))?;
        let backend = |(name, state): (&String, &Value)| {
            let (name, queue) = (name.clone(), state.as_u64());
            let status = match queue {
                Some(_) => "Online".into(),
                None => self.0.short(state.as_str().unwrap_or("unknown")),
            };
            Backend { name, online: queue.is_some(), status, queue, qubits: None }
        };
        Ok(chips.iter().map(backend).collect())
    }

    fn chip(&self, name: &str) -> Result<Value, CloudError> {
        // The digit 1 after the name belongs to the path; no token is sent, as by the official client.
        let path = format!("/task/backendtest/{}1", escaped(name));
        let mut info = self.0.call(&Request { authorised: false, ..get(&path) })?;
        if info.get("couplers_info").is_none() {
            return Err(self.0.not_understood(&info));
        }
        if info.get("name").is_none() {
            info["name"] = name.into();
        }
        Ok(info)
    }

    fn limits(&self, _chip: &str) -> Result<Limits, CloudError> {
        Ok(Limits { min_shots: STEP, max_shots: MOST_SHOTS, step: STEP })
    }

    fn daily_tasks(&self) -> Option<u32> {
        Some(DAILY)
    }
}

/// The list's rows. Its form is not published: an array, or an object that holds one.
fn rows(list: &Value) -> Option<&Vec<Value>> {
    let inside =
        || ["items", "data", "tasks", "rows"].iter().find_map(|k| list.get(*k)?.as_array());
    list.as_array().or_else(inside)
}

/// A task's id, as a number or a text.
fn task_of(value: &Value) -> Option<String> {
    id_of(value).filter(|id| id.bytes().all(|b| b.is_ascii_digit()))
}
