//! The way through: submit, status, fetch, cancel, on both platforms; and what is refused, by name, with the store
//! untouched.

use super::{Bench, Server, complete};
use crate::model;
use std::fs;

#[test]
fn a_text_goes_there_and_its_decision_comes_back() {
    let server = Server::start(&["--noiseless"]);
    for platform in ["sqc", "portal"] {
        let bench = Bench::new();
        let place = ["--platform", platform, "--url", &server.url];
        let model = model();
        let arguments = [&["submit", &model, "turn on the light"][..], &place].concat();
        let said = bench.json(&[&arguments[..], &["--json", "--shots", "8192"]].concat());
        assert_eq!(said["jobs"], 2);
        assert_eq!(said["states"]["submitted"], 2);
        let status = bench.json(&["status", said["batch"].as_str().unwrap(), "--live", "--json"]);
        assert_eq!(status["detail"].as_array().unwrap().len(), 2);
        let fetched = bench.json(&["fetch", "--json"]);
        let decision = &fetched["decisions"][0];
        let answer = &decision["answer"];
        assert_eq!(
            answer["logits"].as_array().unwrap().len(),
            answer["logit_errors"].as_array().unwrap().len()
        );
        let certain = answer["margin"].as_f64() > answer["margin_error"].as_f64().map(|e| 5.0 * e);
        assert!(!certain || answer["label"] == decision["exact"], "{decision:#}");
        // Complete: neither a token nor the platform is needed to see it again.
        let again = bench
            .command(&["fetch"])
            .env_remove("QPU_API_TOKEN")
            .env_remove("QUAFU_API_KEY")
            .output();
        assert!(again.unwrap().status.success());
    }
    assert_eq!(server.tasks().len(), 4);
}

#[test]
fn a_data_set_is_sent_once_however_often_it_is_asked_for() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let (model, texts) = (model(), bench.texts(6));
    let arguments = ["submit", &model, "--data", &texts, "--first", "5", "--url", &server.url];
    bench.good(&arguments);
    bench.good(&arguments);
    let fetched = bench.json(&["fetch", "--json"]);
    complete(&bench, &server, 10);
    assert_eq!(fetched["summary"]["texts"], 5);
    assert_eq!(fetched["summary"]["decided"], 5);
    // Noiseless decisions are the model's own but for ties within the shots' scatter.
    for decision in fetched["decisions"].as_array().unwrap() {
        let answer = &decision["answer"];
        let tie =
            answer["margin"].as_f64().unwrap() < 5.0 * answer["margin_error"].as_f64().unwrap();
        assert!(tie || answer["label"] == decision["exact"], "{decision:#}");
    }
    bench.good(&[&arguments[..], &["--name", "again"]].concat());
    assert_eq!(server.tasks().len(), 20);
}

#[test]
fn a_circuits_outputs_are_its_own_in_every_mode() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    // <Z> of the three bits: cos 0.4, cos 0.4 cos 1.1, and 1 - which tells the bit order, too. Some bits
    // are not written.
    let circuit = bench.write(
        "c.qasm",
        "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[3];\ncreg a[1];\ncreg c[4];\nrx(0.4) q[0];\n\
         ry(1.1) q[1];\ncx q[0],q[1];\nmeasure q[0] -> a[0];\nmeasure q[2] -> c[3];\nmeasure q[1] -> c[1];\n",
    );
    let physical = bench.write(
        "p.qasm",
        "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[18];\ncreg c[6];\nrx(0.4) q[16];\nry(1.1) q[17];\n\
         h q[17];\nbarrier q[17];\ncz q[16],q[17];\nh q[17];\nmeasure q[16] -> c[1];\nmeasure q[17] -> c[2];\n\
         measure q[4] -> c[5];\n",
    );
    let compiled = bench.folder.path().join("compiled").display().to_string();
    bench.good(&["transpile", "--qasm", &circuit, "-o", &compiled, "--format", "qasm3"]);
    let want = [0.4_f64.cos(), 0.4_f64.cos() * 1.1_f64.cos(), 1.0];
    for platform in ["sqc", "portal"] {
        for mode in [
            &["--qasm", &circuit][..],
            &["--qasm", &circuit, "--no-rewrite"],
            &["--qasm", &circuit, "--compile-there"],
            &["--qasm", &physical, "--as-is"],
            &["--compiled", &compiled],
        ] {
            let place = ["--url", &server.url, "--platform", platform, "--shots", "8192"];
            bench.good(&[&["submit"], mode, &place].concat());
            let fetched = bench.json(&["fetch", "--json"]);
            for (k, want) in want.iter().enumerate() {
                let got = fetched["outputs"]["values"][k].as_f64().unwrap();
                // Six standard deviations of 8192 shots.
                assert!(
                    (got - want).abs() < 0.067,
                    "{platform} {mode:?} output {k}: {got} not {want}"
                );
            }
        }
    }
}

#[test]
fn what_waits_is_cancelled_and_what_ran_is_kept() {
    let server = Server::start(&["--noiseless", "--delay", "50", "--queue", "2"]);
    for platform in ["sqc", "portal"] {
        let bench = Bench::new();
        let (model, texts) = (model(), bench.texts(20));
        let submit =
            ["submit", &model, "--data", &texts, "--url", &server.url, "--platform", platform];
        let batch = bench.json(&[&submit[..], &["--json"]].concat());
        let said = bench.json(&["cancel", batch["batch"].as_str().unwrap(), "--json"]);
        let (cancelled, kept) =
            (said["cancelled"].as_u64().unwrap(), said["kept"].as_u64().unwrap());
        assert!(cancelled > 0 && cancelled + kept == 40, "{said}");
        let error = bench.bad(&["fetch"]);
        assert!(error.contains(&format!("{cancelled} cancelled")), "{error}");
        let jobs = bench.jobs();
        assert_eq!(jobs.iter().filter(|j| j["state"] == "finished").count() as u64, kept);
    }
}

#[test]
fn fetch_without_waiting_takes_what_is_there() {
    let server = Server::start(&["--noiseless", "--delay", "150"]);
    let bench = Bench::new();
    bench.good(&["submit", &model(), "play music", "--url", &server.url]);
    bench.good(&["fetch", "--no-wait"]);
    assert!(bench.jobs().iter().any(|j| j["state"] == "submitted"));
    bench.good(&["fetch"]);
    complete(&bench, &server, 2);
}

#[test]
fn the_days_quota_is_kept_and_the_rest_goes_on_later() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let (model, texts) = (model(), bench.texts(4));
    let submit = ["submit", &model, "--data", &texts, "--url", &server.url];
    let error = bench.bad(&[&submit[..], &["--daily", "5"]].concat());
    assert!(error.contains("5 of 5 tasks of this day") && error.contains("3 jobs wait"), "{error}");
    assert_eq!(server.tasks().len(), 5);
    let error = bench.bad(&["fetch"]);
    assert!(error.contains("3 ready") && error.contains("--resume"), "{error}");
    bench.good(
        &["submit", "--resume", "texts", "--daily", "8"]
            .map(|a| if a == "texts" { "words" } else { a }),
    );
    bench.good(&["fetch"]);
    complete(&bench, &server, 8);
}

#[test]
fn calibration_of_the_chip_is_used_and_can_be_kept() {
    let server = Server::start(&[]);
    let bench = Bench::new();
    let file = bench.folder.path().join("chip.json").display().to_string();
    for platform in ["sqc", "portal"] {
        let place = ["--platform", platform, "--url", &server.url];
        bench.good(&[&["backends", "--chip", "Baihua", "-o", &file], &place[..]].concat());
        bench.good(&["transpile", &model(), "play music", "--target", &file]);
        let all = bench.json(&[&["backends", "--json"], &place[..]].concat());
        let baihua = all.as_array().unwrap().iter().find(|b| b["name"] == "Baihua").unwrap();
        assert_eq!(baihua["online"], true);
    }
}

#[test]
fn published_read_out_errors_are_undone() {
    let bench = Bench::new();
    let qubit = |q| {
        format!(
            r#""Q{q}": {{"index": {q}, "fidelity": 0.999, "readout g_fidelity": 0.9, "readout e_fidelity": 0.8}}"#
        )
    };
    let chip = bench.write(
        "chip.json",
        &format!(
            r#"{{"calibration_time": "2026-07-06", "qubits_info": {{{}, {}}},
                "couplers_info": {{"C0": {{"index": 0, "qubits_index": [0, 1], "fidelity": 0.99}}}}}}"#,
            qubit(0),
            qubit(1)
        ),
    );
    // Nothing but the read-out disturbs.
    let server = Server::start(&[
        "--target",
        &chip,
        "--one-error",
        "0",
        "--cz-error",
        "0",
        "--t1-us",
        "inf",
        "--t2-us",
        "inf",
    ]);
    let circuit = bench
        .write("c.qasm", "OPENQASM 2.0;\nqreg q[2];\ncreg c[2];\nrx(pi) q[0];\nmeasure q -> c;\n");
    bench.good(&["submit", "--qasm", &circuit, "--as-is", "--shots", "8192", "--url", &server.url]);
    // One read as 1 with 0.8, zero read as 0 with 0.9.
    for (more, want) in [(&[][..], [-0.6, 0.8]), (&["--mitigate"], [-1.0, 1.0])] {
        let fetched = bench.json(&[&["fetch", "--json"], more].concat());
        for (k, want) in want.into_iter().enumerate() {
            let got = fetched["outputs"]["values"][k].as_f64().unwrap();
            let error = fetched["outputs"]["errors"][k].as_f64().unwrap();
            assert!((got - want).abs() < 6.0 * error, "{more:?} output {k}: {got}, not {want}");
        }
    }
}

#[test]
fn refused_before_anything_is_kept() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let head = |n: usize| format!("OPENQASM 2.0;\nqreg q[{n}];\ncreg c[{n}];\n");
    let gate =
        bench.write("gate.qasm", &format!("{}foo q[0],q[1],q[2];\nmeasure q -> c;", head(3)));
    let large = bench.write("large.qasm", &format!("{}h q;\nmeasure q -> c;", head(13)));
    let silent = bench.write("silent.qasm", &format!("{}h q;", head(3)));
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
    fs::write(folder.join("part.qasm"), format!("{}h q;\nmeasure q[0] -> c[1];", head(3))).unwrap();
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
        (vec!["--qasm", &gate], "gate.qasm: line 4: unknown gate `foo`"),
        (vec!["--qasm", &large], "13 qubits are in use; at most 11"),
        (vec!["--qasm", &silent], "silent.qasm: measures nothing"),
        (vec!["--qasm", &far, "--as-is"], "`cz` on qubits 0 and 2, which Baihua does not couple"),
        (vec!["--qasm", &cx, "--as-is"], "gate `cx`"),
        (vec!["--qasm", &good, "--target", &empty], "no coupler"),
        (vec!["--qasm", &good, "--target", &parted, "--no-rewrite"], "needs 3 connected qubits"),
        (vec!["--qasm", &good, "--target", &other, "--no-rewrite"], "which Baihua does not couple"),
        (vec!["--qasm", &good, "--shots", "1000"], "1000 shots; Baihua takes 1024 to"),
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
        ("part.qasm", 1.0, 0, "`part.qasm` leaves classical bits unwritten"),
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

#[test]
fn a_stored_chip_stands_in_for_live_information_when_asked() {
    let server = Server::start(&["--noiseless"]);
    let bench = Bench::new();
    let circuit = bench.write(
        "c.qasm",
        "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n",
    );
    let stored = bench.folder.path().join("chip.json").display().to_string();
    for platform in ["sqc", "portal"] {
        let place = ["--platform", platform, "--url", &server.url];
        bench.good(&[&["backends", "--chip", "Baihua", "-o", &stored], &place[..]].concat());
        for fault in ["chip=404*always", "chip=answer:html*always", "chip=500*always"] {
            server.faults(&[fault]);
            let submit =
                ["submit", "--qasm", &circuit, "--no-rewrite", "--tries", "2", "--name", fault];
            let submit = [&submit[..], &place].concat();
            let error = bench.bad(&submit);
            assert!(error.contains("--offline-target FILE"), "{fault}: {error}");
            let output = bench.run(&[&submit[..], &["--offline-target", &stored]].concat());
            let (out, err) = crate::quafu::texts(&output);
            assert!(output.status.success(), "{platform} {fault}: {out}{err}");
            assert!(err.contains("going on with the stored information"), "{err}");
            // Counts as bars of at most 80 characters.
            let said = bench.good(&["fetch"]);
            assert!(said.contains("00  ###") && said.contains("11  ###"), "{said}");
            assert!(said.lines().all(|line| line.len() <= 80), "{said}");
        }
        server.faults(&[]);
    }
    // It does not stand in for a live answer that says the chip is away.
    server.set_status("Offline");
    let error = bench.bad(&[
        "submit",
        "--qasm",
        &circuit,
        "--offline-target",
        &stored,
        "--url",
        &server.url,
    ]);
    assert!(error.contains("takes no tasks now"), "{error}");
}

#[test]
fn percent_in_a_live_chips_information_is_said() {
    let bench = Bench::new();
    let good = r#"{"qubits_info": {"Q0": {"index": 0}, "Q1": {"index": 1}},
        "couplers_info": {"C0": {"index": 0, "qubits_index": [0, 1], "fidelity": 0.99}}}"#;
    let path = bench.write("chip.json", good);
    let server = Server::start(&["--target", &path, "--noiseless"]);
    let circuit =
        bench.write("c.qasm", "OPENQASM 2.0;\nqreg q[2];\ncreg c[2];\nh q[0];\nmeasure q -> c;\n");
    let submit = ["submit", "--qasm", &circuit, "--url", &server.url];
    // What a server sends is what its file holds; percent is read and said.
    let percent = bench.write("percent.json", &good.replace("0.99", "98.3"));
    let other = Server::start(&["--target", &percent, "--noiseless"]);
    let output = bench.run(&["submit", "--qasm", &circuit, "--url", &other.url]);
    let (out, err) = crate::quafu::texts(&output);
    assert!(output.status.success() && err.contains("taken as percent"), "{out}{err}");
    let output = bench.run(&["backends", "--chip", "Baihua", "--url", &other.url]);
    assert!(crate::quafu::texts(&output).1.contains("taken as percent"));
    bench.good(&submit);
}
