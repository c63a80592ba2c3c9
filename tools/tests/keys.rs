//! `qdllm-hw keygen` and `sign` as a user runs them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qdllm-hw")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn model() -> String {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "tests", "vectors", "words_v1.qdm"].iter().collect();
    path.display().to_string()
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
    let bytes = fs::read(&signed).unwrap();
    qdllm_runtime::Model::parse(&bytes).unwrap();
    let checked = run(&["sign", &signed, "--check", &public, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&shown["version"], &shown["minimum"]), (&7.into(), &7.into()));
    // Signed anew in place, with a lower minimum.
    let again = run(&["sign", &signed, "--key", &key, "--version", "8", "--minimum", "5"]);
    assert!(again.status.success(), "{}", said(&again));
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
