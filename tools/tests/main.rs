//! Tests of the crate in one program. Here: what several of them share.

mod answer;
mod cli;
mod image;
mod noise;
mod quafu;
mod transpile;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_qdllm-hw");

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// The frozen sample model of the format's tests.
const MODEL: &[u8] = include_bytes!("../../tests/vectors/words_v1.qdm");

fn model() -> String {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "tests", "vectors", "words_v1.qdm"].iter().collect();
    path.display().to_string()
}

/// Cargo looks for no tests by itself here: a file without its `mod` would silently be left out.
#[test]
fn every_file_is_declared() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), "main.rs");
}

fn check(folder: &Path, declares: &str) {
    let declared = fs::read_to_string(folder.join(declares)).unwrap();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let source = path.extension().is_some_and(|e| e == "rs") && !path.ends_with(declares);
        let module = path.join("mod.rs").is_file();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let line = format!("mod {name};");
        assert!(!(source || module) || declared.lines().any(|l| l == line), "{}", path.display());
        if module {
            check(&path, "mod.rs");
        }
    }
}
