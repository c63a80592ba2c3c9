//! Quafu-SQC: tasks by name, header `token`. It does not recognise a repeated submission, so a lost
//! answer is resolved by looking for the task's name in the account's list.

use super::error::{CloudError, SubmitError};
use super::http::{Http, Request, escaped, get};
use super::kind::Limits;
use super::platform::{Backend, Fetched, Order, Outcome, Platform, Progress, Recovery, counts_of};
use qdllm_host::dates;
use serde_json::{Value, json};

/// Every status word that clients of the platform have seen; the list is asked for all of them.
const WORDS: &str =
    "Submitted,Pending,InQueue,Queued,Compiling,Running,Finished,Failed,Canceled,Cancelled";
const PAGE: usize = 100;
/// Pages that are looked through at most: ten days' quota of tasks.
const PAGES: usize = 100;
const STEP: u32 = 1024;
/// No upper bound is published; the larger of the two that other clients hold to.
const MOST_SHOTS: u32 = 102_400;
/// Tasks a user and day; the platform keeps further ones waiting.
const DAILY: u32 = 1000;
/// How far the clocks here and there may differ.
const CLOCKS_S: u64 = 600;

pub struct Sqc {
    http: Http,
}

impl Sqc {
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    fn get(&self, path: &str) -> Result<Value, CloudError> {
        self.http.call(&get(path))
    }

    fn not_understood(&self, value: &Value) -> CloudError {
        CloudError::Protocol(self.http.short(&value.to_string()))
    }
}

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
        let call = Request {
            post: true,
            path: &path,
            body: Some(&text),
            declared: false,
            authorised: true,
        };
        let answer = self.http.submit(&call)?;
        // A bare whole number is the task's id; whatever else comes with HTTP 200 says why not.
        if let Some(id) = answer.as_u64() {
            return Ok(id.to_string());
        }
        Err(SubmitError::Refused(CloudError::Refused {
            what: "POST /task/run/".into(),
            status: 200,
            text: self.http.short(answer.as_str().unwrap_or(&answer.to_string())),
        }))
    }

    fn recover(&self, order: &Order<'_>, since_s: u64) -> Result<Recovery, CloudError> {
        let date = |seconds| dates::beijing(seconds).replace([' ', ':'], "-");
        let (start, end) =
            (date(since_s.saturating_sub(CLOCKS_S)), date(dates::now_s() + CLOCKS_S));
        for page in 0..PAGES {
            let list = self.get(&format!(
                "/task/query/?tid=2&chips={}&status={WORDS}&start={start}&end={end}&offset={}\
                 &limit={PAGE}&sort=submitTime&order=desc",
                escaped(order.chip),
                page * PAGE
            ))?;
            let rows = rows(&list).ok_or_else(|| self.not_understood(&list))?;
            for row in rows {
                let field = |names: [&str; 3]| names.iter().find_map(|n| row.get(*n));
                // A row of another form may be the very task that is looked for.
                let Some(name) = field(["taskName", "name", "task_name"]) else {
                    return Err(self.not_understood(row));
                };
                if name.as_str() == Some(order.name) {
                    let id = field(["taskId", "tid", "task_id"]).and_then(id_of);
                    return id.map(Recovery::Found).ok_or_else(|| self.not_understood(row));
                }
            }
            if rows.len() < PAGE {
                return Ok(Recovery::Absent);
            }
        }
        Err(CloudError::Protocol(format!("the list of tasks does not end after {PAGES} pages")))
    }

    fn status(&self, task: &str) -> Result<Progress, CloudError> {
        let answer = self.get(&format!("/task/status/{}", escaped(task)))?;
        let word = answer.as_str().or_else(|| answer.get("status")?.as_str());
        let word = word.ok_or_else(|| self.not_understood(&answer))?;
        Ok(match word {
            "Finished" => Progress::Finished,
            "Failed" => Progress::Failed,
            "Canceled" | "Cancelled" => Progress::Cancelled,
            _ => Progress::Waiting(self.http.short(word)),
        })
    }

    fn result(&self, task: &str) -> Result<Fetched, CloudError> {
        let answer = self.get(&format!("/task/result/{}", escaped(task)))?;
        let empty = answer.is_null() || answer.as_object().is_some_and(serde_json::Map::is_empty);
        let status = answer.get("status").and_then(Value::as_str);
        let said = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        match status {
            Some("Failed") => return Ok(Fetched::Failed(self.http.short(said("error")))),
            Some("Canceled" | "Cancelled") => return Ok(Fetched::Cancelled),
            _ => {}
        }
        let counts = answer.get("count").filter(|c| c.as_object().is_some_and(|o| !o.is_empty()));
        let Some(counts) = counts else {
            // Nothing yet, or it ended without a result; only the status tells.
            if !empty && status.is_none() {
                return Err(self.not_understood(&answer));
            }
            return Ok(match self.status(task)? {
                Progress::Waiting(word) => Fetched::Waiting(word),
                Progress::Finished => Fetched::Waiting("Finished, without a result yet".into()),
                Progress::Failed => Fetched::Failed(self.http.short(said("error"))),
                Progress::Cancelled => Fetched::Cancelled,
            });
        };
        let kept = ["corrected", "transpiled", "created", "finished"];
        let details = kept.iter().filter_map(|k| Some(((*k).to_string(), answer.get(*k)?.clone())));
        Ok(Fetched::Done(Outcome {
            task: answer.get("tid").and_then(id_of),
            chip: answer.get("chip").and_then(Value::as_str).map(String::from),
            circuit: answer.get("circuit").and_then(Value::as_str).map(String::from),
            counts: counts_of(counts)?,
            shots: answer.get("shots").and_then(Value::as_u64),
            details: Value::Object(details.collect()),
        }))
    }

    fn cancel(&self, task: &str) -> Result<(), CloudError> {
        // What it answers is not specified; the status tells what came of it.
        self.get(&format!("/task/cancel/{}", escaped(task))).map(|_| ())
    }

    fn backends(&self) -> Result<Vec<Backend>, CloudError> {
        let answer = self.get("/task/status/0")?;
        let chips = answer.as_object().ok_or_else(|| self.not_understood(&answer))?;
        let backend = |(name, state): (&String, &Value)| {
            let queue = state.as_u64();
            Backend {
                name: name.clone(),
                online: queue.is_some(),
                status: queue.map_or_else(
                    || self.http.short(state.as_str().unwrap_or("unknown")),
                    |_| "Online".into(),
                ),
                queue,
                qubits: None,
            }
        };
        Ok(chips.iter().map(backend).collect())
    }

    fn chip(&self, name: &str) -> Result<Value, CloudError> {
        // The digit 1 after the name belongs to the path; no token is sent, as by the official client.
        let path = format!("/task/backendtest/{}1", escaped(name));
        let mut info = self.http.call(&Request { authorised: false, ..get(&path) })?;
        let understood = info.get("couplers_info").is_some();
        match info.as_object_mut().filter(|_| understood) {
            Some(object) => {
                object.entry("name").or_insert_with(|| name.into());
                Ok(info)
            }
            None => Err(self.not_understood(&info)),
        }
    }

    fn limits(&self, _chip: &str) -> Result<Limits, CloudError> {
        Ok(Limits { min_shots: STEP, max_shots: MOST_SHOTS, step: STEP, daily_tasks: Some(DAILY) })
    }
}

/// The list's rows. Its form is not published: an array, or an object that holds one.
fn rows(list: &Value) -> Option<&Vec<Value>> {
    let inside =
        || ["items", "data", "tasks", "rows"].iter().find_map(|k| list.get(*k)?.as_array());
    list.as_array().or_else(inside)
}

/// An id of 19 digits, as a number or a text.
fn id_of(value: &Value) -> Option<String> {
    value.as_u64().map(|n| n.to_string()).or_else(|| value.as_str().map(String::from))
}
