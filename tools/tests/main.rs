//! Tests of the crate in one program. Here: what several of them share.

mod answer;
mod cli;
mod image;
mod noise;
mod quafu;
mod transpile;

use std::path::PathBuf;
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
