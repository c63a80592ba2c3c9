//! What manifests and folders must agree on: `cargo run --release` in a board's folder has one program and
//! something to run it with, every file of tests is compiled, documents link to files that are there, and the
//! scripts in `tests/peers` hold, as far as they run without the programs that they compare with. Also what both
//! programs say of their commands.

use clap::CommandFactory as _;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xtask::repo::Repo;
use xtask::shell::Run;

/// The packages of a workspace.
fn packages(repo: &Repo, manifest: &str) -> Vec<Value> {
    let words = ["metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest];
    let read = repo.host("cargo").args(words).read().unwrap();
    let metadata: Value = serde_json::from_str(&read).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn cargo_run_in_a_boards_folder_has_one_program_and_a_runner() {
    let repo = Repo::find().unwrap();
    let mut boards = 0;
    for package in packages(&repo, "firmware/Cargo.toml") {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        if folder.parent() != Some(&repo.firmware.join("boards")) {
            continue;
        }
        boards += 1;
        assert_eq!(package["features"]["signing"][0], "qdllm-app/signing", "{}", folder.display());
        let program = fs::read_to_string(folder.join("src/main.rs")).unwrap();
        assert!(program.contains(".with_key(env!(\"QDLLM_PUBLIC_KEY\"))"), "{}", folder.display());
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

/// Adds `file` and the files of the modules that it declares.
fn compiled(file: PathBuf, root: bool, found: &mut BTreeSet<PathBuf>) {
    let text = fs::read_to_string(&file).unwrap();
    let folder = match file.file_stem().unwrap() {
        _ if root => file.parent().unwrap().to_path_buf(),
        stem if stem == "mod" => file.parent().unwrap().to_path_buf(),
        _ => file.with_extension(""),
    };
    for line in text.lines() {
        let line = line.trim_start_matches("pub ");
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            let files = [folder.join(name).join("mod.rs"), folder.join(format!("{name}.rs"))];
            compiled(files.into_iter().find(|f| f.is_file()).unwrap(), false, found);
        }
    }
    found.insert(file);
}

fn rust_files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.insert(path);
        }
    }
}

/// Of every crate: where `autotests` is off, a file without its `mod` would be left out without a word, and
/// everywhere one in a folder below.
#[test]
fn every_file_is_declared() {
    let repo = Repo::find().unwrap();
    let mut crates = 0;
    for package in ["Cargo.toml", "firmware/Cargo.toml"].map(|m| packages(&repo, m)).concat() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let tests = manifest.with_file_name("tests");
        if !tests.is_dir() {
            continue;
        }
        crates += 1;
        let (mut there, mut reached) = (BTreeSet::new(), BTreeSet::new());
        rust_files(&tests, &mut there);
        let targets = package["targets"].as_array().unwrap().iter();
        for target in targets.filter(|target| target["kind"][0] == "test") {
            compiled(PathBuf::from(target["src_path"].as_str().unwrap()), true, &mut reached);
        }
        let lost: Vec<_> = there.difference(&reached).collect();
        assert!(lost.is_empty(), "no program of tests has {lost:?}");
    }
    assert!(crates >= 5, "{crates} crates have tests");
}

/// Standard output and standard error have one writer, which knows closed pipes, full disks and foreign texts.
#[test]
fn one_writer_stands_before_the_terminal() {
    let repo = Repo::find().unwrap();
    let folders = ["ls-files", "trainer/src", "tools/src", "tools/host/src"];
    let files = repo.host("git").args(folders).read().unwrap();
    for file in files.lines().filter(|f| f.ends_with(".rs")) {
        let text = fs::read_to_string(repo.root.join(file)).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        let product = product.replace("io::stdout().is_terminal()", "");
        for word in ["println!", "print!", "io::stdout()", "io::stderr().lock()"] {
            let own = file == "tools/host/src/terminal.rs";
            assert!(own || !product.contains(word), "{file}: {word}; use qdllm_host::terminal");
        }
    }
}

/// A README says what a thing is, how to use it and its limits; the rest is a guide of its own beside it. And
/// what a document links to is there.
#[test]
fn readmes_are_short_and_links_lead_to_files() {
    let repo = Repo::find().unwrap();
    let files = repo.host("git").args(["ls-files", "*.md"]).read().unwrap();
    let mut links = 0;
    for file in files.lines().map(|file| repo.root.join(file)) {
        let text = fs::read_to_string(&file).unwrap();
        if file.ends_with("README.md") {
            assert!(text.lines().count() <= 150, "{} is over 150 lines long", file.display());
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if link.is_empty() || link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            links += 1;
            let target = file.with_file_name(link);
            assert!(target.exists(), "{} links to {link}", file.display());
        }
    }
    assert!(links > 20, "{links} links");
}

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

/// What a person reads of a command first: a line in the list, and the whole text with `--help`.
#[test]
fn every_command_teaches_its_use() {
    let programs =
        [(qdllm_tools::cli::Cli::command(), 15), (qdllm_trainer::cli::Cli::command(), 10)];
    for (program, least) in programs {
        let mut long = 0;
        for command in program.get_subcommands().filter(|c| c.get_name() != "help") {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            let text = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            // Texts that are laid out by hand break badly beyond the width of help.
            assert!(!text.contains("Examples:") || widest <= 100, "{name}: {widest}");
            long += usize::from(text.lines().count() > 1);
        }
        let name = program.get_name();
        assert!(long >= least, "{name}: {long} commands have more than a line of help");
    }
}
