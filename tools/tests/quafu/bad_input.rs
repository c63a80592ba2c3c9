//! What is refused, by name, with the store untouched.

use crate::kit::{Bench, Server, model};
use std::fs;

#[test]
fn refused_before_anything_is_kept() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let head = |n: usize| format!("OPENQASM 2.0;\nqreg q[{n}];\ncreg c[{n}];\n");
    let gate =
        bench.write("gate.qasm", &format!("{}ccx q[0],q[1],q[2];\nmeasure q -> c;", head(3)));
    let large = bench.write("large.qasm", &format!("{}h q;\nmeasure q -> c;", head(13)));
    let silent = bench.write("silent.qasm", &format!("{}h q;", head(3)));
    let partial = bench.write("partial.qasm", &format!("{}h q;\nmeasure q[0] -> c[0];", head(3)));
    let far = bench.write("far.qasm", &format!("{}cz q[0],q[2];\nmeasure q -> c;", head(3)));
    let cx = bench.write("cx.qasm", &format!("{}cx q[0],q[1];\nmeasure q -> c;", head(3)));
    let good = bench.write(
        "good.qasm",
        &format!(
            "{}h q[0];\ncx q[0],q[1];\nry(1) q[1];\ncx q[1],q[2];\nry(1) q[2];\nmeasure q -> c;",
            head(3)
        ),
    );
    let map = |m: &str| format!(r#"{{"name": "m", "n_qubits": 6, "coupling_map": {m}}}"#);
    let empty = bench.write("empty.json", &map("[]"));
    let parted = bench.write("parted.json", &map("[[0, 1], [2, 3]]"));
    let other = bench.write("other.json", &map("[[0, 2], [2, 5]]"));
    let rows = bench.write("rows.tsv", "x\ta text\nno tab here\n");
    let folder = bench.folder.path().join("compiled");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("c.qasm"), format!("{}h q;\nmeasure q -> c;", head(3))).unwrap();
    let table = |file: &str, weight: f64, bit: u8| {
        let text = format!(
            r#"{{"circuits": [{{"file": "{file}", "weight": {weight}, "readouts": [{{"bits": [{bit}], "negated": false}}]}}]}}"#
        );
        fs::write(folder.join("readout.json"), text).unwrap();
    };
    let compiled = folder.display().to_string();
    let (model, url) = (model(), server.url.as_str());
    let absent = bench.folder.path().join("absent.qdm").display().to_string();
    for (arguments, message) in [
        (vec!["--qasm", &gate], "gate.qasm: line 4: unknown gate `ccx`"),
        (vec!["--qasm", &large], "13 qubits are in use; at most 11"),
        (vec!["--qasm", &silent], "silent.qasm: measures nothing"),
        (vec!["--qasm", &partial], "leaves classical bits unwritten"),
        (vec!["--qasm", &far, "--as-is"], "`cz` on qubits 0 and 2, which Baihua does not couple"),
        (vec!["--qasm", &cx, "--as-is"], "gate `cx`"),
        (vec!["--qasm", &good, "--target", &empty], "no coupler"),
        (vec!["--qasm", &good, "--target", &parted, "--no-rewrite"], "needs 3 connected qubits"),
        (vec!["--qasm", &good, "--target", &other, "--no-rewrite"], "which Baihua does not couple"),
        (vec!["--qasm", &good, "--shots", "1000"], "1000 shots; Baihua takes 1024 to"),
        (vec!["--qasm", &good, "--shots", "0"], "0 shots"),
        (
            vec!["--qasm", &good, "--chip", "Nowhere"],
            "`Nowhere` is no chip of the platform; it has Baihua",
        ),
        (vec!["--qasm", "absent.qasm"], "absent.qasm"),
        (vec![&absent, "text"], "absent.qdm: cannot be read"),
        (vec![&gate, "text"], "gate.qasm"),
        (vec![&model, "--data", &rows], "rows.tsv:2"),
        (vec!["--compiled", &compiled], "readout.json"),
    ] {
        let error = bench.bad(&[&["submit", "--url", url], &arguments[..]].concat());
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    for (file, weight, bit, message) in [
        ("c.qasm", 0.5, 0, "the weights sum to 0.5"),
        ("c.qasm", 1.0, 3, "a read-out names c[3]"),
        ("../c.qasm", 1.0, 0, "no file of this folder"),
    ] {
        table(file, weight, bit);
        let error = bench.bad(&["submit", "--url", url, "--compiled", &compiled]);
        assert!(error.contains(message), "{error}");
    }
    for word in ["Offline", "Maintenance", "Calibrating"] {
        server.set_status(word);
        let error = bench.bad(&["submit", "--url", url, "--qasm", &good]);
        assert!(error.contains(&format!("Baihua takes no tasks now: {word}")), "{error}");
        let portal = ["submit", "--url", url, "--qasm", &good, "--platform", "portal"];
        assert!(bench.bad(&portal).contains("Baihua takes no tasks now"));
    }
    server.set_status("Online");
    let portal =
        ["submit", "--url", url, "--qasm", &good, "--platform", "portal", "--shots", "9216"];
    assert!(bench.bad(&portal).contains("9216 shots; Baihua takes 1024 to 8192 in steps of 1024"));
    assert!(!bench.store().exists());
    assert_eq!(server.received("run"), 0);
}

#[test]
fn wrong_use_is_told_apart_from_failure() {
    let bench = Bench::new();
    for arguments in [
        &["submit"][..],
        &["submit", "model.qdm"],
        &["submit", "--qasm", "a", "--compiled", "b"],
        &["submit", "--retry-failed", "m", "t"],
        &["cancel"],
        &["serve", "--fault", "run=walk"],
        &["fetch", "--no-wait", "--wait", "3"],
    ] {
        assert_eq!(bench.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn results_of_another_task_or_circuit_are_refused() {
    let server = Server::start(&["--noiseless"]);
    for (platform, fault, message) in [
        ("sqc", "result=other*always", "another circuit"),
        ("sqc", "result=long*always", "characters; the circuit has"),
        ("portal", "result=other*always", "the result is of task another"),
        ("portal", "result=long*always", "characters; the circuit has"),
    ] {
        let bench = Bench::new();
        bench.good(&[
            "submit",
            &model(),
            "play music",
            "--url",
            &server.url,
            "--platform",
            platform,
        ]);
        let before = bench.files();
        server.faults(&[fault]);
        let error = bench.bad(&["fetch"]);
        assert!(error.contains(message) && error.contains("left as it was"), "{error}");
        assert!(bench.files() == before, "{platform} {fault}");
        server.faults(&[]);
        bench.good(&["fetch"]);
        assert!(bench.jobs().iter().all(|j| j["state"] == "finished"));
    }
}

#[test]
fn damaged_files_and_another_model_are_named() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let copy = bench.folder.path().join("copy.qdm");
    fs::copy(model(), &copy).unwrap();
    let name = copy.display().to_string();
    bench.good(&["submit", &name, "play music", "--url", &server.url]);
    bench.good(&["fetch"]);
    fs::write(&copy, b"something else").unwrap();
    let error = bench.bad(&["fetch"]);
    assert!(error.contains("copy.qdm: is another file than when the batch was made"), "{error}");
    let files = bench.files();
    let job = files.keys().find(|p| p.ends_with("00002.json")).unwrap();
    fs::write(job, b"{\"version\": 1").unwrap();
    let error = bench.bad(&["fetch"]);
    assert!(error.contains("00002.json"), "{error}");
    let batch = files.keys().find(|p| p.ends_with("batch.json")).unwrap();
    let text = fs::read_to_string(batch).unwrap().replace("\"version\": 1", "\"version\": 9");
    fs::write(batch, text).unwrap();
    assert!(bench.bad(&["status"]).contains("version 9; this program reads version 1"));
    assert!(bench.bad(&["fetch", "nothing"]).contains("version 9"));
}
