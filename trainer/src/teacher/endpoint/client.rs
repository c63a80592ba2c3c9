//! Asking: one text's requests, repeated where that helps, each within the budget.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::teacher::endpoint::fleet::Fleet;
use crate::teacher::endpoint::ledger::{Leave, Ledger};
use crate::teacher::endpoint::request::{Names, Request, RequestBuilder};
use crate::teacher::endpoint::scores::{
    NoScores, echoed, first_token, pooled, shares, tokens, votes,
};
use crate::teacher::endpoint::wire::{Server, Trouble};
use crate::teacher::endpoint::{Answered, Constrain, EndpointError, Settings, Way};

/// Times that a rate limit is waited for in one request before it is given up.
const MOST_LIMITS: u32 = 100;
/// Longest wait that a rate limit may ask for.
const PATIENCE_S: u64 = 300;
const MOST_VOTES: usize = 16;
/// What is wrong where an echoed token has the next one's log-probability.
const LATE: &str = "the log-probabilities that it echoes stand one token late, so the class words have those of other tokens; llama-cpp-python does so for models that begin without an opening token: start it with `--kv_overrides tokenizer.ggml.add_bos_token=bool:true`, or ask by --ask chat or --ask votes";

/// A way of asking, ready for any number of threads.
pub struct Client {
    fleet: Fleet,
    ledger: Mutex<Ledger>,
    question: RequestBuilder,
    words: Vec<Vec<String>>,
    way: Way,
    empty: Option<Vec<f32>>,
    votes: usize,
    temperature: f32,
    constrain: Constrain,
    tries: u32,
}

impl Client {
    /// Opens connections, finds out what is offered, and scores the empty text where that is wanted.
    pub fn open(
        settings: Settings,
        question: RequestBuilder,
        words: Vec<Vec<String>>,
        ledger: Ledger,
        sample: &str,
    ) -> Result<Self, EndpointError> {
        let key = settings.key.map(Arc::new);
        let servers: Vec<Server> = settings
            .urls
            .iter()
            .map(|url| Server::new(url, key.clone(), settings.timeout))
            .collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(EndpointError::Url { url: String::new(), what: "give an address".into() });
        }
        let known = settings.ask.or(ledger.way());
        let mut line = Self {
            fleet: Fleet::new(servers, settings.backoff),
            ledger: Mutex::new(ledger),
            question,
            words,
            way: known.unwrap_or(Way::Chat),
            empty: None,
            votes: settings.votes.max(1),
            temperature: settings.temperature,
            constrain: settings.constrain,
            tries: settings.tries.max(1),
        };
        if known.is_none() {
            line.way = line.find_way(sample)?;
            line.ledger().set_way(line.way)?;
        }
        if settings.calibrate.unwrap_or(line.way == Way::Completions) {
            let known = line.ledger().empty().map(<[f32]>::to_vec);
            line.empty = Some(match known {
                Some(scores) => scores,
                None => {
                    // Nobody else holds the line yet: the run cannot have ended.
                    let scores = line.ask("", &|| false)?.map(|a| a.logits).unwrap_or_default();
                    line.ledger().set_empty(scores.clone())?;
                    scores
                }
            });
        }
        Ok(line)
    }

    pub fn way(&self) -> Way {
        self.way
    }

    pub fn spent(&self) -> (u64, u64) {
        self.ledger().spent()
    }

    /// Everything beside the model that decides the logits, in words.
    pub fn method(&self) -> String {
        let how = match self.way {
            Way::Chat => "log-probabilities of the first token of a chat answer".to_owned(),
            Way::Completions => {
                format!("mean log-probability of {:?} after the prompt", self.words)
            }
            Way::Votes => format!(
                "{} chat answers at temperature {} counted{}",
                self.votes,
                self.temperature,
                if self.constrain == Constrain::None { "" } else { ", constrained" }
            ),
        };
        let empty = if self.empty.is_some() { "; minus the score of an empty text" } else { "" };
        let letters = match (self.way, self.question.names) {
            (Way::Completions, _) | (_, Names::Words) => "",
            (_, Names::Letters) => ", classes by letter",
        };
        format!("endpoint; {how}{letters}; prompt {:?}{empty}", self.question.template(self.way))
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first way of asking that the endpoint answers to.
    fn find_way(&self, sample: &str) -> Result<Way, EndpointError> {
        let mut last = None;
        for way in [Way::Chat, Way::Completions, Way::Votes] {
            match self.try_way(way, sample) {
                Ok(true) => return Ok(way),
                Ok(false) => {}
                // A path or a parameter that this server does not have, or cannot serve.
                Err(
                    e @ (EndpointError::Refused { status: 400 | 404 | 405 | 422 | 501, .. }
                    | EndpointError::NoAnswer { .. }),
                ) => last = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(last.unwrap_or_else(|| EndpointError::Answer {
            url: self.fleet.server(0).url().to_owned(),
            what: "answers neither chat nor completion requests as OpenAI's API does; check the address".into(),
        }))
    }

    fn try_way(&self, way: Way, sample: &str) -> Result<bool, EndpointError> {
        let alive = &|| false;
        let offered =
            |s: Result<(), NoScores>| !matches!(s, Err(NoScores::NotOffered(_) | NoScores::Late));
        match way {
            Way::Chat => {
                let check = |a: &Value| first_token(a, &self.question.answers).map(|_| ());
                let answer = self.send(&self.question.first_token(sample), &|_| Ok(()), alive)?;
                Ok(answer.is_some_and(|(a, _)| offered(check(&a))))
            }
            Way::Completions => {
                let word = &self.words[0][0];
                let prompt = self.question.completion(sample);
                let answer = self.send(&self.question.echo(sample, word), &|_| Ok(()), alive)?;
                Ok(answer.is_some_and(|(a, _)| offered(echoed(&a, &prompt, word).map(|_| ()))))
            }
            Way::Votes => {
                let asked = self.question.vote(sample, 1, self.temperature, self.constrain);
                let answer = self.send(&asked, &|_| Ok(()), alive)?;
                Ok(answer
                    .is_some_and(|(a, _)| offered(votes(&a, &self.question.answers).map(|_| ()))))
            }
        }
    }

    /// A text's logits; `None` when `ended` says that nothing is wanted any more.
    pub fn ask(
        &self,
        text: &str,
        ended: &dyn Fn() -> bool,
    ) -> Result<Option<Answered>, EndpointError> {
        let classes = self.words.len();
        let (logits, tokens) = match self.way {
            Way::Chat => {
                let names = &self.question.answers;
                let check = |a: &Value| first_token(a, names).map(|_| ());
                let asked = self.question.first_token(text);
                let Some((answer, tokens)) = self.send(&asked, &check, ended)? else {
                    return Ok(None);
                };
                (first_token(&answer, names).ok().flatten(), tokens)
            }
            Way::Completions => {
                let (prompt, mut total) = (self.question.completion(text), 0);
                let mut logits = Vec::with_capacity(classes);
                for words in &self.words {
                    let mut scores = Vec::with_capacity(words.len());
                    for word in words {
                        let check = |a: &Value| echoed(a, &prompt, word).map(|_| ());
                        let asked = self.question.echo(text, word);
                        let Some((answer, tokens)) = self.send(&asked, &check, ended)? else {
                            return Ok(None);
                        };
                        scores.extend(echoed(&answer, &prompt, word));
                        total += tokens;
                    }
                    logits.push(pooled(&scores));
                }
                (Some(logits), total)
            }
            Way::Votes => {
                let Some(counted) = self.count(text, ended)? else { return Ok(None) };
                counted
            }
        };
        let decided = logits.is_some();
        let mut logits = logits.unwrap_or_else(|| vec![0.0; classes]);
        if let (true, Some(empty)) = (decided, &self.empty) {
            logits.iter_mut().zip(empty).for_each(|(z, e)| *z -= e);
        }
        Ok(Some(Answered { logits, decided, tokens }))
    }

    /// Draws as many answers as are wanted and counts those that name a class.
    #[allow(clippy::type_complexity)]
    fn count(
        &self,
        text: &str,
        ended: &dyn Fn() -> bool,
    ) -> Result<Option<(Option<Vec<f32>>, u64)>, EndpointError> {
        let names = &self.question.answers;
        let mut counts = vec![0_u32; names.len()];
        let (mut total, mut drawn) = (0, 0);
        while drawn < self.votes {
            let n = (self.votes - drawn).min(MOST_VOTES);
            let asked = self.question.vote(text, n, self.temperature, self.constrain);
            let check = |a: &Value| votes(a, names).map(|_| ());
            let Some((answer, tokens)) = self.send(&asked, &check, ended)? else {
                return Ok(None);
            };
            total += tokens;
            // A server may give one answer whatever `n` says; the check has seen one at least.
            let answers = votes(&answer, names).unwrap_or_default();
            drawn += answers.len().max(1);
            answers.into_iter().take(n).flatten().for_each(|class| counts[class] += 1);
        }
        let any = counts.iter().any(|&n| n > 0);
        Ok(Some((any.then(|| shares(&counts)), total)))
    }

    /// Sends a request until it is answered in a form that `check` takes: the answer and its tokens.
    fn send(
        &self,
        asked: &Request,
        check: &dyn Fn(&Value) -> Result<(), NoScores>,
        ended: &dyn Fn() -> bool,
    ) -> Result<Option<(Value, u64)>, EndpointError> {
        let (mut failures, mut limits, mut last) = (0, 0, None);
        loop {
            // An endpoint first, leave second: a request that is entered is sent at once.
            let Some(place) = self.fleet.take(last, ended) else { return Ok(None) };
            let server = self.fleet.server(place);
            if let Err(stop) = self.leave(asked.most_tokens, ended) {
                self.fleet.give_back(place, Some(&Trouble::Refused(0, String::new())));
                return stop.map_or(Ok(None), Err);
            }
            let mut result = server.post(asked.path, &asked.body);
            let spent = match &result {
                Ok(answer) => tokens(answer),
                Err(Trouble::Limited(..)) => Some(0),
                Err(_) => None,
            };
            match &result {
                Err(Trouble::NotSent(_)) => self.ledger().take_back(asked.most_tokens)?,
                _ => self.ledger().settle(asked.most_tokens, spent)?,
            }
            let url = || server.url().to_owned();
            if let Ok(answer) = &result {
                match check(answer) {
                    Ok(()) => {}
                    Err(NoScores::Unfit(what)) => {
                        self.fleet.give_back(place, None);
                        return Err(EndpointError::Answer { url: url(), what });
                    }
                    Err(NoScores::Late) => {
                        self.fleet.give_back(place, None);
                        return Err(EndpointError::Answer { url: url(), what: LATE.into() });
                    }
                    Err(NoScores::NotFinite) => {
                        let why = "a log-probability that is no number (NaN); the model overflows there, serve it in bf16 or f32";
                        result = Err(Trouble::Passing(why.into()));
                    }
                    Err(NoScores::NotOffered(what)) => {
                        let error = answer["error"]["message"].as_str().map(|e| format!(" ({e})"));
                        let why = format!("gives no {what}{}", error.unwrap_or_default());
                        result = Err(Trouble::Passing(why));
                    }
                }
            }
            self.fleet.give_back(place, result.as_ref().err());
            last = Some(place);
            let why = match result {
                Ok(answer) => return Ok(Some((answer, spent.unwrap_or(asked.most_tokens)))),
                Err(Trouble::Refused(status, text)) => {
                    let remedy = remedy(status);
                    return Err(EndpointError::Refused { url: url(), status, text, remedy });
                }
                Err(Trouble::Limited(after, why)) => {
                    limits += 1;
                    if let Some(after) = after.filter(|a| a.as_secs() > PATIENCE_S) {
                        return Err(EndpointError::Later { url: url(), after });
                    }
                    if limits < MOST_LIMITS {
                        continue;
                    }
                    why
                }
                Err(Trouble::NotSent(why)) => {
                    failures += 1;
                    if failures < self.tries {
                        // The endpoint rests; another may be awake.
                        continue;
                    }
                    why
                }
                Err(Trouble::Passing(why)) => {
                    failures += 1;
                    if failures < self.tries {
                        self.fleet.pause(failures, ended);
                        continue;
                    }
                    why
                }
            };
            return Err(EndpointError::NoAnswer { url: url(), tries: failures + limits, why });
        }
    }

    /// Waits for leave to spend: `Err(None)` when the run has ended.
    fn leave(&self, tokens: u64, ended: &dyn Fn() -> bool) -> Result<(), Option<EndpointError>> {
        loop {
            let leave = self.ledger().ask_leave(tokens).map_err(Some)?;
            match leave {
                Leave::Granted => return Ok(()),
                Leave::Wait if ended() => return Err(None),
                Leave::Wait => std::thread::sleep(std::time::Duration::from_millis(10)),
                Leave::UsedUp => {
                    let (requests, tokens) = self.spent();
                    return Err(Some(EndpointError::Budget { requests, tokens, left: 0 }));
                }
            }
        }
    }
}

/// What to do about a status that repetition does not mend.
fn remedy(status: u16) -> &'static str {
    match status {
        300..=399 => "it has moved: give the address that it names",
        400 | 422 => {
            "it does not take this request: check --endpoint-model, or choose another --ask or --constrain; a text may be longer than its context, see --max-chars"
        }
        401 | 403 => "check the key (--key-file or the variable of --key-env)",
        402 => "the account has no credit",
        404 | 405 => "check the address (is /v1 missing or doubled?) and --endpoint-model",
        413 => "the text is too long for it: lower --max-chars",
        _ => "this status is not tried again",
    }
}
