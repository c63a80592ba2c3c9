//! `qdllm-hw` as a user runs it: files, exit codes, messages.

use crate::{model, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn data(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", name].iter().collect();
    path.display().to_string()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn transpile_writes_circuits_that_read_back_and_a_read_out_table() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("compiled").display().to_string();
    let printed = json(&run(&["transpile", &model(), "turn on the light", "-o", &out, "--json"]));
    let circuits = printed["circuits"].as_array().unwrap();
    assert_eq!(circuits.len(), 2);
    let table: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&out).join("readout.json")).unwrap())
            .unwrap();
    let mut total = 0.0;
    for (shown, stored) in circuits.iter().zip(table["circuits"].as_array().unwrap()) {
        let text =
            fs::read_to_string(Path::new(&out).join(stored["file"].as_str().unwrap())).unwrap();
        assert_eq!(shown["qasm"], text.as_str());
        let circuit = qdllm_tools::circuit::read(&text).unwrap();
        assert_eq!(stored["report"]["cz"], qdllm_tools::circuit::two_qubit_gates(&circuit));
        assert_eq!(stored["readouts"].as_array().unwrap().len(), 11);
        total += stored["weight"].as_f64().unwrap();
    }
    assert!((total - 1.0).abs() < 1e-12);
}

#[test]
fn every_output_has_the_name_of_its_bit_and_circuits_are_written_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, out) = (path("three.qasm"), path("out"));
    let text = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\nqubit[3] q;\nbit a;\nbit[4] z;\n\
        U(0.1, 0.2, 0.3) q[0];\nctrl @ ry(0.4) q[0], q[2];\nz[2] = measure q[2];\na = measure q[0];\n";
    fs::write(&file, text).unwrap();
    for (format, head, gate, measure) in [
        ("qasm2", "OPENQASM 2.0;", "\nu3(", "measure q["),
        ("qasm3", "OPENQASM 3.0;", "\nU(", "c[0] = measure q["),
    ] {
        let all = [
            "transpile",
            "--qasm",
            &file,
            "-o",
            &out,
            "--format",
            format,
            "--basis",
            "u",
            "--no-rewrite",
        ];
        let printed = String::from_utf8(run(&all).stdout).unwrap();
        assert!(printed.contains("output 0 (a[0]) = c[0]"), "{printed}");
        let read = |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap();
        let table: Value = serde_json::from_str(&read("readout.json")).unwrap();
        let bits = serde_json::json!([{"register": "a", "bit": 0}, {"register": "z", "bit": 2}]);
        assert_eq!(table["outputs"], bits);
        let text = read("circuit-1.qasm");
        assert!(text.starts_with(head) && text.contains(gate) && text.contains(measure), "{text}");
        assert!(qdllm_tools::circuit::read(&text).is_ok());
    }
}

#[test]
fn a_time_limit_takes_the_best_found_so_far_and_says_so() {
    let (file, all) =
        (data("qdllm11_random0.qasm"), ["--target", "line:11", "--no-rewrite", "--json"]);
    let within = |limit: &str| {
        run(&[&["transpile", "--qasm", &file, "--time-limit", limit], &all[..]].concat())
    };
    let cz = |output: &Output| json(output)["circuits"][0]["report"]["cz"].as_u64().unwrap();
    let (cut, whole) = (within("0"), within("1000"));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("--time-limit 0 ended the search"));
    assert!(cz(&whole) < cz(&cut), "{} and {}", cz(&whole), cz(&cut));
    assert!(!String::from_utf8_lossy(&whole.stderr).contains("--time-limit"));
    assert_eq!(whole.stdout, within("1000").stdout);
    for wrong in ["-1", "soon", "nan", "1e300"] {
        assert_eq!(within(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let file = data("qdllm11_random0.qasm");
    let arguments = ["transpile", "--qasm", &file, "--no-rewrite", "--json", "--basis", "u"];
    assert_eq!(run(&arguments).stdout, run(&arguments).stdout);
}

#[test]
fn draw_gives_text_svg_and_json() {
    let file = data("qdllm11_random0.qasm");
    let text = String::from_utf8(run(&["draw", "--qasm", &file]).stdout).unwrap();
    assert!(text.starts_with(" q0: ") && text.contains("rzz(-1.515)") && text.contains("M->c10"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drawing.svg").display().to_string();
    let both =
        json(&run(&["draw", &model(), "play music", "--compiled", "--svg", &path, "--json"]));
    assert_eq!(both.as_array().unwrap().len(), 2);
    for drawing in both.as_array().unwrap() {
        let svg = fs::read_to_string(drawing["file"].as_str().unwrap()).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}

#[test]
fn failures_name_their_cause_and_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let head = "OPENQASM 2.0;\nqreg q[13];\ncreg c[13];\n";
    let unknown = write("unknown.qasm", &format!("{head}foo q[0],q[1],q[2];"));
    let large = write("large.qasm", &format!("{head}h q;\nmeasure q -> c;"));
    let unread = write("unread.qasm", &format!("{head}h q[0];"));
    let pair = write("pair.qasm", &format!("{head}h q[0];\ncx q[0],q[1];\nmeasure q -> c;"));
    let bell = write(
        "bell.qasm",
        "OPENQASM 2.0;\nqreg q[3];\ncreg c[3];\nh q[0];\ncx q[0],q[1];\nry(1) q[1];\ncx q[1],q[2];\nry(1) q[2];\nmeasure q -> c;",
    );
    let empty = write("empty.json", r#"{"name": "x", "n_qubits": 3, "coupling_map": []}"#);
    let parted =
        write("parted.json", r#"{"name": "x", "n_qubits": 4, "coupling_map": [[0, 1], [2, 3]]}"#);
    let out = folder.path().join("out").display().to_string();
    for (arguments, code, message) in [
        (vec!["--qasm", &unknown], 1, "unknown.qasm: line 4: unknown gate `foo`"),
        (vec!["--qasm", &large], 1, "13 qubits are in use; at most 11"),
        (vec!["--qasm", &pair], 1, "13 qubits are in use"),
        (vec!["--qasm", &unread], 1, "measures nothing"),
        (vec!["--qasm", &bell, "--target", &empty], 1, "no coupler"),
        (
            vec!["--qasm", &bell, "--no-rewrite", "--target", &parted],
            1,
            "needs 3 connected qubits; the largest connected part has 2",
        ),
        (vec!["--qasm", &bell, "--target", "nowhere"], 2, "`nowhere` is no target"),
        (vec!["--qasm", "absent.qasm"], 1, "absent.qasm: cannot be read"),
        (vec![&bell, "text"], 1, "bell.qasm"),
        (vec![], 2, "<MODEL>"),
        (vec!["--qasm", &bell, "--basis", "cnot"], 2, "h-rz"),
    ] {
        let mut all = vec!["transpile", "-o", &out];
        all.extend(arguments);
        let output = run(&all);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{all:?}: {stderr}");
        assert!(stderr.contains(message), "{all:?}: {stderr}");
        assert!(!Path::new(&out).exists());
    }
}

#[test]
fn simulate_rehearses_a_file_and_says_what_it_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.tsv");
    let rows = "light\tturn on the light\nmusic\tplay music\ntimer\tset a timer for warm milk\n\
        light\tswitch the light off please\nmusic\tplay some jazz\ntimer\ttimer for ten minutes\n";
    fs::write(&path, rows).unwrap();
    let texts = path.display().to_string();
    let model = model();
    let arguments = ["simulate", "--model", &model, "--data", &texts, "--json"];
    let all = |more: &[&str]| run(&[&arguments[..], more].concat());
    let seen = json(&all(&[]));
    assert_eq!(seen["texts"], 6);
    assert_eq!((&seen["quota"]["jobs"], &seen["quota"]["shots"]), (&12.into(), &12288.into()));
    assert_eq!(seen["exact"]["agreement"]["share"], 1.0);
    assert_eq!(seen["noiseless"]["clear_disagreements"], 0);
    assert!(seen["assumed"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains("T1")));
    let dz = |report: &Value, of: &str| report[of]["mean_dz"].as_f64().unwrap();
    assert!(dz(&seen, "noiseless") > 0.0 && dz(&seen, "noisy") > 2.0 * dz(&seen, "noiseless"));
    let interval = &seen["noisy"]["accuracy"];
    let end = |name: &str| interval[name].as_f64().unwrap();
    assert!(end("low") <= end("share") && end("share") <= end("high"));

    // The same seed gives the same decisions; a perfect chip is shots alone.
    assert_eq!(seen["decisions"], json(&all(&[]))["decisions"]);
    assert_ne!(seen["decisions"], json(&all(&["--seed", "2"]))["decisions"]);
    let perfect = ["--one-error", "0", "--cz-error", "0", "--t1-us", "inf", "--t2-us", "inf"];
    let perfect = json(&all(&[&perfect[..], &["--readout-error", "0"]].concat()));
    assert!(dz(&perfect, "noisy") < 1.3 * dz(&perfect, "noiseless"));
    assert_eq!(json(&all(&["--limit", "2"]))["texts"], 2);
    let worse = json(&all(&["--readout-error", "0.05,0.15"]));
    let undone = json(&all(&["--readout-error", "0.05,0.15", "--mitigate"]));
    assert!(dz(&undone, "noisy") < dz(&worse, "noisy"));

    fs::write(&path, "light\tturn it on\nlamp\tturn it on\n").unwrap();
    for (more, code, message) in [
        (vec![], 1, "line 2: label `lamp` is no class of the model; its classes are"),
        (vec!["--cz-error", "1.5"], 2, "at least 0, at most 1"),
        (vec!["--t1-us", "0"], 2, "above 0"),
        (vec!["--shots", "1"], 2, "2..=1000000"),
        (vec!["--target", "nowhere"], 2, "`nowhere` is no target"),
        (vec!["--target", "line:5"], 1, "needs 10 connected qubits"),
    ] {
        let output = all(&more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {stderr}");
        assert!(stderr.contains(message), "{more:?}: {stderr}");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_signed_model_is_a_model_and_its_signature_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, public, signed) = (path("k"), path("k.pub"), path("signed.qdm"));
    assert!(run(&["keygen", &key]).status.success());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let made = run(&["sign", &model(), "--key", &key, "--version", "7", "-o", &signed]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("cannot go back to an older one"), "{}", said(&made));
    let bytes = fs::read(&signed).unwrap();
    qdllm_runtime::Model::parse(&bytes).unwrap();
    let checked = run(&["sign", &signed, "--check", &public, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&shown["version"], &shown["minimum"]), (&7.into(), &7.into()));
    // Signed anew in place, with a lower minimum.
    let again = run(&["sign", &signed, "--key", &key, "--version", "8", "--minimum", "5"]);
    assert!(again.status.success(), "{}", said(&again));
    assert!(!said(&again).contains("cannot go back"), "{}", said(&again));
    assert_eq!(fs::metadata(&signed).unwrap().len(), bytes.len() as u64);
    assert!(run(&["sign", &signed, "--check", &public]).status.success());
}

#[test]
fn bad_use_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, other) = (path("k"), path("other"));
    for file in [&key, &other] {
        assert!(run(&["keygen", file]).status.success());
    }
    let again = run(&["keygen", &key]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("give another name"), "{}", said(&again));
    let signed = path("signed.qdm");
    run(&["sign", &model(), "--key", &key, "--version", "7", "-o", &signed]);
    let wrong = run(&["sign", &signed, "--check", &path("other.pub")]);
    assert!(said(&wrong).contains("does not hold"), "{}", said(&wrong));
    let unsigned = run(&["sign", &model(), "--check", &path("k.pub")]);
    assert!(said(&unsigned).contains("not signed"), "{}", said(&unsigned));
    let above = run(&["sign", &model(), "--key", &key, "--version", "7", "--minimum", "8"]);
    assert!(said(&above).contains("refuse this very model"), "{}", said(&above));
    let public = run(&["sign", &model(), "--key", &path("k.pub"), "--version", "7"]);
    assert_eq!(public.status.code(), Some(1));
    let absent = run(&["sign", &model()]);
    assert_eq!(absent.status.code(), Some(2));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let open = run(&["sign", &model(), "--key", &key, "--version", "7", "-o", &signed]);
        assert!(said(&open).contains("chmod 600"), "{}", said(&open));
    }
}

/// Every file of a folder, and what it holds.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.map(|p| (p.clone(), fs::read(p).unwrap_or_default())).collect();
    all.sort();
    all
}

#[test]
fn no_output_takes_the_place_of_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (own, chip, key) = (path("own.uf2"), path("chip.svg"), path("k"));
    let first = path("circuit-1.qasm");
    fs::write(&own, crate::MODEL).unwrap();
    fs::write(&chip, r#"{"name":"c","n_qubits":2,"coupling_map":[[0,1]]}"#).unwrap();
    for circuit in [&first, &path("a.svg")] {
        fs::copy(data("qdllm11_random0.qasm"), circuit).unwrap();
    }
    assert!(run(&["keygen", &key]).status.success());
    let here = folder.path().display().to_string();
    let before = files(folder.path());
    for arguments in [
        vec!["image", "--board", "pico", "--model", &own, "-o", &own],
        vec!["sign", &own, "--key", &key, "--version", "1", "-o", &own],
        vec!["sign", &own, "--key", &key, "--version", "1", "-o", &key],
        vec!["draw", "--qasm", &path("a.svg"), "-o", &path("a.svg")],
        vec!["draw", "--qasm", &first, "--compiled", "--target", &chip, "--svg", &chip],
        vec!["transpile", "--qasm", &first, "-o", &here],
    ] {
        let output = run(&arguments);
        let said = said(&output);
        assert!(said.contains("written over"), "{arguments:?}: {said}");
        assert_eq!(files(folder.path()), before, "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn closed_pipes_are_quiet_and_full_disks_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("jobs").display().to_string();
    let (circuit, model) = (data("qdllm11_random0.qasm"), model());
    for arguments in [
        vec!["--help"],
        vec!["submit", "--help"],
        vec!["draw", "--qasm", &circuit],
        vec!["draw", "--qasm", &circuit, "--json"],
        vec!["transpile", &model, "turn on the light", "--timing"],
        vec!["status", "--store", &store],
        vec!["completions", "zsh"],
        vec!["man"],
    ] {
        let command = || {
            let mut command = std::process::Command::new(crate::BINARY);
            command.args(&arguments);
            command
        };
        let full = || fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command().stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("No space left"), "{arguments:?}: {}", said(&output));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command().stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).contains("error"), "{arguments:?}: {}", said(&output));
        assert!(command().stderr(full()).output().unwrap().status.success(), "{arguments:?}");
    }
}

#[test]
fn dashes_stand_for_standard_input_and_output() {
    let model = fs::read(model()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("k").display().to_string();
    assert!(run(&["keygen", &key]).status.success());
    let mut command = std::process::Command::new(crate::BINARY);
    command.args(["sign", "-", "--key", &key, "--version", "1", "-o", "-"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &model).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    qdllm_runtime::Model::parse(&output.stdout).unwrap();
    assert!(said(&output).contains("signed"), "{}", said(&output));
    let drawn = folder.path().join("c.txt").display().to_string();
    let circuit = data("qdllm11_random0.qasm");
    assert!(run(&["draw", "--qasm", &circuit, "--out", &drawn]).status.success());
    assert!(fs::read_to_string(&drawn).unwrap().starts_with(" q0: "));
    let odd = run(&["draw", "--qasm", &circuit, "--out", "c.pdf"]);
    assert_eq!(odd.status.code(), Some(2), "{}", said(&odd));
}

#[test]
fn simulate_rehearses_a_bare_circuit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.qasm");
    let text = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[3];\ncreg c[3];\nrx(0.4) q[0];\nry(1.1) q[1];\n\
                cx q[0],q[1];\nmeasure q -> c;\n";
    fs::write(&path, text).unwrap();
    let file = path.display().to_string();
    let all =
        |more: &[&str]| run(&[&["simulate", "--qasm", &file, "--shots", "8192"], more].concat());
    let seen = json(&all(&["--json"]));
    let want = [0.4_f64.cos(), 0.4_f64.cos() * 1.1_f64.cos(), 1.0];
    for (k, want) in want.iter().enumerate() {
        let number = |of: &str| seen[of]["values"][k].as_f64().unwrap();
        assert!((seen["exact"][k].as_f64().unwrap() - want).abs() < 1e-9, "{seen:#}");
        assert!((number("noiseless") - want).abs() < 0.067, "{seen:#}");
        assert!(
            number("noisy").abs() <= 1.0 && seen["noisy"]["errors"][k].as_f64().unwrap() < 0.02
        );
    }
    assert_eq!(seen["quota"]["jobs"], seen["counts"].as_array().unwrap().len());
    assert_eq!(seen, {
        let mut again = json(&all(&["--json"]));
        again["seconds"] = seen["seconds"].clone();
        again
    });
    let words = String::from_utf8(all(&[]).stdout).unwrap();
    assert!(words.contains("shots alone") && words.contains("###"), "{words}");
    assert!(words.lines().filter(|l| l.contains('#')).all(|l| l.len() <= 80), "{words}");
    for arguments in [
        &["simulate"][..],
        &["simulate", "--qasm", &file, "--data", &file],
        &["simulate", "--model", &file],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn drawings_fold_at_the_width() {
    let file = data("qdllm11_random0.qasm");
    let drawn = |more: &[&str]| {
        String::from_utf8(run(&[&["draw", "--qasm", &file], more].concat()).stdout).unwrap()
    };
    let longest = |text: &str| text.lines().map(str::len).max().unwrap();
    // Not a terminal: 80 columns.
    let usual = drawn(&[]);
    assert!(longest(&usual) <= 80 && usual.matches(" q0: ").count() > 1);
    let wide = drawn(&["--width", "0"]);
    assert!(longest(&wide) > 300 && wide.matches(" q0: ").count() == 1);
    assert!(longest(&drawn(&["--width", "40"])) <= 40);
    let marks = |text: &str| text.matches("rzz(").count();
    assert_eq!(marks(&usual), marks(&wide));
}

#[test]
fn calibration_that_cannot_be_is_refused_or_said_wherever_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let chip = |name: &str, fields: &str| {
        let qubit = |q: usize| format!(r#""Q{q}": {{"index": {q}{fields}}}"#);
        let text = format!(
            r#"{{"qubits_info": {{{}, {}}}, "couplers_info": {{"C0": {{"qubits_index": [0, 1], "fidelity": 0.98}}}}}}"#,
            qubit(0),
            qubit(1)
        );
        write(name, &text)
    };
    let bad = [
        chip("perfect.json", r#", "fidelity": 1.3"#),
        chip("negative.json", r#", "T1": -30"#),
        chip("text.json", r#", "T2": "NaN""#),
        chip("nan.json", r#", "T2": NaN"#),
    ];
    let percent = chip(
        "percent.json",
        r#", "fidelity": 99.9, "readout g_fidelity": 98.3, "readout e_fidelity": 97.0"#,
    );
    let coherent = chip("coherent.json", r#", "T1": 20, "T2": 50"#);
    let circuit =
        write("c.qasm", "OPENQASM 2.0;\nqreg q[2];\ncreg c[2];\nh q[0];\nmeasure q -> c;\n");
    let commands: [&[&str]; 4] = [
        &["transpile", "--qasm", &circuit],
        &["simulate", "--qasm", &circuit, "--shots", "16"],
        &["draw", "--compiled", "--qasm", &circuit],
        &["serve", "--port", "0"],
    ];
    for command in commands {
        for file in &bad {
            let output = run(&[command, &["--target", file]].concat());
            assert_eq!(output.status.code(), Some(1), "{command:?} {file}");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains(file.as_str()), "{command:?}: {error}");
        }
        if command[0] == "serve" {
            continue;
        }
        for (file, what) in
            [(&percent, "taken as percent (6 such)"), (&coherent, "more than twice T1")]
        {
            let output = run(&[command, &["--target", file]].concat());
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && error.contains("note: "), "{command:?}: {error}");
            assert!(
                what.split(" (").all(|part| error.contains(part)),
                "{command:?} {what}: {error}"
            );
        }
    }
    for (options, code, message) in [
        (&["--t1-us", "10", "--t2-us", "50"][..], 2, "more than twice --t1-us 10"),
        (&["--cz-error", "1"], 2, "worse than a random gate"),
        (&["--one-error", "0.6"], 2, "worse than a random gate"),
        (&["--one-error", "NaN"], 2, "at least 0, at most 1"),
    ] {
        let output = run(&[commands[1], options].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {error}");
        assert!(error.contains(message), "{options:?}: {error}");
    }
    // What "success" covers stands beside it.
    let covered = |target: &str| {
        String::from_utf8(run(&["transpile", "--qasm", &circuit, "--target", target]).stdout)
            .unwrap()
    };
    assert!(
        covered(&percent).contains("(gates and read-out; not waiting"),
        "{}",
        covered(&percent)
    );
    assert!(covered(&coherent).contains("(gates; read-out errors are unknown; not waiting"));
}

#[test]
fn values_out_of_range_are_wrong_use() {
    let (model, jobs) = (model(), tempfile::tempdir().unwrap());
    let store = ["--store", jobs.path().to_str().unwrap()];
    let submit = ["submit", &model, "turn on"];
    let many = ["submit", &model, "--data", "texts.tsv"];
    let simulate = ["simulate", "--model", &model, "--data", "texts.tsv"];
    let image = ["image", "--board", "pico", "--model", &model, "-o", "x.bin"];
    let flash = ["flash", "--board", "pico", "--model", &model];
    let board = ["board", "--port", "tcp:127.0.0.1:1", "info"];
    for (command, option, values) in [
        (&image[..], "--slot", &["2", "256", "x"][..]),
        (&flash, "--slot", &["2"]),
        (&simulate, "--limit", &["0"]),
        (&simulate, "--shots", &["1", "1000001"]),
        (&simulate, "--readout-error", &["2", "0.1,nan"]),
        (&simulate, "--one-error", &["0.6", "nan"]),
        (&simulate, "--t1-us", &["0", "nan"]),
        (&simulate, "--target", &["line:0", "grid:0x2", "full:1000000000"]),
        (&many, "--first", &["0"]),
        (&submit, "--shots", &["0"]),
        (&submit, "--timeout", &["0", "nan", "inf"]),
        (&submit, "--tries", &["0"]),
        (&submit, "--pause", &["18446744073709551615"]),
        (&submit, "--backoff", &["18446744073709551615"]),
        (&submit, "--settle", &["18446744073709551615"]),
        (&["fetch"], "--wait", &["nan", "inf"]),
        (&["fetch"], "--poll", &["0"]),
        (&["cancel", "all"], "--settle", &["18446744073709551615"]),
        (&board, "--baud", &["0"]),
        (&["board", "info"], "--port", &["", "tcp:nowhere"]),
        (&["board", "bench"], "--runs", &["0", "1001"]),
        (&["serve"], "--target", &["line:0"]),
        (&["serve"], "--port", &["65536"]),
    ] {
        for value in values {
            let own = ["submit", "fetch", "cancel"].contains(&command[0]);
            let store = if own { &store[..] } else { &[] };
            let output = run(&[command, &[option, value], store].concat());
            let error = said(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?} {option} {value}: {error}");
        }
    }
}

#[test]
fn texts_are_read_from_every_form_of_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"light\tturn on\nmusic\tplay\n").unwrap();
    let model = model();
    let texts = |path: &str, more: &[&str]| {
        let command = ["simulate", "--model", &model, "--shots", "16", "--json", "--data", path];
        json(&run(&[&command[..], more].concat()))
    };
    let csv = b"id,message,category\n1,\"turn, it on\",light\n2,play,music\n";
    for (path, more, labels) in [
        (write("a.csv", csv), &[][..], true),
        (write("b.csv", b"text;class\nturn on;light\nplay;music\n"), &["--delimiter", ";"], true),
        (write("c.csv", b"id,message\n1,turn on\n2,play\n"), &["--text-column", "2"], false),
        (write("d.tsv", b"text\tlabel\nturn on\tlight\nplay\tmusic\n"), &[], true),
        (write("e.tsv.gz", &packed.finish().unwrap()), &[], true),
        (write("f.txt", b"turn on\nplay\n"), &[], false),
        (write("g.txt", b"__label__light turn on\n__label__music play\n"), &[], true),
        (
            write("h.jsonl", b"{\"text\":\"turn on\"}\n{\"text\":\"play\",\"label\":null}\n"),
            &[],
            false,
        ),
        (write("i.tsv", b"light\tturn on\nno tab\nmusic\tplay\n"), &["--bad-rows", "skip"], true),
    ] {
        let seen = texts(&path, more);
        assert_eq!(seen["texts"], 2, "{path}: {seen}");
        assert_eq!(seen["exact"]["accuracy"].is_null(), !labels, "{path}: {seen}");
    }
    let bad = write("bad.tsv", b"light\tturn on\nno tab\n");
    let refused = run(&["simulate", "--model", &model, "--data", &bad]);
    assert!(said(&refused).contains("bad.tsv:2: no tab"), "{}", said(&refused));
}

#[test]
fn files_are_looked_at_before_ports() {
    let absent = run(&["board", "--port", "/dev/nothing", "put", "absent.qdm"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(said(&absent).contains("absent.qdm"), "{}", said(&absent));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.qdm");
    fs::write(&path, "no model").unwrap();
    // Nothing may answer there: the connection would be an error of its own.
    let wrong = run(&["board", "--port", "tcp:127.0.0.1:1", "put", path.to_str().unwrap()]);
    assert!(said(&wrong).contains("text.qdm"), "{}", said(&wrong));
}
