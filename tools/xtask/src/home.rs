//! `home`: a student for each language of home-assistant-intents, and the table of what they know and refuse. The data
//! is made by `trainer/data/home/generate.py` and is not part of the project.

use crate::repo::Repo;
use crate::shell::{Run, say};
use anyhow::{Context, Result, ensure};
use clap::Args;
use qdllm_host::files;
use serde_json::Value;
use std::path::{Path, PathBuf};

const TOPIC: &str = "home";
const SCRIPT: &str = "trainer/data/home/generate.py";
const PACKAGE: &str = "home-assistant-intents==2026.10.27";

/// How the students are trained.
const SETTINGS: &[&str] = &["--rows", "600", "--bigrams", "--edges"];

/// What a language must reach to be counted.
const ACCURACY: f64 = 0.95;
const BYTES: u64 = 4096;

const HEAD: &str = "\
| language | intents | train rows | test accuracy | TF-IDF | bytes | test refused | foreign refused |
| --- | --- | --- | --- | --- | --- | --- | --- |";

#[derive(Args)]
pub struct Options {
    /// Languages, such as de,fi,zh-CN [default: all that have two intents or more]
    #[arg(long, value_delimiter = ',')]
    languages: Vec<String>,
    /// A Python; it needs the package home-assistant-intents, unless --source is given
    #[arg(long, default_value = "python3")]
    python: String,
    /// The wheel of home-assistant-intents that the data is made from
    #[arg(long, value_name = "WHEEL")]
    source: Option<PathBuf>,
    /// Takes this qdllm instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Seed of the students
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Options of `qdllm distill` instead of the usual ones, after `--`
    #[arg(last = true)]
    settings: Vec<String>,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let work = repo.target_dir()?.join(TOPIC);
    let data = work.join("data");
    make(repo, options, &data)?;
    let qdllm = match &options.program {
        Some(program) => std::path::absolute(program)?.display().to_string(),
        None => repo.trainer()?,
    };
    let mut languages = options.languages.clone();
    if languages.is_empty() {
        let folders = std::fs::read_dir(&data)?.flatten();
        languages = folders.map(|f| f.file_name().to_string_lossy().into_owned()).collect();
        languages.sort();
    }
    let mut good = 0;
    println!("{HEAD}");
    for language in &languages {
        let home = Home { repo, qdllm: &qdllm, folder: data.join(language), language };
        let model = work.join(format!("{language}.qdm")).display().to_string();
        home.distill(&model, options)?;
        good += usize::from(home.judge(&model)?);
    }
    println!("\n{good} of {} languages reach {ACCURACY} in at most {BYTES} bytes", languages.len());
    Ok(())
}

/// The data of the languages that were asked for, made anew: it takes seconds, and the script is what is kept.
fn make(repo: &Repo, options: &Options, data: &Path) -> Result<()> {
    if data.is_dir() {
        std::fs::remove_dir_all(data)?;
    }
    say(TOPIC, "making the data");
    let mut script = repo.host(&options.python);
    script.args(["-B", SCRIPT, "--out"]).arg(data);
    if let Some(wheel) = &options.source {
        script.arg(std::path::absolute(wheel)?);
    }
    if !options.languages.is_empty() {
        script.arg("--languages").arg(options.languages.join(","));
    }
    let lacks = || format!("no data; `{} -m pip install {PACKAGE}`, or --source", options.python);
    script.read().map(drop).with_context(lacks)
}

struct Home<'a> {
    repo: &'a Repo,
    qdllm: &'a str,
    language: &'a str,
    folder: PathBuf,
}

impl Home<'_> {
    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn distill(&self, model: &str, options: &Options) -> Result<()> {
        say(TOPIC, self.language);
        let given: Vec<&str> = options.settings.iter().map(String::as_str).collect();
        let settings = if given.is_empty() { SETTINGS } else { &given };
        let (train, seed) = (self.file("train.tsv"), options.seed.to_string());
        let files = ["distill", "--json", "--restart", "--data", &train, "--out", model];
        self.repo.ask(self.qdllm, &[&files[..], &["--seed", &seed], settings].concat()).map(drop)
    }

    /// Prints the language's row; whether it is good enough.
    fn judge(&self, model: &str) -> Result<bool> {
        let [train, test] = ["train.tsv", "test.tsv"].map(|name| self.file(name));
        let ask = |args: &[&str]| self.repo.ask(self.qdllm, args);
        let report = ask(&["eval", model, "--data", &test, "--no-control", "--json"])?;
        let controls = ask(&["controls", "--json", "--data", &train, "--test", &test])?;
        let controls = controls["controls"].as_array().context("no controls in the report")?;
        let tfidf = controls.iter().find(|c| c["control"] == "tfidf").context("no TF-IDF")?;
        let accuracy = report["student"]["accuracy"].as_f64().context("no accuracy")?;
        let bytes = report["student_bytes"].as_u64().context("no bytes")?;
        let intents = report["student"]["per_class"].as_array().context("no classes")?.len();
        println!(
            "| {} | {intents} | {} | {accuracy:.3} | {:.3} | {bytes} | {:.3} | {:.3} |",
            self.language,
            files::read_text(Path::new(&train))?.lines().count(),
            tfidf["accuracy"].as_f64().context("no accuracy")?,
            self.refused(model, &test)?,
            self.refused(model, &self.file("foreign.tsv"))?,
        );
        Ok(accuracy >= ACCURACY && bytes <= BYTES)
    }

    /// The share of a file's texts that the model does not answer.
    fn refused(&self, model: &str, file: &str) -> Result<f64> {
        let said =
            self.repo.host(self.qdllm).args(["classify", model, "--json", "-i", file]).read()?;
        let answers: Vec<Value> =
            said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(!answers.is_empty(), "{file}: no texts");
        let refused = answers.iter().filter(|answer| answer["rejected"] == true).count();
        Ok(refused as f64 / answers.len() as f64)
    }
}
