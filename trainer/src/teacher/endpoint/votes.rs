//! Chat answers drawn several times and counted.

use serde_json::{Value, json};

use super::request::{NoScores, Request, RequestBuilder};
use super::settings::Constrain;

/// Added to every class's votes: a class without any is unlikely, not impossible (the prior of Jeffreys).
const SMOOTHING: f32 = 0.5;

impl RequestBuilder {
    pub fn vote(&self, text: &str, n: usize, temperature: f32, constrain: Constrain) -> Request {
        let every: Vec<&str> = self.answers.iter().flatten().map(String::as_str).collect();
        // A token has a byte at least; a model that chats on is cut.
        let longest = every.iter().map(|word| word.len()).max().unwrap_or(0) + 8;
        let mut more = json!({"temperature": temperature, "n": n});
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
        self.chat_request(text, longest * n, &more).limited(longest)
    }
}

/// The votes of an answer: the class of each choice, or none that can be told.
pub fn votes(answer: &Value, names: &[Vec<String>]) -> Result<Vec<Option<usize>>, NoScores> {
    let choices = answer["choices"].as_array().filter(|list| !list.is_empty());
    let choices = choices.ok_or(NoScores::NotOffered("chat answers"))?;
    let content = |choice: &Value| choice["message"]["content"].as_str().map(|t| vote(t, names));
    choices.iter().map(|c| content(c).ok_or(NoScores::NotOffered("chat answers"))).collect()
}

/// The class that an answer names: the answer as a whole, else the only one whose name stands in it as words.
fn vote(answer: &str, names: &[Vec<String>]) -> Option<usize> {
    // What a model thinks aloud is no answer.
    let said = answer.rsplit_once("</think>").map_or(answer, |(_, said)| said).to_lowercase();
    let words = |text: &str| {
        let plain: String =
            text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
        format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let said = words(&said);
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
    let mut named = places.iter().filter(|p| !within(p)).map(|p| p.0);
    let one = named.next()?;
    named.all(|class| class == one).then_some(one)
}

pub fn shares(counts: &[u32]) -> Vec<f32> {
    let all = counts.iter().sum::<u32>() as f32 + SMOOTHING * counts.len() as f32;
    counts.iter().map(|&n| ((n as f32 + SMOOTHING) / all).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Vec<Vec<String>> {
        vec![vec!["turn off".into(), "out".into()], vec!["off road".into()], vec!["on".into()]]
    }

    #[test]
    fn votes_are_told_apart_by_whole_names() {
        for (said, class) in [
            ("turn off", Some(0)),
            ("Turn OFF.", Some(0)),
            ("It should be **out**", Some(0)),
            ("off road", Some(1)),
            ("on", Some(2)),
            ("<think>on or out?</think>\non", Some(2)),
            ("one", None),
            ("on or out", None),
            ("off", None),
            ("", None),
        ] {
            assert_eq!(vote(said, &names()), class, "{said}");
        }
        let shares = shares(&[4, 0]);
        assert!((shares[0] - 0.9_f32.ln()).abs() < 1e-6 && (shares[1] - 0.1_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn votes_cost_at_most_their_answers() {
        let asked = super::super::request::tests::question(&["yes", "no"]).vote(
            "t",
            5,
            0.7,
            Constrain::Grammar,
        );
        assert_eq!((&asked.body["n"], &asked.body["max_tokens"]), (&json!(5), &json!(11)));
        assert_eq!(asked.body["grammar"], "root ::= \"yes\" | \"no\"");
        let content = asked.body["messages"][0]["content"].as_str().unwrap();
        assert_eq!(
            asked.most_tokens,
            content.len() as u64 + super::super::request::TEMPLATE_TOKENS + 55
        );
    }
}
