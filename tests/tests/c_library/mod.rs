//! The C library (`firmware/c`) against the runtime's integers: all that both say of a text, to the last bit.
//!
//! `QDLLM_TEXTS` makes more texts than a quick run takes, `QDLLM_SEED` others. What cannot run here says so in a line that
//! begins with `SKIPPED`.

mod exported;
mod packages;
mod random;
mod targets;

use anyhow::{Context, Result, ensure};
use qdllm_runtime::{Model, Probabilities};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use xtask::repo::Repo;
use xtask::shell::{Run as _, which};

const STRICT: [&str; 6] = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror"];

/// The number in an environment variable, or a usual one.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Whether the programs are there; says what is not.
fn there(what: &str, programs: &[&str], packages: &str) -> bool {
    let missing: Vec<&str> =
        programs.iter().copied().filter(|program| which(program).is_none()).collect();
    if !missing.is_empty() {
        println!(
            "\nSKIPPED {what}: {} is missing; run: apt-get install {packages}",
            missing.join(", ")
        );
    }
    missing.is_empty()
}

fn folder() -> Result<PathBuf> {
    Ok(Repo::find()?.firmware.join("c"))
}

/// The example's model, as its header has it: one line a row of the array.
fn example() -> Result<Vec<u8>> {
    let header = fs::read_to_string(folder()?.join("examples/Commands/model.h"))?;
    let array = header.split_once("QDLLM_FLASH = {").and_then(|(_, rest)| rest.split_once('}'));
    let (array, _) = array.context("the example's header has an array")?;
    array.trim().trim_end_matches(',').split(',').map(|number| Ok(number.trim().parse()?)).collect()
}

/// Models with a polynomial that were trained, by name.
fn trained() -> Result<[(&'static str, Vec<u8>); 2]> {
    let words = Repo::find()?.root.join("tests/models/commands.qdm");
    Ok([("tests/models/commands.qdm", fs::read(words)?), ("the example's model", example()?)])
}

/// Texts of the smart home and such as are made at random.
fn texts(count: u64, seed: u64) -> Result<Vec<Vec<u8>>> {
    let data = fs::read_to_string(Repo::find()?.root.join("trainer/data/commands/test.tsv"))?;
    let known = data.lines().filter_map(|line| line.split('\t').nth(1)).take(count as usize / 2);
    let mut texts: Vec<Vec<u8>> = known.map(|text| text.as_bytes().to_vec()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    texts.resize_with(count as usize, || random::text(&mut random));
    Ok(texts)
}

/// The texts as the C programs of the tests read them: length, bytes.
fn packed(texts: &[Vec<u8>]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text].concat()).collect()
}

/// What the runtime says, as the C programs write it: n-grams found, class, rejected, probabilities.
fn expected(model: &[u8], texts: &[Vec<u8>]) -> Result<Vec<u32>> {
    let model = Model::parse(model)?;
    let (mut memory, mut words) = (Probabilities::new(), vec![0]);
    for text in texts {
        let prediction =
            model.classify_by_polynomial(&String::from_utf8_lossy(text), &mut memory)?;
        words.extend([
            prediction.found(),
            prediction.class() as u32,
            prediction.is_rejected().into(),
        ]);
        // An f32 of at most 1 has at most 30 bits behind the point here.
        words.extend(
            prediction.probabilities().iter().map(|&p| (f64::from(p) * f64::from(1 << 30)) as u32),
        );
    }
    Ok(words)
}

/// Compares answers word by word; gives how many probabilities that were.
fn compare(name: &str, model: &[u8], texts: &[Vec<u8>], answers: &[u8]) -> Result<u64> {
    let got: Vec<u32> =
        answers.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let expected = expected(model, texts).context("the model of the test")?;
    let width = 3 + Model::parse(model)?.classes();
    for (i, text) in texts.iter().enumerate() {
        let at = 1 + i * width..1 + (i + 1) * width;
        let (right, got) = (&expected[at.clone()], got.get(at).unwrap_or_default());
        let shown = String::from_utf8_lossy(text);
        ensure!(
            right == got,
            "{name}, text {i} {shown:?} {text:x?}:\nruntime {right:?}\nC       {got:?}"
        );
    }
    ensure!(
        got.len() == expected.len() && got[0] == 0,
        "{name}: said {:?}, {} words",
        got.first(),
        got.len()
    );
    Ok((texts.len() * (width - 3)) as u64)
}

/// Builds the library with a program of its tests; what it builds lies in `out`.
fn compile(compiler: &str, options: &[&str], program: &str, out: &Path) -> Result<()> {
    let mut command = Command::new(compiler);
    command.current_dir(folder()?).args(STRICT).args(["-Isrc", "src/qdllm.c", program]);
    // Libraries come last.
    command.arg("-o").arg(out).args(options).read().map(drop)
}

/// Runs the host's program on a model and texts.
fn answers(program: &Path, work: &TempDir, model: &[u8], texts: &[Vec<u8>]) -> Result<Vec<u8>> {
    let (file, input) = (work.path().join("model.qdm"), work.path().join("texts"));
    fs::write(&file, model)?;
    fs::write(&input, packed(texts))?;
    let output = Command::new(program).arg(&file).stdin(File::open(&input)?).output()?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

#[test]
fn host_answers_are_the_runtimes_to_the_last_bit() -> Result<()> {
    if !there("C on the host", &["gcc"], "gcc") {
        return Ok(());
    }
    let work = TempDir::new()?;
    let program = work.path().join("host");
    let checks = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    compile("gcc", &checks, "tests/host.c", &program)?;
    let (count, seed) = (number("QDLLM_TEXTS", 40_000), number("QDLLM_SEED", 1));
    let (mut all, mut compared) = (0, 0);
    for (name, model) in trained()? {
        let texts = texts(count / 4, seed)?;
        compared += compare(name, &model, &texts, &answers(&program, &work, &model, &texts)?)?;
        all += texts.len();
    }
    for i in 0..count / 500 {
        let mut random = ChaCha8Rng::seed_from_u64(seed << 32 | i);
        let model = random::model(&mut random);
        let texts: Vec<Vec<u8>> = (0..250).map(|_| random::text(&mut random)).collect();
        let name = format!("random model {i} of seed {seed}");
        compared += compare(&name, &model, &texts, &answers(&program, &work, &model, &texts)?)?;
        all += texts.len();
    }
    println!("C on the host: {all} texts, {compared} probabilities, 0 differ");
    Ok(())
}

/// Of the commands' test texts, the Arduino example is right on as many as its README says.
#[test]
fn example_knows_the_commands() -> Result<()> {
    if !there("the example on the host", &["gcc"], "gcc") {
        return Ok(());
    }
    let (work, model) = (TempDir::new()?, example()?);
    let program = work.path().join("host");
    compile("gcc", &["-O2"], "tests/host.c", &program)?;
    let data = fs::read_to_string(Repo::find()?.root.join("trainer/data/commands/test.tsv"))?;
    let rows: Vec<(&str, &str)> = data.lines().filter_map(|line| line.split_once('\t')).collect();
    let texts: Vec<Vec<u8>> = rows.iter().map(|(_, text)| text.as_bytes().to_vec()).collect();
    let answers = answers(&program, &work, &model, &texts)?;
    let (parsed, width) = (Model::parse(&model)?, 3 + 8);
    let class = |i: usize| answers[4 * (1 + i * width) + 4] as usize;
    let right =
        rows.iter().enumerate().filter(|(i, (label, _))| parsed.label(class(*i)) == *label).count();
    println!("the example: right on {right} of {} texts", rows.len());
    ensure!(right * 100 >= rows.len() * 97, "right on {right} of {} texts", rows.len());
    Ok(())
}

/// The other compiler, every level of optimisation, and clang's own reader.
#[test]
fn other_compilers_and_clang_tidy_have_nothing_to_say() -> Result<()> {
    let work = TempDir::new()?;
    for compiler in ["gcc", "clang"] {
        if !there("C by another compiler", &[compiler], compiler) {
            continue;
        }
        for level in ["-O0", "-Os", "-O3"] {
            compile(compiler, &[level], "tests/host.c", &work.path().join("host"))?;
        }
    }
    if there("clang-tidy", &["clang-tidy"], "clang-tidy") {
        let mut tidy = Command::new("clang-tidy");
        tidy.current_dir(folder()?).args(["--quiet", "src/qdllm.c", "fuzz/model.c", "fuzz/text.c"]);
        tidy.args(["--", "-std=c99", "-Isrc"]).read()?;
    }
    Ok(())
}
