//! The way through: submit, status, fetch, cancel, on both platforms.

use crate::kit::{Bench, Server, complete, model};

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
    // <Z> of the three bits: cos 0.4, cos 0.4 cos 1.1, and 1 - which tells the bit order, too.
    let circuit = bench.write(
        "c.qasm",
        "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[3];\ncreg c[3];\nrx(0.4) q[0];\nry(1.1) q[1];\n\
         cx q[0],q[1];\nmeasure q -> c;\n",
    );
    let physical = bench.write(
        "p.qasm",
        "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[18];\ncreg c[3];\nrx(0.4) q[16];\nry(1.1) q[17];\n\
         h q[17];\ncz q[16],q[17];\nh q[17];\nmeasure q[16] -> c[0];\nmeasure q[17] -> c[1];\n\
         measure q[4] -> c[2];\n",
    );
    let compiled = bench.folder.path().join("compiled").display().to_string();
    bench.good(&["transpile", "--qasm", &circuit, "-o", &compiled]);
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
