//! What is asked about a text: the prompt, the answers that count, and the JSON of each kind of request.

use crate::data::classes::{Class, Classes};
use crate::teacher::endpoint::settings::Constrain;
use anyhow::{Result, bail};
use qdllm_host::errors::wrong_use;
use serde_json::{Value, json};

/// Letters that two classes' words may share at their start before a chat model is asked for a letter instead: a first
/// token is seldom longer.
const SHARED_START: usize = 4;
/// Alternatives to the first token that are asked for; what hosted servers allow at most.
const ALTERNATIVES: u32 = 20;
/// Tokens that a chat template puts around a message, at most.
pub(super) const TEMPLATE_TOKENS: u64 = 64;

#[derive(Debug, Clone)]
pub struct RequestBuilder {
    /// What each class may be called, in class order.
    pub answers: Vec<Vec<String>>,
    /// Whether a chat model names a class by a letter, since words share their beginnings.
    pub letters: bool,
    /// The words that a completion is scored on: one list a class.
    pub words: Vec<Vec<String>>,
    pub(super) model: String,
    pub(super) chat: String,
    pub(super) completion: String,
    pub thoughts: Thoughts,
}

/// What is done about a chat model that thinks before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Thoughts {
    /// Nothing: it has not been seen to.
    #[default]
    Unseen,
    /// It is told not to, as vLLM, `SGLang` and llama.cpp's server let the chat template know.
    Off,
    /// An answer has room for so many tokens more.
    Room(usize),
}

impl RequestBuilder {
    /// A question to `model`. `prompt` replaces the usual one; it holds `{text}`, for chat models `{classes}` too if
    /// it is to list them.
    pub fn new(model: &str, classes: &Classes, prompt: Option<&str>) -> Result<Self> {
        if prompt.is_some_and(|p| !p.contains("{text}")) {
            return Err(wrong_use("--prompt has no {text}; write where the text stands"));
        }
        let words: Vec<Vec<String>> = classes.class.iter().map(Class::words).collect();
        let letters = share_a_start(&words);
        let answers = match letters {
            true => ('A'..='Z').map(|c| vec![c.to_string()]).take(words.len()).collect(),
            false => words.clone(),
        };
        if answers.len() < words.len() {
            bail!(
                "{} classes whose words share their beginnings; give each class words that differ in the first {SHARED_START} letters, letters reach for 26",
                words.len()
            );
        }
        let line = |((class, words), answers): ((&Class, &Vec<String>), &Vec<String>)| {
            let letter = if letters { format!("{}: ", answers[0]) } else { String::new() };
            let about = class.description.as_ref().map(|d| format!(" ({d})"));
            format!("- {letter}{}{}\n", words.join(" or "), about.unwrap_or_default())
        };
        let list: String = classes.class.iter().zip(&words).zip(&answers).map(line).collect();
        let asked = classes.question.as_deref().unwrap_or("Which class does the text belong to?");
        let how = match letters {
            true => "Answer with the letter and nothing else.",
            false => "Answer with one of these words and nothing else.",
        };
        let usual = format!("{asked}\n{{classes}}\nText: {{text}}\n\n{how}");
        let chat = prompt.unwrap_or(&usual).replace("{classes}", &list);
        Ok(Self {
            answers,
            letters,
            words,
            model: model.to_owned(),
            chat,
            completion: prompt.unwrap_or("The text \"{text}\" is about").to_owned(),
            thoughts: Thoughts::default(),
        })
    }

    pub fn first_token(&self, text: &str) -> Request {
        let more = json!({"temperature": 0, "logprobs": true, "top_logprobs": ALTERNATIVES});
        self.chat_request(text, 1, &more)
    }

    /// The prompt that a completion goes on from.
    pub fn completion(&self, text: &str) -> String {
        self.completion.replace("{text}", text).trim_end().to_owned()
    }

    /// A completion request that echoes prompt and word with their log-probabilities.
    pub fn echo(&self, text: &str, word: &str) -> Request {
        let prompt = format!("{} {word}", self.completion(text));
        let most_tokens = prompt.len() as u64 + 2;
        let body = json!({
            "model": self.model, "prompt": prompt, "max_tokens": 1, "temperature": 0,
            "echo": true, "logprobs": 1,
        });
        Request { path: "/completions", body, most_tokens }
    }

    pub fn vote(&self, text: &str, n: usize, temperature: f32, constrain: Constrain) -> Request {
        let every: Vec<&str> = self.answers.iter().flatten().map(String::as_str).collect();
        // A token has a byte at least; a model that chats on is cut.
        let room = if let Thoughts::Room(tokens) = self.thoughts { tokens } else { 0 };
        let longest = every.iter().map(|word| word.len()).max().unwrap_or(0) + 8 + room;
        let mut more = json!({"temperature": temperature, "n": n, "max_tokens": longest});
        match constrain {
            Constrain::None => {}
            Constrain::Choice => {
                more["structured_outputs"] = json!({"choice": every});
                more["guided_choice"] = json!(every);
            }
            Constrain::Grammar => {
                let quoted: Vec<String> =
                    every.iter().map(|w| Value::from(*w).to_string()).collect();
                more["grammar"] = format!("root ::= {}", quoted.join(" | ")).into();
            }
        }
        self.chat_request(text, longest * n, &more)
    }

    fn chat_request(&self, text: &str, most_answer: usize, more: &Value) -> Request {
        let content = self.chat.replace("{text}", text);
        // A byte-level tokenizer never gives more tokens than there are bytes.
        let most_tokens = content.len() as u64 + TEMPLATE_TOKENS + most_answer as u64;
        let mut body = json!({
            "model": self.model, "messages": [{"role": "user", "content": content}],
            "max_tokens": most_answer,
        });
        if self.thoughts == Thoughts::Off {
            body["chat_template_kwargs"] = json!({"enable_thinking": false});
        }
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        Request { path: "/chat/completions", body, most_tokens }
    }
}

#[derive(Debug, Clone)]
pub struct Request {
    pub path: &'static str,
    pub body: Value,
    /// The most tokens that it can cost, prompt included.
    pub most_tokens: u64,
}

/// Why an answer gives no scores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoScores {
    /// The endpoint does not give what was asked for.
    #[error("gives no {0}")]
    NotOffered(&'static str),
    #[error(
        "a log-probability that is no number (NaN); the model overflows there, serve it in bf16 or f32"
    )]
    NotFinite,
    /// Each echoed token has the log-probability that belongs to the next one.
    #[error(
        "the log-probabilities that it echoes stand one token late, so the class words have those of other tokens; llama-cpp-python does so for models that begin without an opening token: start it with `--kv_overrides tokenizer.ggml.add_bos_token=bool:true`, or ask by --ask chat or --ask votes"
    )]
    Late,
    #[error("a model that thinks before it answers; give it room by --think-tokens N")]
    Thinks,
    /// The endpoint answers anything but this text.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer is there and cannot serve; says why and what to do.
    #[error("{0}")]
    Unfit(String),
}

/// Tokens that the endpoint counted, prompt included.
pub fn tokens(answer: &Value) -> Option<u64> {
    let usage = &answer["usage"];
    let sum = || Some(usage["prompt_tokens"].as_u64()? + usage["completion_tokens"].as_u64()?);
    usage["total_tokens"].as_u64().or_else(sum)
}

/// Whether words of different classes begin alike, so that a first token may not tell them apart.
fn share_a_start(words: &[Vec<String>]) -> bool {
    let start = |word: &String| word.to_lowercase().chars().take(SHARED_START).collect::<String>();
    words.iter().enumerate().any(|(i, class)| {
        class.iter().any(|word| {
            let word = start(word);
            words[..i].iter().flatten().any(|other| {
                let other = start(other);
                other.starts_with(&word) || word.starts_with(&other)
            })
        })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn question(names: &[&str]) -> RequestBuilder {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        RequestBuilder::new("m", &Classes::named(&names, &[]).unwrap(), None).unwrap()
    }

    #[test]
    fn classes_that_begin_alike_are_lettered() {
        assert!(!question(&["positive", "negative"]).letters);
        assert!(question(&["turn_on", "turn_off"]).letters);
        assert!(question(&["a", "able"]).letters);
        let letters = question(&["turn_on", "turn_off"]);
        let asked = letters.first_token("it is dark");
        let content = asked.body["messages"][0]["content"].as_str().unwrap();
        assert!(content.contains("- B: turn off\n") && content.contains("it is dark"), "{content}");
        assert!(asked.most_tokens > content.len() as u64);
    }
}
