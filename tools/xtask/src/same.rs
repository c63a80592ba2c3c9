//! `same`: what users see, compared with a record: model files, help, errors, JSON, sizes, names of tests.
//!
//! `tests/same/cases.toml` says what is run, `record.txt` holds what it gave before the first change of a
//! restructuring, `permitted.toml` each difference that was allowed since, with its commit and reason.
//! Hashes of model files hold for one machine: other vector widths add floats in another order.

use crate::budgets;
use crate::repo::Repo;
use crate::shell::{Run, say};
use anyhow::{Context, Result, ensure};
use clap::Args;
use qdllm_host::errors::OfFile as _;
use qdllm_host::{files, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TOPIC: &str = "same";
const FOLDER: &str = "tests/same";
/// Numbers that differ from run to run.
const UNSTEADY: [&str; 4] = ["seconds", "micros", "_us", "memory_bytes"];

/// Options of `cargo xtask same`.
#[derive(Args)]
pub struct Options {
    /// Writes the record anew: only before a restructuring, never to hide a difference
    #[arg(long)]
    record: bool,
    /// Permits every difference found, under this reason and today's commit
    #[arg(long, value_name = "REASON", conflicts_with = "record")]
    permit: Option<String>,
    /// Leaves out the images, which take minutes to build and run
    #[arg(long)]
    no_images: bool,
    /// Another checkout that is built and run in place of this one
    #[arg(long, value_name = "FOLDER")]
    of: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// One call of a program, in the work folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The program and its arguments, divided by spaces; `'...'` keeps a space.
    run: String,
    /// A file that the call writes: its hash is recorded, not what was printed.
    #[serde(default)]
    writes: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permitted {
    #[serde(default)]
    difference: Vec<Difference>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    what: String,
    /// Hash of the new value, so that a further change is seen; `gone` where nothing is left.
    now: String,
    commit: String,
    reason: String,
}

type Record = BTreeMap<String, String>;

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let other = options.of.as_ref().map(std::path::absolute).transpose()?;
    let other = other.map(|root| Repo { firmware: root.join("firmware"), root });
    let tree = other.as_ref().unwrap_or(repo);
    let mut now = Record::new();
    programs(repo, tree, &mut now)?;
    tests(tree, &mut now)?;
    if !options.no_images {
        for (name, figures) in budgets::figures(tree)? {
            now.insert(format!("image {name}"), figures);
        }
    }
    now.values_mut().for_each(|value| value.truncate(value.trim_end().len()));
    let file = repo.root.join(FOLDER).join("record.txt");
    if options.record {
        return std::fs::write(&file, written(&now)).context("the record");
    }
    let mut then = read(&files::read_text(&file)?);
    if options.no_images {
        then.retain(|name, _| !name.starts_with("image "));
    }
    compare(repo, [&then, &now], options.permit.as_deref())
}

/// Says what differs from the record beyond what is permitted.
fn compare(repo: &Repo, [then, now]: [&Record; 2], permit: Option<&str>) -> Result<()> {
    let path = repo.root.join(FOLDER).join("permitted.toml");
    let mut permitted: Permitted = match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).of_file(&path)?,
        Err(_) => Permitted::default(),
    };
    let mut found = Vec::new();
    let names: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    for name in names.into_iter().filter(|name| then.get(*name) != now.get(*name)) {
        let hash = now.get(name).map_or("gone".to_owned(), |value| digest(value.as_bytes()));
        if permitted.difference.iter().any(|d| d.what == *name && d.now == hash) {
            continue;
        }
        let side = |record: &Record| record.get(name).cloned().unwrap_or_default();
        say(TOPIC, format!("DIFFERS: {name}\n{}", lines(&side(then), &side(now))));
        found.push((name.clone(), hash));
    }
    say(TOPIC, format!("{} of {} values compared differ", found.len(), now.len()));
    let Some(reason) = permit else {
        ensure!(found.is_empty(), "{} differences are not permitted", found.len());
        return Ok(());
    };
    let commit = repo.host("git").args(["rev-parse", "--short=12", "HEAD"]).read()?;
    let commit = commit.trim();
    permitted.difference.retain(|d| found.iter().all(|(name, _)| *name != d.what));
    permitted.difference.extend(found.into_iter().map(|(what, now)| {
        let (commit, reason) = (commit.to_owned(), reason.to_owned());
        Difference { what, now, commit, reason }
    }));
    std::fs::write(&path, toml::to_string(&permitted)?).context("permitted.toml")
}

/// The lines that only one side has.
fn lines(then: &str, now: &str) -> String {
    let mut text = String::new();
    for (mark, one, other) in [('-', then, now), ('+', now, then)] {
        for line in one.lines().filter(|line| !other.lines().any(|o| o == *line)) {
            let _ = writeln!(text, "  {mark} {line}");
        }
    }
    text
}

/// Every call of `cases.toml` and every page of help.
fn programs(repo: &Repo, tree: &Repo, record: &mut Record) -> Result<()> {
    let programs = ["--package", "qdllm-trainer", "--package", "qdllm-tools"];
    tree.host("cargo").args(["build", "--release", "--quiet"]).args(programs).go()?;
    let bin = tree.target_dir()?.join("release");
    let work = repo.target_dir()?.join("same");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    inputs(repo, &work)?;
    for program in ["qdllm", "qdllm-hw"] {
        help(&bin, &work, &[program.to_owned()], record)?;
    }
    let cases = files::read_text(&repo.root.join(FOLDER).join("cases.toml"))?;
    for case in toml::from_str::<Cases>(&cases)?.case {
        say(TOPIC, &case.name);
        let words = words(&case.run);
        let (code, printed) = call(&bin.join(&words[0]), &words[1..], &work)?;
        let value = match &case.writes {
            Some(file) => {
                let bytes = std::fs::read(work.join(file)).with_context(|| printed)?;
                format!("{} {} bytes", digest(&bytes), bytes.len())
            }
            None => format!("exit code {code}\n{}", steady(&printed)),
        };
        record.insert(format!("case {}", case.name), value);
    }
    Ok(())
}

/// A small labelled set, a judged one and vectors of both, made from the shipped commands.
fn inputs(repo: &Repo, work: &Path) -> Result<()> {
    let mut vectors = String::new();
    for (name, count) in [("train", 800), ("test", 200)] {
        let from = repo.root.join(format!("trainer/data/commands/{name}.tsv"));
        let rows = files::read_text(&from)?;
        let rows: Vec<&str> = rows.lines().take(count).collect();
        std::fs::write(work.join(format!("{name}.tsv")), rows.join("\n") + "\n")?;
        for row in rows {
            let (_, text) = row.split_once('\t').context("a row without a tab")?;
            // Shares of letters: enough to tell some classes, the same on every machine.
            let share = |letter: u8| {
                let found = text.bytes().filter(|&b| b == letter).count();
                (found * 1000 / text.len().max(1)) as f64 / 1000.0
            };
            let vector: Vec<f64> = (b'a'..=b'x').map(share).collect();
            let row = serde_json::json!({ "text": text, "vector": vector });
            let _ = writeln!(vectors, "{row}");
        }
    }
    std::fs::write(work.join("vectors.jsonl"), vectors)?;
    std::fs::write(work.join("bad.tsv"), "turn_on\tturn it on\nno tab here\n")?;
    std::fs::write(work.join("bad.qasm"), "OPENQASM 2.0;\nqreg q[2];\nfoo q[0];\n")?;
    let circuit = repo.root.join("tools/tests/data/qdllm11_random0.qasm");
    std::fs::copy(circuit, work.join("random0.qasm"))?;
    std::fs::copy(repo.root.join("tests/models/commands.qdm"), work.join("commands.qdm"))?;
    Ok(())
}

/// The help of a command and of those below it.
fn help(bin: &Path, work: &Path, path: &[String], record: &mut Record) -> Result<()> {
    let words = [path, &["--help".to_owned()]].concat();
    let (code, text) = call(&bin.join(&words[0]), &words[1..], work)?;
    ensure!(code == 0, "{words:?}: exit code {code}");
    let below = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below = below.map_while(|line| line.strip_prefix("  "));
    let names = below.filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.filter(|&name| name != "help").map(str::to_owned).collect();
    record.insert(format!("help {}", path.join(" ")), text);
    names.into_iter().try_for_each(|name| help(bin, work, &[path, &[name]].concat(), record))
}

/// Exit code and what was printed on both streams.
fn call(program: &Path, arguments: &[String], work: &Path) -> Result<(i32, String)> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(work)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let code = output.status.code();
    let code = code.with_context(|| format!("{}: ended by a signal", program.display()))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((code, String::from_utf8_lossy(&text).into_owned()))
}

/// Takes out numbers that differ from run to run; JSON is laid out a value a line first.
fn steady(text: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(text);
    let text = &json.map_or_else(|_| text.to_owned(), |json| format!("{json:#}"));
    let unsteady = |line: &&str| {
        let key = line.trim_start().split(':').next().unwrap_or_default();
        !UNSTEADY.iter().any(|mark| key.contains(mark))
    };
    text.lines().filter(unsteady).map(|line| format!("{line}\n")).collect()
}

/// Names of test functions with how often each occurs, wherever they stand.
fn tests(tree: &Repo, record: &mut Record) -> Result<()> {
    let files = tree.host("git").args(["ls-files", "*.rs"]).read()?;
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for file in files.lines() {
        let text = std::fs::read_to_string(tree.root.join(file)).unwrap_or_default();
        let mut marked = false;
        for line in text.lines().map(str::trim_start) {
            marked |= line.starts_with("#[test]");
            if let (true, Some(rest)) = (marked, line.strip_prefix("fn ")) {
                let name = rest.split('(').next().unwrap_or_default();
                *names.entry(name.to_owned()).or_default() += 1;
                marked = false;
            }
        }
    }
    for (name, count) in names {
        record.insert(format!("test {name}"), count.to_string());
    }
    Ok(())
}

fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let each = parts.flat_map(|(i, part)| match i % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    each.collect()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..12])
}

/// Blocks of a line `=== name` and the value under it.
fn written(record: &Record) -> String {
    record.iter().map(|(name, value)| format!("=== {name}\n{}\n", value.trim_end())).collect()
}

fn read(text: &str) -> Record {
    let blocks = text.split("=== ").skip(1).filter_map(|block| block.split_once('\n'));
    blocks.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}
