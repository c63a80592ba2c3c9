//! The published Python clients against the stand-in.

use crate::kit::{BINARY, Server, TOKEN, texts};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

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
