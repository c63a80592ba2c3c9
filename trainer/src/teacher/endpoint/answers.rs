//! Class scores from answers: a chat answer's first token, words after a prompt that the completions path echoes, or
//! chat answers drawn several times and counted.

use crate::teacher::endpoint::request::NoScores;
use serde_json::Value;

const ZERO: f64 = -700.0;

/// Marks between which a model thinks aloud.
const THOUGHTS: [(&str, &str); 5] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel|>analysis", "<|channel|>final<|message|>"),
];

/// What a choice says behind its thoughts; `None` where it is cut before they end.
fn without_thoughts(said: &str) -> Option<&str> {
    let said = THOUGHTS
        .iter()
        .fold(said, |said, (_, end)| said.rsplit_once(end).map_or(said, |(_, after)| after));
    (!THOUGHTS.iter().any(|(begin, _)| said.contains(begin))).then_some(said)
}

/// Whether a message has thoughts beside its content, as servers with a reasoning parser give them.
fn has_thoughts(message: &Value) -> bool {
    let told = |key| message[key].as_str().is_some_and(|text| !text.is_empty());
    ["reasoning_content", "reasoning"].into_iter().any(told)
}

/// Why a choice is a refusal, if it is one.
fn refusal(choice: &Value) -> Option<NoScores> {
    let message = &choice["message"];
    let filtered = (choice["finish_reason"] == "content_filter").then_some("content_filter");
    let empty = || (message["content"].is_null() && !has_thoughts(message)).then_some("no content");
    let why = message["refusal"].as_str().or(filtered).or_else(empty)?;
    Some(NoScores::Refused(why.to_owned()))
}

/// Class scores from the log-probabilities of the first token's alternatives; `None` when those that begin the name of
/// exactly one class have less than `least_mass` of the probability together.
///
/// A class's probability is the sum over its tokens. A class without a token has at most the probability of the
/// least alternative, and is given that.
pub fn first_token(
    answer: &Value,
    names: &[Vec<String>],
    least_mass: f64,
) -> Result<Option<Vec<f32>>, NoScores> {
    const MISSING: NoScores = NoScores::NotOffered("log-probabilities of chat answers");
    let choice = &answer["choices"][0];
    if choice["message"].is_object() && has_thoughts(&choice["message"]) {
        return Err(NoScores::Thinks);
    }
    let first = &choice["logprobs"]["content"][0];
    let listed = first["top_logprobs"].as_array().filter(|list| !list.is_empty());
    let Some(alternatives) = listed else {
        let refused = choice["message"].is_object().then(|| refusal(choice)).flatten();
        return Err(refused.unwrap_or(MISSING));
    };
    let chosen = first["token"].as_str().map_or("", str::trim);
    if !chosen.is_empty() && THOUGHTS.iter().any(|(begin, _)| begin.starts_with(chosen)) {
        return Err(NoScores::Thinks);
    }
    let mut sums = vec![0.0_f64; names.len()];
    let mut least = f64::INFINITY;
    for alternative in alternatives {
        let (Some(token), Some(log_p)) =
            (alternative["token"].as_str(), alternative["logprob"].as_f64())
        else {
            return Err(if alternative["logprob"].is_null() {
                NoScores::NotFinite
            } else {
                MISSING
            });
        };
        if !log_p.is_finite() || log_p > 1e-3 {
            return Err(NoScores::NotFinite);
        }
        // Servers write -9999 for a probability of zero.
        if log_p < ZERO {
            continue;
        }
        least = least.min(log_p);
        if let Some(class) = begins(token, names) {
            sums[class] += log_p.exp();
        }
    }
    let mass: f64 = sums.iter().sum();
    if mass == 0.0 || mass < least_mass {
        return Ok(None);
    }
    Ok(Some(sums.iter().map(|&sum| sum.ln().max(least) as f32).collect()))
}

/// The one class of which a name begins with the token.
fn begins(token: &str, names: &[Vec<String>]) -> Option<usize> {
    // Sentence-piece and byte-level vocabularies mark the space before a word.
    let mark = |c: char| c.is_whitespace() || "\u{2581}\u{120}\"'*`".contains(c);
    let token = token.trim_matches(mark).to_lowercase();
    if token.is_empty() {
        return None;
    }
    let fits = |name: &String| name.to_lowercase().starts_with(&token);
    let mut classes = (0..names.len()).filter(|&c| names[c].iter().any(fits));
    let one = classes.next()?;
    classes.next().is_none().then_some(one)
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
        if (start..end).contains(&offset) {
            first = first.or(Some(offset));
            found.push(value);
        }
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

/// Added to every class's votes: a class without any is unlikely, not impossible (the prior of Jeffreys).
const SMOOTHING: f32 = 0.5;

/// The votes of an answer: the class of each choice, or none that can be told.
///
/// # Errors
/// When every choice is refused, or every one is cut while the model thinks.
pub fn votes(answer: &Value, names: &[Vec<String>]) -> Result<Vec<Option<usize>>, NoScores> {
    const MISSING: NoScores = NoScores::NotOffered("chat answers");
    let choices = answer["choices"].as_array().filter(|list| !list.is_empty()).ok_or(MISSING)?;
    let (mut votes, mut told, mut why) = (Vec::new(), false, NoScores::Thinks);
    for choice in choices {
        let message = choice["message"].as_object().ok_or(MISSING)?;
        let content = message.get("content").and_then(Value::as_str).unwrap_or_default();
        let cut = choice["finish_reason"] == "length";
        let thinks = cut && content.is_empty() && has_thoughts(&choice["message"]);
        let said = without_thoughts(content).filter(|_| !thinks);
        match (refusal(choice), said) {
            (Some(refusal), _) => why = refusal,
            (None, None) => {}
            (None, Some(_)) => told = true,
        }
        votes.push(said.and_then(|said| vote(said, names, cut)));
    }
    if told { Ok(votes) } else { Err(why) }
}

/// Words that turn what stands beside them round.
const DENIALS: [&str; 9] =
    [" not ", " no ", " non ", " never ", " neither ", " nor ", " cannot ", " without ", " t "];

/// The class that an answer names: the answer as a whole, else the only one whose name stands in it as words and is not
/// denied. Of an answer that was cut the beginning counts alone: the rest may be a thought.
fn vote(answer: &str, names: &[Vec<String>], cut: bool) -> Option<usize> {
    let words = |text: &str| {
        let plain: String =
            text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
        format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let said = words(&answer.to_lowercase());
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (class, names) in names.iter().enumerate() {
        for name in names {
            let name = words(&name.to_lowercase());
            if said == name {
                return Some(class);
            }
            places.extend(said.match_indices(&name).map(|(at, _)| (class, at, at + name.len())));
        }
    }
    // A name within a longer one (`off` in `turn off`) says nothing of its own.
    let within = |a: &(usize, usize, usize)| {
        places.iter().any(|b| b.1 <= a.1 && a.2 <= b.2 && b.2 - b.1 > a.2 - a.1)
    };
    let named: Vec<_> = places.iter().filter(|p| !within(p)).collect();
    let denied = DENIALS
        .iter()
        .flat_map(|word| said.match_indices(word))
        .any(|(at, word)| !named.iter().any(|&&(_, from, to)| from <= at && at + word.len() <= to));
    let &&(one, ..) = named.first()?;
    let begun = !cut || named.iter().any(|place| place.1 == 0);
    (begun && !denied && named.iter().all(|place| place.0 == one)).then_some(one)
}

pub fn shares(counts: &[u32]) -> Vec<f32> {
    let all = counts.iter().sum::<u32>() as f32 + SMOOTHING * counts.len() as f32;
    counts.iter().map(|&n| ((n as f32 + SMOOTHING) / all).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;
    use crate::teacher::endpoint::settings::Constrain;
    use serde_json::json;

    fn names() -> Vec<Vec<String>> {
        vec![vec!["turn off".into(), "out".into()], vec!["off road".into()], vec!["on".into()]]
    }

    #[test]
    fn first_tokens_are_summed_by_class() {
        let answer = |list: Value| json!({"choices": [{"logprobs": {"content": [{"token": "x", "top_logprobs": list}]}}]});
        let t = |token: &str, p: f64| json!({"token": token, "logprob": p.ln()});
        let list = json!([t(" On", 0.5), t("ON", 0.1), t("tu", 0.2), t("o", 0.1), t("zzz", 0.01)]);
        let scores = first_token(&answer(list), &names(), 0.5).unwrap().unwrap();
        // `o` begins two classes and counts for neither; nothing begins `off road`.
        for (score, p) in scores.iter().zip([0.2_f32, 0.01, 0.6]) {
            assert!((score - p.ln()).abs() < 1e-5, "{scores:?}");
        }
        assert_eq!(first_token(&answer(json!([t("zzz", 0.9)])), &names(), 0.0), Ok(None));
        let zero = json!([t("on", 0.9), t("tu", 1e-20), {"token": "off r", "logprob": -9999.0}]);
        let scores = first_token(&answer(zero), &names(), 0.9).unwrap().unwrap();
        assert!((scores[1] - 1e-20_f32.ln()).abs() < 1e-3, "as unlikely as the least: {scores:?}");
        let nan = json!([{"token": "on", "logprob": null}]);
        assert_eq!(first_token(&answer(nan), &names(), 0.0), Err(NoScores::NotFinite));
        for none in [json!({}), answer(json!([])), json!({"choices": [{"logprobs": null}]})] {
            assert!(matches!(first_token(&none, &names(), 0.0), Err(NoScores::NotOffered(_))));
        }
    }

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

    #[test]
    fn votes_are_told_apart_by_whole_names() {
        for (said, class) in [
            ("turn off", Some(0)),
            ("Turn OFF.", Some(0)),
            ("It should be **out**", Some(0)),
            ("off road", Some(1)),
            ("on", Some(2)),
            ("It is not on", None),
            ("It isn't out.", None),
            ("neither on nor out", None),
            ("Turn off, please", Some(0)),
            ("one", None),
            ("on or out", None),
            ("off", None),
            ("", None),
        ] {
            assert_eq!(vote(said, &names(), false), class, "{said}");
        }
        let shares = shares(&[4, 0]);
        assert!((shares[0] - 0.9_f32.ln()).abs() < 1e-6 && (shares[1] - 0.1_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn thoughts_and_refusals_are_no_votes() {
        let spam = vec![vec!["not spam".into()], vec!["spam".into()]];
        assert_eq!(vote("It is not spam.", &spam, false), Some(0), "a name may deny");
        let choice = |content: &str, end: &str| json!({"message": {"content": content}, "finish_reason": end});
        let of = |choices: Value| votes(&json!({ "choices": choices }), &names());
        for (said, end, class) in [
            ("<think>on or out?</think>\non", "stop", Some(2)),
            ("[THINK]on or out?[/THINK]on", "stop", Some(2)),
            ("on or out? The text says on.</think>on", "stop", Some(2)),
            ("Okay, the user wants it on because", "length", None),
            ("On. The user wants", "length", Some(2)),
        ] {
            assert_eq!(of(json!([choice(said, end)])), Ok(vec![class]), "{said}");
        }
        assert_eq!(of(json!([choice("<think>it is on", "length")])), Err(NoScores::Thinks));
        let apart =
            json!([{"message": {"content": null, "reasoning": "on?"}, "finish_reason": "length"}]);
        assert_eq!(of(apart), Err(NoScores::Thinks));
        for refused in [
            json!([{"message": {"content": null}, "finish_reason": "stop"}]),
            json!([{"message": {"content": ""}, "finish_reason": "content_filter"}]),
            json!([{"message": {"content": null, "refusal": "I cannot help"}}]),
        ] {
            assert!(matches!(of(refused), Err(NoScores::Refused(_))));
        }
        let mixed = json!([choice("on", "stop"), {"message": {"content": null}}]);
        assert_eq!(of(mixed), Ok(vec![Some(2), None]));

        let first = |token: &str, p: f64| {
            let list =
                json!([{"token": token, "logprob": p.ln()}, {"token": "on", "logprob": -9.0}]);
            let content = json!([{"token": token, "top_logprobs": list}]);
            first_token(&json!({"choices": [{"logprobs": {"content": content}}]}), &names(), 0.1)
        };
        assert_eq!(first("<think>", 0.99), Err(NoScores::Thinks));
        assert_eq!(first("<", 0.99), Err(NoScores::Thinks));
        assert_eq!(first("The", 0.99), Ok(None), "e^-9 is below the least mass");
    }

    #[test]
    fn votes_cost_at_most_their_answers() {
        let asked = request::tests::question(&["yes", "no"]).vote("t", 5, 0.7, Constrain::Grammar);
        assert_eq!((&asked.body["n"], &asked.body["max_tokens"]), (&json!(5), &json!(11)));
        assert_eq!(asked.body["grammar"], "root ::= \"yes\" | \"no\"");
        let content = asked.body["messages"][0]["content"].as_str().unwrap();
        assert_eq!(asked.most_tokens, content.len() as u64 + request::TEMPLATE_TOKENS + 55);
    }
}
