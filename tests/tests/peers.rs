//! The scripts in `tests/peers`, as far as they run without the programs that they compare with.

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn proofs_of_the_scripts_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let unittest = || {
        let mut python = Command::new("python3");
        python.args(["-B", "-m", "unittest", "discover", "-v"]).arg(&folder).stdin(Stdio::null());
        python.output()
    };
    let Ok(output) = unittest() else {
        println!("\nSKIPPED tests/peers: python3 is missing");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("test_each_text_must_be_there_once_and_nothing_else"), "{said}");
}
