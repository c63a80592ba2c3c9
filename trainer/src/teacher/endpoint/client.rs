//! Asking: one text's requests, repeated where that helps, each within the budget.

use crate::teacher::endpoint::answers;
use crate::teacher::endpoint::ledger::{Entry, Leave, Ledger};
use crate::teacher::endpoint::request::{NoScores, Request, RequestBuilder, Thoughts, tokens};
use crate::teacher::endpoint::server::{Fleet, Server, Trouble};
use crate::teacher::endpoint::settings::{Constrain, EndpointArgs, Way};
use crate::teacher::log_mean_exp;
use anyhow::{Result, anyhow, bail};
use qdllm_host::http::Backoff;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Times that a rate limit is waited for in one request before it is given up.
const MOST_LIMITS: u32 = 100;
const PATIENCE_S: u64 = 300;
const MOST_VOTES: usize = 16;
/// Tries before another way of asking is looked for, at least.
const LEAST_PROBES: u32 = 3;

/// A kind of request that the endpoint does not take, or gives no usable answer to; another kind may do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unserved(String);

/// The endpoint serves, and refuses this text.
#[derive(Debug, thiserror::Error)]
#[error("{0}; --refused-texts skip sets such texts aside")]
pub struct TextRefused(String);

#[derive(Debug, thiserror::Error)]
#[error(
    "the budget is used up: {requests} requests and {tokens} tokens so far, {left} texts are without an answer; the answers are kept, run again with a larger --budget-requests or --budget-tokens"
)]
pub struct UsedUp {
    pub requests: u64,
    pub tokens: u64,
    pub left: usize,
}

pub struct Answered {
    pub logits: Vec<f32>,
    pub decided: bool,
    pub tokens: u64,
}

/// A way of asking, ready for any number of threads.
pub struct Client {
    pub(super) fleet: Fleet,
    ledger: Mutex<Ledger>,
    pub(super) builder: RequestBuilder,
    pub args: EndpointArgs,
    way: Way,
    /// The way of asking is being looked for.
    probing: bool,
    empty: Option<Vec<f32>>,
    /// Set when nothing is wanted any more; what is asked then is an error.
    pub ended: AtomicBool,
}

impl Client {
    /// Opens connections, finds out what is offered, and scores the empty text where that is wanted.
    pub fn open(
        args: EndpointArgs,
        urls: &[String],
        builder: RequestBuilder,
        ledger: Ledger,
        samples: &[&str],
    ) -> Result<Self> {
        let key = args.key()?.map(Arc::new);
        let timeout = Duration::from_secs_f64(args.timeout);
        let servers =
            urls.iter().map(|url| Server::new(url, key.clone(), (timeout, &args.trust_http)));
        let servers = servers.collect::<Result<Vec<Server>>>()?;
        if servers.is_empty() {
            bail!("endpoint ``: give an address");
        }
        let first = Duration::from_millis(args.backoff);
        let backoff = Backoff { first, longest: Duration::from_secs(30) };
        let known = args.ask.or(ledger.way);
        let thoughts = match args.think_tokens {
            0 if ledger.quiet => Thoughts::Off,
            0 => Thoughts::Unseen,
            room => Thoughts::Room(room),
        };
        let mut client = Self {
            fleet: Fleet::new(servers, backoff),
            ledger: Mutex::new(ledger),
            builder: RequestBuilder { thoughts, ..builder },
            args,
            way: known.unwrap_or(Way::Chat),
            probing: known.is_none(),
            empty: None,
            ended: AtomicBool::new(false),
        };
        if known.is_none() {
            client.way = client.find_way(samples)?;
            client.ledger().enter(Entry::Way(client.way))?;
            client.probing = false;
        }
        if client.args.calibrate.unwrap_or(client.way == Way::Completions) {
            let known = client.ledger().empty.clone();
            client.empty = Some(match known {
                Some(scores) => scores,
                None => {
                    let scores = client.ask("")?.logits;
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
            Way::Chat => format!(
                "log-probabilities of the first token of a chat answer, of at least {} together",
                self.args.least_mass
            ),
            Way::Completions => {
                format!("mean log-probability of {:?} after the prompt", self.builder.words)
            }
            Way::Votes => format!(
                "{} chat answers at temperature {} counted{}",
                self.args.votes.max(1),
                self.args.vote_temperature,
                if self.args.constrain == Constrain::None { "" } else { ", constrained" }
            ),
        };
        let empty = if self.empty.is_some() { "; minus the score of an empty text" } else { "" };
        let RequestBuilder { letters, chat, completion, .. } = &self.builder;
        let completed = self.way == Way::Completions;
        let thoughts = match self.builder.thoughts {
            Thoughts::Off if !completed => ", told not to think".to_owned(),
            Thoughts::Room(tokens) if !completed => format!(", {tokens} tokens to think"),
            _ => String::new(),
        };
        let letters = if *letters && !completed { ", classes by letter" } else { "" };
        let prompt = if completed { completion } else { chat };
        format!("endpoint; {how}{letters}{thoughts}; prompt {prompt:?}{empty}")
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn vote(&self, text: &str, n: usize) -> Request {
        self.builder.vote(text, n, self.args.vote_temperature, self.args.constrain)
    }

    pub fn ask(&self, text: &str) -> Result<Answered> {
        let (logits, tokens) = match self.way {
            Way::Chat => {
                let (names, least_mass) = (&self.builder.answers, self.args.least_mass);
                let parse = |answer: &Value| match answers::first_token(answer, names, least_mass) {
                    Err(NoScores::Thinks) => Ok(None),
                    scores => scores,
                };
                self.send(&self.builder.first_token(text), parse)
            }
            Way::Completions => self.score_words(text),
            Way::Votes => self.count_votes(text),
        }?;
        let decided = logits.is_some();
        let mut logits = logits.unwrap_or_else(|| vec![0.0; self.builder.words.len()]);
        if let (true, Some(empty)) = (decided, &self.empty) {
            logits.iter_mut().zip(empty).for_each(|(z, e)| *z -= e);
        }
        Ok(Answered { logits, decided, tokens })
    }

    fn score_words(&self, text: &str) -> Result<(Option<Vec<f32>>, u64)> {
        let (prompt, mut total) = (self.builder.completion(text), 0);
        let mut logits = Vec::with_capacity(self.builder.words.len());
        for words in &self.builder.words {
            let mut scores = Vec::with_capacity(words.len());
            for word in words {
                let parse = |answer: &Value| answers::echoed(answer, &prompt, word);
                let (score, tokens) = self.send(&self.builder.echo(text, word), parse)?;
                scores.push(score);
                total += tokens;
            }
            logits.push(log_mean_exp(&scores));
        }
        Ok((Some(logits), total))
    }

    /// Draws as many answers as are wanted and counts those that name a class.
    fn count_votes(&self, text: &str) -> Result<(Option<Vec<f32>>, u64)> {
        let names = &self.builder.answers;
        let mut counts = vec![0_u32; names.len()];
        let (wanted, mut total, mut drawn) = (self.args.votes.max(1), 0, 0);
        while drawn < wanted {
            let n = (wanted - drawn).min(MOST_VOTES);
            // A server may give one answer whatever `n` says; a usable answer has one at least.
            let parse = |answer: &Value| match answers::votes(answer, names) {
                Err(NoScores::Thinks) => Ok(vec![None]),
                votes => votes,
            };
            let (answers, tokens) = self.send(&self.vote(text, n), parse)?;
            total += tokens;
            drawn += answers.len();
            answers.into_iter().take(n).flatten().for_each(|class| counts[class] += 1);
        }
        let any = counts.iter().any(|&n| n > 0);
        Ok((any.then(|| answers::shares(&counts)), total))
    }

    /// Sends a request until it is answered in a form that `parse` takes: what it made of it, and the tokens.
    pub(super) fn send<T>(
        &self,
        asked: &Request,
        parse: impl Fn(&Value) -> Result<T, NoScores>,
    ) -> Result<(T, u64)> {
        let ended = || self.ended.load(Ordering::SeqCst);
        let (mut failures, mut limits, mut last) = (0, 0, None);
        loop {
            // An endpoint first, leave second: a request that is entered is sent at once.
            let Some(place) = self.fleet.take(last, &ended) else { bail!("the run has ended") };
            let server = &self.fleet.servers[place];
            if let Err(e) = self.leave(asked.most_tokens, &ended) {
                self.fleet.give_back(place, Some(&Trouble::Refused(0, String::new())));
                return Err(e);
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
            let url = server.0.url();
            // An error of its own that lasts may be how a server says that it lacks something; no answer is none.
            let lacks = matches!(answer, Err(Trouble::Passing(Some(_), _)));
            let result = answer.and_then(|answer| {
                // Some gateways give their own errors with a status of success.
                let error = &answer["error"];
                if !error.is_null() {
                    let said = server.say(&answer.to_string());
                    return Err(match filtered(&said) {
                        true => Trouble::Refused(200, said),
                        false => Trouble::Passing(None, said),
                    });
                }
                match parse(&answer) {
                    Err(none @ (NoScores::NotOffered(_) | NoScores::NotFinite)) => {
                        Err(Trouble::Passing(None, none.to_string()))
                    }
                    scores => Ok(scores),
                }
            });
            self.fleet.give_back(place, result.as_ref().err());
            last = Some(place);
            let why = match result {
                Ok(Ok(scores)) => return Ok((scores, spent.unwrap_or(asked.most_tokens))),
                Ok(Err(NoScores::Refused(why))) => {
                    let why = server.short(&why);
                    return Err(TextRefused(format!("{url}: refused the text ({why})")).into());
                }
                Ok(Err(unfit)) => bail!("{url}: {unfit}"),
                Err(Trouble::Refused(status, text)) => {
                    let what = format!("{url}: answered HTTP {status}: {text}; {}", remedy(status));
                    let known = !self.probing && matches!(status, 400 | 413 | 422 | 451);
                    // A path or a parameter that this server does not have, or cannot serve.
                    match status {
                        _ if known || filtered(&text) => return Err(TextRefused(what).into()),
                        400 | 404 | 405 | 422 | 501 => return Err(Unserved(what).into()),
                        _ => bail!("{what}"),
                    }
                }
                Err(Trouble::Limited(after, why)) => {
                    limits += 1;
                    if let Some(seconds) = after.map(|a| a.as_secs()).filter(|s| *s > PATIENCE_S) {
                        bail!(
                            "{url}: asks to wait {seconds} s; what was answered is kept, run the same command again after that time"
                        );
                    }
                    if limits < MOST_LIMITS {
                        continue;
                    }
                    why
                }
                Err(Trouble::NotSent(why) | Trouble::Passing(_, why)) => {
                    failures += 1;
                    if failures < self.args.tries.max(if self.probing { LEAST_PROBES } else { 1 }) {
                        // An endpoint that took nothing rests; another may be awake.
                        if sent {
                            self.fleet.pause(failures, &ended);
                        }
                        continue;
                    }
                    why
                }
            };
            let what = format!(
                "{url}: no usable answer after {} tries, the last: {why}; what was answered is kept, run the same command again when the endpoint is well",
                failures + limits
            );
            return Err(if lacks { Unserved(what).into() } else { anyhow!(what) });
        }
    }

    fn leave(&self, tokens: u64, ended: &dyn Fn() -> bool) -> Result<()> {
        loop {
            let leave = self.ledger().ask_leave(tokens)?;
            match leave {
                Leave::Granted => return Ok(()),
                Leave::Wait if ended() => bail!("the run has ended"),
                Leave::Wait => std::thread::sleep(Duration::from_millis(10)),
                Leave::UsedUp => {
                    let (requests, tokens) = self.spent();
                    return Err(UsedUp { requests, tokens, left: 0 }.into());
                }
            }
        }
    }
}

/// Whether an error says that a text is not wanted, rather than that a request cannot be served.
fn filtered(said: &str) -> bool {
    let said = said.to_lowercase();
    let words = ["content_filter", "content filter", "content management", "content policy"];
    words.iter().chain(&["moderation", "content_policy"]).any(|word| said.contains(word))
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
