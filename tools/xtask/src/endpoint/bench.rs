//! What all trials share: texts, classes, the program, and how it is called for each way of asking.

use super::Options;
use super::client::Client;
use super::labels::{Labels, Likeness, Text};
use super::server::{self, Server};
use crate::shell::Run;
use anyhow::{Context, Result, bail, ensure};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// Votes a text.
const VOTES: u64 = 4;

/// Texts, classes and program of all trials.
pub struct Bench<'a> {
    options: &'a Options,
    qdllm: &'a Path,
    work: &'a Path,
    /// The texts, in the order in which they are taken.
    pub texts: Vec<Text>,
    classes: Vec<String>,
}

impl<'a> Bench<'a> {
    /// Reads the texts and puts them in an order by the seed; each text counts once.
    ///
    /// # Errors
    /// When the file cannot be read or has too few texts.
    pub fn new(options: &'a Options, qdllm: &'a Path, work: &'a Path, file: &Path) -> Result<Self> {
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
    pub fn count(&self, ask: &str) -> usize {
        match ask {
            "completions" => self.options.completions,
            "votes" => self.options.votes,
            _ => self.options.chat,
        }
    }

    /// Requests that a text costs.
    pub fn requests(&self, ask: &str) -> u64 {
        match ask {
            "completions" => self.classes.len() as u64,
            "votes" => VOTES,
            _ => 1,
        }
    }

    /// A client in a folder of its own, emptied, with the first `n` texts; `own` is our own teacher, without an
    /// endpoint.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn client(&self, ask: &str, n: usize) -> Result<Client> {
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
    ///
    /// # Errors
    /// When it fails otherwise than by the refusal that is known.
    pub fn as_it_comes(&self, server: &Server) -> Result<String> {
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
    ///
    /// # Errors
    /// When it fails.
    pub fn own_teacher(&self, model: &Path, n: usize, theirs: &Labels) -> Result<Option<Likeness>> {
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
