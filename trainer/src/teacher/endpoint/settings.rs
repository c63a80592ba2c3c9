//! How an endpoint is reached and asked. Its key comes from a variable or a file, never from the command line.

use std::path::Path;
use std::time::Duration;

use qdllm_host::http::Backoff;
use qdllm_host::secret::{NotASecret, NotPrivate, Secret, read_private};
use serde::{Deserialize, Serialize};

use crate::teacher::endpoint::error::{EndpointError, Result};

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

/// The most that may be spent on a question over all runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    pub requests: Option<u64>,
    /// Tokens, those of prompts and answers together.
    pub tokens: Option<u64>,
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

/// The environment variable that is read when no other is named.
pub const KEY_VARIABLE: &str = "QDLLM_API_KEY";

fn refused(place: &str, what: impl Into<String>) -> EndpointError {
    EndpointError::Key { place: place.into(), what: what.into() }
}

/// A key from a text; white space around it is dropped. `place` names its source in errors.
pub fn key(text: String, place: &str) -> Result<Secret> {
    Secret::new(text, "[key]").map_err(|e| match e {
        NotASecret::Empty => refused(place, "is empty; put the key there, or leave the option out"),
        NotASecret::Characters => {
            refused(place, "holds a space or a control character; give the key alone")
        }
    })
}

/// The key in an environment variable; `None` when it is not set.
pub fn key_from_variable(name: &str) -> Result<Option<Secret>> {
    let place = format!("the variable {name}");
    match std::env::var(name) {
        Ok(text) => key(text, &place).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(refused(&place, "is not UTF-8; give the key alone"))
        }
    }
}

/// The key in a file that its owner alone can read.
pub fn key_from_file(path: &Path) -> Result<Secret> {
    let place = path.display().to_string();
    let text = read_private(path).map_err(|e| match e {
        NotPrivate::Io(e) => refused(&place, e.to_string()),
        NotPrivate::Exposed(mode) => {
            let mode = mode & 0o777;
            refused(&place, format!("others can read it (mode {mode:o}); run `chmod 600` on it"))
        }
        NotPrivate::TooLong => {
            refused(&place, "is larger than any key; name the file that holds the key")
        }
    })?;
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
