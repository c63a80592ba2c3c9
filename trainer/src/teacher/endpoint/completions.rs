//! Each class's words after a prompt, echoed by the completions path: one request a word.

use serde_json::{Value, json};

use super::request::{NoScores, Request, RequestBuilder};

impl RequestBuilder {
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
}

/// The mean log-probability of the tokens of `word` after `prompt`, from an answer that echoes `prompt word`.
///
/// The word's tokens are found by their spelling, from the end: offsets go astray where a server counts bytes, or
/// leaves an opening token out. Where tokens are not spelled, offsets decide.
pub fn echoed(answer: &Value, prompt: &str, word: &str) -> Result<f32, NoScores> {
    const MISSING: NoScores = NoScores::NotOffered("log-probabilities of an echoed prompt");
    let logprobs = &answer["choices"][0]["logprobs"];
    let (Some(values), Some(offsets)) =
        (logprobs["token_logprobs"].as_array(), logprobs["text_offset"].as_array())
    else {
        return Err(MISSING);
    };
    let mean = |values: &[&Value]| {
        let number = |v: &&Value| v.as_f64().filter(|v| v.is_finite()).ok_or(NoScores::NotFinite);
        let numbers = values.iter().map(number).collect::<Result<Vec<f64>, _>>()?;
        Ok((numbers.iter().sum::<f64>() / numbers.len() as f64) as f32)
    };
    let tokens = logprobs["tokens"].as_array().filter(|tokens| tokens.len() == values.len());
    if let Some(tokens) = tokens {
        let tokens: Vec<&str> = tokens.iter().map(|t| t.as_str().unwrap_or_default()).collect();
        // One token is generated, since servers refuse to generate none; the end of the text may be no token.
        let generated = answer["usage"]["completion_tokens"].as_u64().unwrap_or(1).min(1) as usize;
        let echo = tokens.len().saturating_sub(generated);
        if let Some(from) = ending(&tokens[..echo], word) {
            return mean(&values[from..echo].iter().collect::<Vec<_>>());
        }
        // A list that stops at the word lacks a row: it began with what follows the first token.
        if ending(&tokens, word).is_some() {
            return Err(NoScores::Late);
        }
    }
    // Offsets count characters, as Python does.
    let start = prompt.chars().count() as u64;
    let end = start + 1 + word.chars().count() as u64;
    let (mut found, mut first) = (Vec::new(), None);
    for (value, offset) in values.iter().zip(offsets) {
        let offset = offset.as_u64().ok_or(MISSING)?;
        if !(start..end).contains(&offset) {
            continue;
        }
        first = first.or(Some(offset));
        found.push(value);
    }
    match first {
        // Nothing lies before the last token of the prompt: the prompt was not echoed.
        None if offsets.first().and_then(Value::as_u64).is_none_or(|o| o >= start) => Err(MISSING),
        // Some tokenizers give the space a token of its own.
        Some(offset) if offset <= start + 1 => mean(&found),
        _ => Err(NoScores::Unfit(format!(
            "its tokenizer joins the class words `{word}` with the end of the prompt `{}`; end the prompt with a word, or ask by --ask votes",
            prompt.chars().rev().take(20).collect::<Vec<_>>().iter().rev().collect::<String>()
        ))),
    }
}

/// Where the tokens begin that spell a space and `word` at the end of `tokens`; the space may be left unspelled.
fn ending(tokens: &[&str], word: &str) -> Option<usize> {
    let (mut said, mut bare) = (String::new(), None);
    for (i, token) in tokens.iter().enumerate().rev() {
        said.insert_str(0, &token.replace(['\u{2581}', '\u{120}'], " "));
        if said.strip_prefix(' ') == Some(word) {
            return Some(i);
        }
        if said == word {
            bare = Some(i);
        }
        if said.len() > word.len() {
            break;
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn echoed_words_are_found_by_their_offsets() {
        let answer = |tokens: Value, offsets: Value| json!({"choices": [{"logprobs": {"token_logprobs": tokens, "text_offset": offsets}}]});
        // `é is` then ` on` as ` o` `n`, then one generated token.
        let good = answer(json!([null, -1.0, -2.0, -4.0, -9.0]), json!([0, 1, 4, 6, 7]));
        assert_eq!(echoed(&good, "é is", "on"), Ok(-3.0));
        let joined = answer(json!([null, -1.0, -2.0]), json!([0, 1, 6]));
        assert!(matches!(echoed(&joined, "é is", "on"), Err(NoScores::Unfit(_))));
        let generated = answer(json!([-1.0]), json!([7]));
        assert!(matches!(echoed(&generated, "é is", "on"), Err(NoScores::NotOffered(_))));
        let nan = answer(json!([null, -1.0, null]), json!([0, 1, 4]));
        assert_eq!(echoed(&nan, "é is", "on"), Err(NoScores::NotFinite));
    }

    #[test]
    fn echoed_words_are_found_by_their_spelling() {
        let answer = |tokens: &[&str], values: Value, made: u64| {
            let offsets: Vec<usize> = (0..tokens.len()).map(|i| 9 * i).collect();
            json!({"usage": {"completion_tokens": made}, "choices": [{"logprobs": {
                "tokens": tokens, "token_logprobs": values, "text_offset": offsets}}]})
        };
        let values = json!([null, -1.0, -2.0, -4.0, -9.0]);
        for tokens in [
            ["x", " is", " o", "n", "!"],
            ["x", " is", " ", "on", "!"],
            ["x", "\u{120}is", "\u{120}o", "n", " on"],
            ["\u{2581}x", "is", "o", "n", "on"],
        ] {
            assert_eq!(echoed(&answer(&tokens, values.clone(), 1), "x is", "on"), Ok(-3.0));
        }
        let ended = answer(&["x", " is", " on"], json!([null, -1.0, -2.0]), 0);
        assert_eq!(echoed(&ended, "x is", "on"), Ok(-2.0), "the end of the text is no token");
        let late = answer(&["x", " is", " on"], json!([null, -1.0, -2.0]), 1);
        assert_eq!(echoed(&late, "x is", "on"), Err(NoScores::Late));
        let joined = answer(&["x", " i", "s on", "!"], json!([null, -1.0, -2.0, -1.0]), 1);
        assert!(echoed(&joined, "x is", "on").is_err());
    }
}
