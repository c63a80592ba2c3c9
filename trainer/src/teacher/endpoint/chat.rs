//! A chat answer's first token: one request a text.

use serde_json::{Value, json};

use super::request::{NoScores, Request, RequestBuilder};

/// Alternatives to the first token that are asked for; what hosted servers allow at most.
const ALTERNATIVES: u32 = 20;
const ZERO: f64 = -700.0;

impl RequestBuilder {
    pub fn first_token(&self, text: &str) -> Request {
        self.chat_request(
            text,
            1,
            &json!({"temperature": 0, "logprobs": true, "top_logprobs": ALTERNATIVES}),
        )
    }
}

/// Class scores from the log-probabilities of the first token's alternatives; `None` when none of them begins the
/// name of exactly one class.
///
/// A class's probability is the sum over its tokens. A class without a token has at most the probability of the
/// least alternative, and is given that.
pub fn first_token(answer: &Value, names: &[Vec<String>]) -> Result<Option<Vec<f32>>, NoScores> {
    const MISSING: NoScores = NoScores::NotOffered("log-probabilities of chat answers");
    let first = &answer["choices"][0]["logprobs"]["content"][0];
    let alternatives =
        first["top_logprobs"].as_array().filter(|list| !list.is_empty()).ok_or(MISSING)?;
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
    if sums.iter().all(|&sum| sum == 0.0) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Vec<Vec<String>> {
        vec![vec!["turn off".into(), "out".into()], vec!["off road".into()], vec!["on".into()]]
    }

    #[test]
    fn first_tokens_are_summed_by_class() {
        let answer = |list: Value| json!({"choices": [{"logprobs": {"content": [{"token": "x", "top_logprobs": list}]}}]});
        let t = |token: &str, p: f64| json!({"token": token, "logprob": p.ln()});
        let list = json!([t(" On", 0.5), t("ON", 0.1), t("tu", 0.2), t("o", 0.1), t("zzz", 0.01)]);
        let scores = first_token(&answer(list), &names()).unwrap().unwrap();
        // `o` begins two classes and counts for neither; nothing begins `off road`.
        for (score, p) in scores.iter().zip([0.2_f32, 0.01, 0.6]) {
            assert!((score - p.ln()).abs() < 1e-5, "{scores:?}");
        }
        assert_eq!(first_token(&answer(json!([t("zzz", 0.9)])), &names()), Ok(None));
        let zero = json!([t("on", 0.9), t("tu", 1e-20), {"token": "off r", "logprob": -9999.0}]);
        let scores = first_token(&answer(zero), &names()).unwrap().unwrap();
        assert!((scores[1] - 1e-20_f32.ln()).abs() < 1e-3, "as unlikely as the least: {scores:?}");
        let nan = json!([{"token": "on", "logprob": null}]);
        assert_eq!(first_token(&answer(nan), &names()), Err(NoScores::NotFinite));
        for none in [json!({}), answer(json!([])), json!({"choices": [{"logprobs": null}]})] {
            assert!(matches!(first_token(&none, &names()), Err(NoScores::NotOffered(_))));
        }
    }
}
