//! How an endpoint is reached and asked. Its key comes from a variable or a file, never from the command line.

use anyhow::{Result, anyhow, bail};
use qdllm_host::secret::{Secret, read_private};
use qdllm_host::values::{above_zero, within};
use serde::{Deserialize, Serialize};
use std::env::VarError;
use std::path::{Path, PathBuf};

/// How class scores are drawn from an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Log-probabilities of a chat answer's first token: one request a text.
    Chat,
    /// Log-probabilities of each class's words after a prompt, echoed by the completions path: one request a word.
    Completions,
    /// Chat answers drawn several times and counted.
    Votes,
}

/// How a server is told to answer with a class and nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Constrain {
    /// By the prompt alone.
    #[default]
    None,
    /// By vLLM's choice constraint.
    Choice,
    /// By llama.cpp's grammars.
    Grammar,
}

/// What becomes of texts that an endpoint refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RefusedTexts {
    /// They get no label and are named.
    #[default]
    Skip,
    /// The first one ends the run.
    Stop,
}

/// How an endpoint is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct EndpointArgs {
    /// The model's name at the endpoint
    #[arg(long, value_name = "NAME")]
    pub endpoint_model: Option<String>,
    /// How scores are drawn from an endpoint [default: the first that it offers]
    #[arg(long, value_enum)]
    pub ask: Option<Way>,
    /// Answers a text when votes are counted
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = within(1_usize..))]
    pub votes: usize,
    /// Temperature of those answers
    #[arg(long, default_value_t = 0.7, value_name = "T", value_parser = within(0.0..=2.0_f32))]
    pub vote_temperature: f32,
    /// How the server holds those answers to the class names, beside the prompt
    #[arg(long, value_enum, default_value = "none")]
    pub constrain: Constrain,
    /// Tokens that a model may think before it answers, by --ask votes; a model that is seen to think is otherwise told
    /// not to
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub think_tokens: usize,
    /// Least probability of all classes' first tokens together; an answer with less names no class
    #[arg(long, default_value_t = 0.1, value_name = "P", value_parser = within(0.0..=1.0))]
    pub least_mass: f64,
    /// Largest share of texts that may be refused or answered without naming a class before the run fails
    #[arg(long, default_value_t = 0.2, value_name = "SHARE", value_parser = within(0.0..=1.0))]
    pub most_undecided: f64,
    /// What becomes of texts that the endpoint refuses: set aside and named, or the end of the run
    #[arg(long, value_enum, default_value = "skip")]
    pub refused_texts: RefusedTexts,
    /// Subtract the scores of an empty text [default: for completions]
    #[arg(long, value_name = "BOOL")]
    pub calibrate: Option<bool>,
    /// Longest text in characters; longer ones are cut and counted
    #[arg(long, default_value_t = 8000, value_name = "N", value_parser = within(1_usize..))]
    pub max_chars: usize,
    /// Requests under way at once, over all servers
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = within(1_usize..))]
    pub concurrency: usize,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 120.0, value_name = "S", value_parser = within(above_zero(1e6)))]
    pub timeout: f64,
    /// Tries of a request that fails in a way that may pass
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = within(1_u32..))]
    pub tries: u32,
    /// Longest first wait between tries, in milliseconds; doubled for each further one, up to 30 s
    #[arg(long, default_value_t = 500, value_name = "MS", value_parser = within(0..=3_600_000_u64))]
    pub backoff: u64,
    /// Most requests to send, over all runs that ask the same question
    #[arg(long, value_name = "N")]
    pub budget_requests: Option<u64>,
    /// Most tokens to use, prompts and answers, over all runs that ask the same question
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<u64>,
    /// Environment variable that holds the API key [default: `QDLLM_API_KEY`, if set]
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    pub key_env: Option<String>,
    /// Host to which the key may go over http, in clear; without it http is for this machine alone
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub trust_http: Vec<String>,
    /// Name of the server under which answers are kept, for a cluster that moves [default: the addresses]
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// File that holds the API key and that nobody else can read
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl EndpointArgs {
    pub fn key(&self) -> Result<Option<Secret>> {
        if let Some(path) = &self.key_file {
            return key_from_file(path).map(Some);
        }
        let key = key_from_variable(self.key_env.as_deref().unwrap_or("QDLLM_API_KEY"))?;
        match &self.key_env {
            Some(name) if key.is_none() => bail!("--key-env names {name}, which is not set"),
            _ => Ok(key),
        }
    }
}

fn refused(place: &str, what: &str) -> anyhow::Error {
    anyhow!("API key from {place}: {what}")
}

/// A key from a text; white space around it is dropped. `place` names its source in errors.
pub fn key(text: String, place: &str) -> Result<Secret> {
    let remedy = "give the key alone, or leave the option out";
    Secret::new(text, "[key]").map_err(|e| refused(place, &format!("{e}; {remedy}")))
}

/// The key in an environment variable; `None` when it is not set.
pub fn key_from_variable(name: &str) -> Result<Option<Secret>> {
    let place = format!("the variable {name}");
    match std::env::var(name) {
        Ok(text) => key(text, &place).map(Some),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(refused(&place, "is not UTF-8; give the key alone")),
    }
}

/// The key in a file that its owner alone can read.
pub fn key_from_file(path: &Path) -> Result<Secret> {
    let place = path.display().to_string();
    let text = read_private(path).map_err(|e| refused(&place, &format!("{e:#}")))?;
    key(text.to_string(), &place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_checked_and_blotted_out() {
        let sk = key(" sk-abc \n".into(), "test").ok().unwrap();
        assert_eq!(sk.expose(), "sk-abc");
        assert_eq!(sk.redact("no such key: sk-abc!"), "no such key: [key]!");
        for bad in ["", "  \n", "two words"] {
            let message = key(bad.into(), "test").err().unwrap().to_string();
            assert!(message.contains("test") && !message.contains("two words"), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-abc\n").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = key_from_file(&path);
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(e) = read {
                assert!(e.to_string().contains("chmod 600") && !e.to_string().contains("sk-"));
            }
        }
    }
}
