//! `cargo run --release` in a board's folder has one program to run and something to run it with.

use serde_json::Value;
use std::fs;
use std::path::Path;
use xtask::repo::Repo;

#[test]
fn cargo_run_in_a_boards_folder_has_one_program_and_a_runner() {
    let repo = Repo::find().unwrap();
    let run = repo.firmware_on_host("metadata").args(["--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&run.read().unwrap()).unwrap();
    let mut boards = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        if folder.parent() != Some(&repo.firmware.join("boards")) {
            continue;
        }
        boards += 1;
        let board = folder.file_name().unwrap().to_string_lossy();
        let targets = package["targets"].as_array().unwrap().iter();
        let programs: Vec<&Value> =
            targets.filter(|t| t["kind"][0] == "bin").map(|t| &t["name"]).collect();
        let runs = match &programs[..] {
            [one] => one,
            _ => &package["default_run"],
        };
        assert_eq!(*runs, format!("qdllm-{board}"), "{board} has {programs:?}");
        let config = fs::read_to_string(folder.join(".cargo/config.toml")).unwrap();
        let runner = config.lines().find_map(|line| line.strip_prefix("runner = \"")).unwrap();
        let program = runner.split([' ', '"']).next().unwrap();
        if program.contains('/') {
            assert!(folder.join(program).is_file(), "{board}: {program}");
        } else {
            assert_eq!(program, "espflash", "{board}");
        }
    }
    assert_eq!(
        boards,
        fs::read_dir(repo.firmware.join("boards"))
            .unwrap()
            .flatten()
            .filter(|e| e.path().is_dir())
            .count()
    );
}
