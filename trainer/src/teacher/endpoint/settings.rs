//! How an endpoint is reached and asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::Budget;
use qdllm_host::http::Backoff;
use qdllm_host::secret::Secret;

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

pub struct Settings {
    pub urls: Vec<String>,
    pub model: String,
    pub key: Option<Secret>,
    /// How to ask; `None` finds out what is offered.
    pub ask: Option<Way>,
    /// The prompt, with `{text}`; `None` for the usual one.
    pub prompt: Option<String>,
    /// Answers a text when votes are counted.
    pub votes: usize,
    pub temperature: f32,
    pub constrain: Constrain,
    /// Whether the scores of an empty text are subtracted; `None` for completions alone.
    pub calibrate: Option<bool>,
    /// Longest text in characters; longer ones are cut and counted.
    pub most_chars: usize,
    pub concurrency: usize,
    pub timeout: Duration,
    pub tries: u32,
    pub backoff: Backoff,
    pub budget: Budget,
}
