//! Asking: one text's requests, repeated where that helps, each within the budget.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::teacher::endpoint::answers;
use crate::teacher::endpoint::error::{EndpointError, Result};
use crate::teacher::endpoint::ledger::{Entry, Leave, Ledger};
use crate::teacher::endpoint::request::{Names, NoScores, Request, RequestBuilder, tokens};
use crate::teacher::endpoint::server::{Fleet, Server, Trouble};
use crate::teacher::endpoint::settings::{Constrain, Settings, Way};
use crate::teacher::log_mean_exp;

/// Times that a rate limit is waited for in one request before it is given up.
const MOST_LIMITS: u32 = 100;
const PATIENCE_S: u64 = 300;
const MOST_VOTES: usize = 16;
/// What is wrong where an echoed token has the next one's log-probability.
const LATE: &str = "the log-probabilities that it echoes stand one token late, so the class words have those of other tokens; llama-cpp-python does so for models that begin without an opening token: start it with `--kv_overrides tokenizer.ggml.add_bos_token=bool:true`, or ask by --ask chat or --ask votes";

/// Why a request was not answered: an error, or `None` when the run has ended.
type Stop = Option<EndpointError>;

pub struct Answered {
    pub logits: Vec<f32>,
    pub decided: bool,
    pub tokens: u64,
}

/// A way of asking, ready for any number of threads.
pub struct Client {
    fleet: Fleet,
    ledger: Mutex<Ledger>,
    builder: RequestBuilder,
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
        builder: RequestBuilder,
        ledger: Ledger,
        sample: &str,
    ) -> Result<Self> {
        let key = settings.key.map(Arc::new);
        let servers: Vec<Server> = settings
            .urls
            .iter()
            .map(|url| Server::new(url, key.clone(), settings.timeout))
            .collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(EndpointError::Url { url: String::new(), what: "give an address".into() });
        }
        let known = settings.ask.or(ledger.way);
        let mut client = Self {
            fleet: Fleet::new(servers, settings.backoff),
            ledger: Mutex::new(ledger),
            builder,
            way: known.unwrap_or(Way::Chat),
            empty: None,
            votes: settings.votes.max(1),
            temperature: settings.temperature,
            constrain: settings.constrain,
            tries: settings.tries.max(1),
        };
        if known.is_none() {
            client.way = client.find_way(sample)?;
            client.ledger().enter(Entry::Way(client.way))?;
        }
        if settings.calibrate.unwrap_or(client.way == Way::Completions) {
            let known = client.ledger().empty.clone();
            client.empty = Some(match known {
                Some(scores) => scores,
                None => {
                    // Nobody else holds the client yet: the run cannot have ended.
                    let scores = client.ask("", &|| false)?.map(|a| a.logits).unwrap_or_default();
                    client.ledger().enter(Entry::Empty(scores.clone()))?;
                    scores
                }
            });
        }
        Ok(client)
    }

    pub fn spent(&self) -> (u64, u64) {
        self.ledger().spent()
    }

    /// Everything beside the model that decides the logits, in words.
    pub fn method(&self) -> String {
        let how = match self.way {
            Way::Chat => "log-probabilities of the first token of a chat answer".to_owned(),
            Way::Completions => {
                format!("mean log-probability of {:?} after the prompt", self.builder.words)
            }
            Way::Votes => format!(
                "{} chat answers at temperature {} counted{}",
                self.votes,
                self.temperature,
                if self.constrain == Constrain::None { "" } else { ", constrained" }
            ),
        };
        let empty = if self.empty.is_some() { "; minus the score of an empty text" } else { "" };
        let letters = match (self.way, self.builder.names) {
            (Way::Completions, _) | (_, Names::Words) => "",
            (_, Names::Letters) => ", classes by letter",
        };
        format!("endpoint; {how}{letters}; prompt {:?}{empty}", self.builder.template(self.way))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first way of asking that the endpoint answers to.
    fn find_way(&self, sample: &str) -> Result<Way> {
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

    fn try_way(&self, way: Way, sample: &str) -> Result<bool> {
        let names = &self.builder.answers;
        type Check<'a> = Box<dyn Fn(&Value) -> Result<(), NoScores> + 'a>;
        let (request, check): (Request, Check<'_>) = match way {
            Way::Chat => (
                self.builder.first_token(sample),
                Box::new(|answer| answers::first_token(answer, names).map(drop)),
            ),
            Way::Completions => {
                let word = &self.builder.words[0][0];
                let prompt = self.builder.completion(sample);
                let check = move |answer: &Value| answers::echoed(answer, &prompt, word).map(drop);
                (self.builder.echo(sample, word), Box::new(check))
            }
            Way::Votes => (
                self.builder.vote(sample, 1, self.temperature, self.constrain),
                Box::new(|answer| answers::votes(answer, names).map(drop)),
            ),
        };
        match self.send(&request, &|answer| Ok(check(answer)), &|| false) {
            Ok((scores, _)) => Ok(!matches!(scores, Err(NoScores::NotOffered(_) | NoScores::Late))),
            Err(stop) => stop.map_or(Ok(false), Err),
        }
    }

    /// A text's logits; `None` when `ended` says that nothing is wanted any more.
    pub fn ask(&self, text: &str, ended: &dyn Fn() -> bool) -> Result<Option<Answered>> {
        let scores = match self.way {
            Way::Chat => {
                let parse = |answer: &Value| answers::first_token(answer, &self.builder.answers);
                self.send(&self.builder.first_token(text), &parse, ended)
            }
            Way::Completions => self.score_words(text, ended),
            Way::Votes => self.count_votes(text, ended),
        };
        let (logits, tokens) = match scores {
            Ok(scores) => scores,
            Err(stop) => return stop.map_or(Ok(None), Err),
        };
        let decided = logits.is_some();
        let mut logits = logits.unwrap_or_else(|| vec![0.0; self.builder.words.len()]);
        if let (true, Some(empty)) = (decided, &self.empty) {
            logits.iter_mut().zip(empty).for_each(|(z, e)| *z -= e);
        }
        Ok(Some(Answered { logits, decided, tokens }))
    }

    fn score_words(
        &self,
        text: &str,
        ended: &dyn Fn() -> bool,
    ) -> Result<(Option<Vec<f32>>, u64), Stop> {
        let (prompt, mut total) = (self.builder.completion(text), 0);
        let mut logits = Vec::with_capacity(self.builder.words.len());
        for words in &self.builder.words {
            let mut scores = Vec::with_capacity(words.len());
            for word in words {
                let parse = |answer: &Value| answers::echoed(answer, &prompt, word);
                let (score, tokens) = self.send(&self.builder.echo(text, word), &parse, ended)?;
                scores.push(score);
                total += tokens;
            }
            logits.push(log_mean_exp(&scores));
        }
        Ok((Some(logits), total))
    }

    /// Draws as many answers as are wanted and counts those that name a class.
    fn count_votes(
        &self,
        text: &str,
        ended: &dyn Fn() -> bool,
    ) -> Result<(Option<Vec<f32>>, u64), Stop> {
        let names = &self.builder.answers;
        let mut counts = vec![0_u32; names.len()];
        let (mut total, mut drawn) = (0, 0);
        while drawn < self.votes {
            let n = (self.votes - drawn).min(MOST_VOTES);
            let request = self.builder.vote(text, n, self.temperature, self.constrain);
            // A server may give one answer whatever `n` says; a usable answer has one at least.
            let (answers, tokens) = self.send(&request, &|a| answers::votes(a, names), ended)?;
            total += tokens;
            drawn += answers.len();
            answers.into_iter().take(n).flatten().for_each(|class| counts[class] += 1);
        }
        let any = counts.iter().any(|&n| n > 0);
        Ok((any.then(|| answers::shares(&counts)), total))
    }

    /// Sends a request until it is answered in a form that `parse` takes: what it made of it, and the tokens.
    fn send<T>(
        &self,
        asked: &Request,
        parse: &dyn Fn(&Value) -> Result<T, NoScores>,
        ended: &dyn Fn() -> bool,
    ) -> Result<(T, u64), Stop> {
        let (mut failures, mut limits, mut last) = (0, 0, None);
        loop {
            // An endpoint first, leave second: a request that is entered is sent at once.
            let Some(place) = self.fleet.take(last, ended) else { return Err(None) };
            let server = self.fleet.server(place);
            if let Err(stop) = self.leave(asked.most_tokens, ended) {
                self.fleet.give_back(place, Some(&Trouble::Refused(0, String::new())));
                return Err(stop);
            }
            let answer = server.post(asked.path, &asked.body);
            let spent = match &answer {
                Ok(answer) => tokens(answer),
                Err(Trouble::Limited(..)) => Some(0),
                Err(_) => None,
            };
            let sent = !matches!(answer, Err(Trouble::NotSent(_)));
            match sent {
                true => self.ledger().settle(asked.most_tokens, spent)?,
                false => self.ledger().take_back(asked.most_tokens)?,
            }
            let url = || server.url().to_owned();
            let result = match answer.map(|answer| (parse(&answer), answer)) {
                Ok((Ok(scores), _)) => Ok(scores),
                Ok((Err(unfit @ (NoScores::Unfit(_) | NoScores::Late)), _)) => {
                    self.fleet.give_back(place, None);
                    let what = if let NoScores::Unfit(what) = unfit { what } else { LATE.into() };
                    return Err(Some(EndpointError::Answer { url: url(), what }));
                }
                Ok((Err(NoScores::NotFinite), _)) => {
                    let why = "a log-probability that is no number (NaN); the model overflows there, serve it in bf16 or f32";
                    Err(Trouble::Passing(why.into()))
                }
                Ok((Err(NoScores::NotOffered(what)), answer)) => {
                    let error = answer["error"]["message"].as_str().map(|e| format!(" ({e})"));
                    Err(Trouble::Passing(format!("gives no {what}{}", error.unwrap_or_default())))
                }
                Err(trouble) => Err(trouble),
            };
            self.fleet.give_back(place, result.as_ref().err());
            last = Some(place);
            let why = match result {
                Ok(scores) => return Ok((scores, spent.unwrap_or(asked.most_tokens))),
                Err(Trouble::Refused(status, text)) => {
                    let remedy = remedy(status);
                    return Err(Some(EndpointError::Refused { url: url(), status, text, remedy }));
                }
                Err(Trouble::Limited(after, why)) => {
                    limits += 1;
                    if let Some(after) = after.filter(|a| a.as_secs() > PATIENCE_S) {
                        return Err(Some(EndpointError::Later { url: url(), after }));
                    }
                    if limits < MOST_LIMITS {
                        continue;
                    }
                    why
                }
                Err(Trouble::NotSent(why) | Trouble::Passing(why)) => {
                    failures += 1;
                    if failures < self.tries {
                        // An endpoint that took nothing rests; another may be awake.
                        if sent {
                            self.fleet.pause(failures, ended);
                        }
                        continue;
                    }
                    why
                }
            };
            let tries = failures + limits;
            return Err(Some(EndpointError::NoAnswer { url: url(), tries, why }));
        }
    }

    /// Waits for leave to spend: `Err(None)` when the run has ended.
    fn leave(&self, tokens: u64, ended: &dyn Fn() -> bool) -> Result<(), Stop> {
        loop {
            let leave = self.ledger().ask_leave(tokens)?;
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
