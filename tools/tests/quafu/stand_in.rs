//! The stand-in itself, asked as the published clients ask, and by the published Python clients.

use super::{Server, TOKEN, texts};
use crate::BINARY;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const BELL: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[3];\ncreg c[3];\nx q[0];\nh q[1];\n\
                    cx q[1],q[2];\nbarrier q;\nmeasure q -> c;\n";

fn sqc(server: &Server, method: &str, path: &str, body: &str) -> Value {
    let (status, text) = server.ask(method, path, "token: t\r\n", body);
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn wait_for(server: &Server, id: u64) -> Value {
    loop {
        let result = sqc(server, "GET", &format!("/task/result/{id}"), "");
        if result != json!({}) {
            return result;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn quafu_sqc_answers_as_its_client_expects() {
    let server = Server::start(&["--noiseless", "--seed", "7"]);
    assert_eq!(server.ask("GET", "/task/verify", "", "").0, 422);
    assert!(!sqc(&server, "GET", "/task/verify", "").is_object());
    assert_eq!(sqc(&server, "GET", "/task/status/0", ""), json!({"Baihua": 0}));
    let body = json!({"circuit": BELL, "compile": true, "options": {"clientip": ""}}).to_string();
    let run = "/task/run/?name=My%20Job&chip=Baihua&shots=2048";
    let id = sqc(&server, "POST", run, &body).as_u64().unwrap();
    // 19 digits that begin with the date.
    assert_eq!(id.to_string().len(), 19);
    let result = wait_for(&server, id);
    for key in [
        "count",
        "corrected",
        "chip",
        "shots",
        "circuit",
        "transpiled",
        "qlisp",
        "tid",
        "error",
        "status",
        "created",
        "finished",
    ] {
        assert!(result.get(key).is_some(), "{key}");
    }
    let counts = result["count"].as_object().unwrap();
    // Rightmost character: c[0], which is always 1.
    assert!(counts.keys().all(|k| k == "001" || k == "111"), "{counts:?}");
    assert_eq!(counts.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 2048);
    assert_eq!((&result["tid"], &result["status"]), (&json!(id), &json!("Finished")));
    assert_eq!(sqc(&server, "GET", &format!("/task/status/{id}"), ""), "Finished");
    let list =
        sqc(&server, "GET", "/task/query/?tid=2&chips=Baihua&status=Finished,Failed&limit=10", "");
    assert_eq!(list[0]["taskName"], "My Job");
    assert_eq!(list[0]["taskId"], id);
    for (query, body) in [
        ("name=a&chip=Baihua&shots=1000", body.as_str()),
        ("name=a&chip=Nowhere&shots=1024", &body),
    ] {
        assert!(sqc(&server, "POST", &format!("/task/run/?{query}"), body).is_string());
    }
    let info: Value =
        serde_json::from_str(&server.ask("GET", "/task/backendtest/Baihua1", "", "").1).unwrap();
    assert_eq!(info["couplers_info"].as_object().unwrap().len(), 182);
}

#[test]
fn circuits_that_the_chip_cannot_run_fail_with_a_text() {
    let server = Server::start(&["--noiseless"]);
    let submit = |circuit: &str, targets: Value| {
        let options = json!({"compiler": null, "target_qubits": targets});
        let body = json!({"circuit": circuit, "compile": false, "options": options}).to_string();
        let run = "/task/run/?name=a&chip=Baihua&shots=1024";
        wait_for(&server, sqc(&server, "POST", run, &body).as_u64().unwrap())
    };
    let failed = |result: &Value, text: &str| {
        assert_eq!(result["status"], "Failed", "{result}");
        assert!(result["error"].as_str().unwrap().contains(text), "{result}");
    };
    failed(&submit(BELL, json!([])), "gate `x`");
    failed(&submit("nonsense", json!([])), "the first statement must be");
    let pair = |a: u8, b: u8| {
        format!(
            "OPENQASM 2.0;\nqreg q[99];\ncreg c[2];\nh q[{a}];\ncz q[{a}],q[{b}];\nmeasure q[{a}]->c[0];\nmeasure q[{b}]->c[1];"
        )
    };
    failed(&submit(&pair(12, 13), json!([])), "on qubits 12 and 13");
    assert_eq!(submit(&pair(14, 15), json!([]))["status"], "Finished");
    // Logical qubits placed by the client.
    let moved = submit(&pair(0, 1), json!([28, 41]));
    assert_eq!(moved["status"], "Finished", "{moved}");
    assert!(moved["transpiled"].as_str().unwrap().contains("cz q[28],q[41];"));
}

#[test]
fn the_same_seed_gives_the_same_shots_and_equal_circuits_different_ones() {
    let counts = |seed: &str| -> Vec<Value> {
        let server = Server::start(&["--seed", seed]);
        let body = json!({"circuit": BELL, "compile": true}).to_string();
        let run = "/task/run/?name=a&chip=Baihua&shots=1024";
        let ids: Vec<u64> =
            (0..2).map(|_| sqc(&server, "POST", run, &body).as_u64().unwrap()).collect();
        ids.into_iter().map(|id| wait_for(&server, id)["count"].clone()).collect()
    };
    let (first, again, other) = (counts("3"), counts("3"), counts("4"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_ne!(first[0], first[1]);
    // With noise, c[0] is not always 1.
    assert!(first[0].as_object().unwrap().keys().any(|k| k.ends_with('0')));
}

#[test]
fn the_portal_answers_as_its_client_expects() {
    let server = Server::start(&["--noiseless"]);
    let ask = |method: &str, path: &str, body: &str| {
        let (status, text) =
            server.ask(method, &format!("/api/v1{path}"), "authorization: Bearer qf_t\r\n", body);
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, text) = server.ask("POST", "/api/v1/jobs", "", "{}");
    assert!(status == 401 && text.contains("unauthenticated"), "{text}");
    assert_eq!(ask("GET", "/healthz", "").0, 200);
    assert_eq!(ask("GET", "/backends/Baihua/metadata", "").1["limits"]["shots_step"], 1024);
    assert_eq!(
        ask("GET", "/devices/Baihua/calibration", "").1["couplers"].as_array().unwrap().len(),
        182
    );
    let order = |reference: &str, target: &str, shots: u64| {
        json!({"mode": "collection", "target": target, "shots": shots, "circuit_level": "logical",
               "circuits": [{"qasm": BELL}, {"qasm": BELL}], "client_ref": reference})
        .to_string()
    };
    let (status, job) = ask("POST", "/jobs", &order("r1", "Baihua", 1024));
    assert_eq!(status, 201);
    // The same reference is the same job.
    assert_eq!(ask("POST", "/jobs", &order("r1", "Baihua", 1024)).1["job_id"], job["job_id"]);
    assert_ne!(ask("POST", "/jobs", &order("r2", "sim", 100)).1["job_id"], job["job_id"]);
    assert_eq!(ask("POST", "/jobs", &order("r3", "Baihua", 1000)).0, 422);
    assert_eq!(ask("POST", "/jobs", &order("r4", "Nowhere", 1024)).0, 404);
    let id = job["job_id"].as_str().unwrap();
    while ask("GET", &format!("/jobs/{id}/status"), "").1["status"] != "Finished" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let task = ask("GET", &format!("/jobs/{id}/tasks/1?include=counts,executed"), "").1;
    assert_eq!(task["result"]["bit_order"], "c0_rightmost");
    assert!(task["result"]["counts"].as_object().unwrap().keys().all(|k| k == "001" || k == "111"));
    assert_eq!(task["circuit"]["measurements"].as_array().unwrap().len(), 3);
    let page = ask("GET", &format!("/jobs/{id}/results?offset=0&limit=200&fields=counts"), "").1;
    assert_eq!(page["seq"], json!([0, 1]));
    assert_eq!(ask("GET", "/jobs/J0/status", "").0, 404);
}

#[test]
fn requests_of_any_kind_leave_it_standing() {
    let server = Server::start(&[]);
    for (method, path, body) in [
        ("GET", "/", ""),
        ("PUT", "/task/run", ""),
        ("POST", "/task/run/?shots=x", "not json"),
        ("POST", "/task/run/?name=a&chip=Baihua&shots=1024", "[]"),
        ("GET", "/task/result/99999999999999999999999", ""),
        ("GET", "/task/cancel/x", ""),
        ("GET", "/task/query/?offset=-1&limit=x", ""),
        ("POST", "/api/v1/jobs", "[1]"),
        ("GET", "/api/v1/jobs/%ff/tasks/9", ""),
        ("POST", "/admin/faults", "{}"),
        ("POST", "/admin/faults", "[\"run=walk\"]"),
    ] {
        let (status, _) = server.ask(method, path, "token: t\r\nauthorization: Bearer t\r\n", body);
        assert!(status >= 200, "{method} {path}");
    }
    assert_eq!(server.ask("GET", "/task/verify", "token: t\r\n", "").0, 200);
}

/// Versions whose behaviour the protocol facts were read from. `quarkstudio` names many packages that its
/// task client does not need, so only what that imports is installed.
const PACKAGES: [&str; 2] = ["quarkstudio==7.1.9", "quafu-sdk==0.2.7"];

/// A Python with the clients, made once and kept with the build's temporary files.
fn python() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-clients-1");
    let python = venv.join("bin").join("python");
    let done = venv.join("done");
    if done.is_file() {
        return Ok(python);
    }
    let run = |command: &mut Command| {
        let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        let last = texts(&output).1.lines().last().unwrap_or_default().to_string();
        if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {last}")) }
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = |arguments: &[&str]| {
        let quiet = ["-m", "pip", "install", "-q", "--disable-pip-version-check"];
        run(Command::new(&python).args(quiet).args(arguments))
    };
    pip(&[&["--no-deps"], &PACKAGES[..]].concat())?;
    pip(&["requests"])?;
    std::fs::write(done, "").map_err(|e| e.to_string())?;
    Ok(python)
}

#[test]
fn published_clients_submit_and_read_back_right_counts() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            // Not by a macro, whose text the test runner would keep to itself.
            let text = format!("SKIPPED: the published Python clients were NOT tried: {why}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return;
        }
    };
    let server = Server::start(&["--noiseless"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("clients.py");
    assert!(Path::new(BINARY).is_file());
    let output = Command::new(python)
        .arg(script)
        .arg(&server.url)
        .env("QPU_API_TOKEN", TOKEN)
        .env("QUAFU_API_KEY", TOKEN)
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("quarkstudio: right") && out.contains("quafu-sdk: right"), "{out}");
}
