//! A language model behind an OpenAI-compatible HTTP endpoint as a teacher: vLLM, llama.cpp's server, Ollama, hosted.
//!
//! Log-probabilities where they are offered, votes where not (`Way`). Every answer is kept at once in a file of its
//! own, so a run that is ended at any moment loses the answers under way and nothing else; what may be spent is counted
//! on disk as well and holds over all runs.

mod answers;
mod client;
mod ledger;
mod request;
mod server;
mod settings;
mod ways;

use crate::data::classes::Classes;
use crate::data::soft::{SoftLabels, SoftWriter};
use crate::teacher::features::start;
use crate::teacher::{About, Identity, OnProgress, Teacher, Work};
use anyhow::{Context as _, Result, bail};
use client::{Client, TextRefused, UsedUp};
use ledger::{Entry, Ledger};
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::hex;
use request::{Request, RequestBuilder};
pub use settings::{EndpointArgs, key, key_from_file, key_from_variable};
use settings::{RefusedTexts, Way};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

pub struct EndpointTeacher {
    about: About,
    pub client: Client,
    kept: PathBuf,
    writer: SoftWriter,
    labels: SoftLabels,
}

impl EndpointTeacher {
    /// Finds out what the endpoint at `urls` offers, with the first of `samples` that it does not refuse, and opens the file of answers in
    /// `folder`.
    ///
    /// Nothing is asked where an earlier run knows. Answers belong to the server, the model's name, the classes, the
    /// prompt and the way of asking.
    pub fn open(
        args: &EndpointArgs,
        urls: &[String],
        classes: &Classes,
        (prompt, samples): (Option<&str>, &[&str]),
        folder: &Path,
    ) -> Result<Self> {
        let Some(model) = &args.endpoint_model else {
            return Err(wrong_use(
                "--endpoint-model is missing: the name under which the endpoint serves the model",
            ));
        };
        let builder = RequestBuilder::new(model, classes, prompt)?;
        let most_chars = args.max_chars.max(1);
        let EndpointArgs { ask, votes, vote_temperature, constrain, calibrate, .. } = args;
        let how = (ask, votes, vote_temperature, constrain, calibrate, most_chars);
        let minimum = (args.least_mass, args.think_tokens);
        let template = (&builder.chat, &builder.completion, &builder.words);
        let server = args.server_name.clone().unwrap_or_else(|| format!("{:?}", names_of(urls)));
        let asked = format!("{server}\n{model}\n{how:?}\n{minimum:?}\n{template:?}");
        let digest = hex::encode(Sha256::digest(asked))[..16].to_owned();
        std::fs::create_dir_all(folder).of_file(folder)?;
        let tame = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
        let name: String = model.chars().map(tame).take(60).collect();
        let stem = format!("endpoint-{name}-{digest}");
        let budget = [args.budget_requests, args.budget_tokens];
        let ledger = Ledger::open(&folder.join(format!("{stem}.ledger.jsonl")), budget)?;
        let client = Client::open(args.clone(), urls, builder, ledger, samples)?;
        let method = client.method();
        let identity = Identity {
            name: model.clone(),
            digest: format!("endpoint {digest}"),
            settings: method.clone(),
        };
        let about = About { classes: classes.names(), models: vec![identity], method };
        let kept = folder.join(format!("{stem}.jsonl"));
        let writer = SoftWriter::open(&kept, &about.classes, &about.info(String::new()))?;
        let labels = SoftLabels::read(&kept)?;
        Ok(Self { about, client, kept, writer, labels })
    }
}

/// What a text would be asked, without asking: the prompt; requests, tokens at four bytes each, and at most.
pub fn planned<'a>(
    args: &'a EndpointArgs,
    classes: &Classes,
    prompt: Option<&str>,
) -> Result<impl Fn(&str) -> (String, [u64; 3]) + use<'a>> {
    let model = args.endpoint_model.as_deref().unwrap_or_default();
    let builder = RequestBuilder::new(model, classes, prompt)?;
    Ok(move |text: &str| {
        let end = text.char_indices().nth(args.max_chars).map_or(text.len(), |(end, _)| end);
        let text = &text[..end];
        let echo = |word: &String| builder.echo(text, word);
        let (n, t) = (args.votes, args.vote_temperature);
        let requests: Vec<Request> = match args.ask {
            Some(Way::Completions) => builder.words.iter().flatten().map(echo).collect(),
            Some(Way::Votes) => vec![builder.vote(text, n, t, args.constrain)],
            Some(Way::Chat) | None => vec![builder.first_token(text)],
        };
        let body = &requests[0].body;
        let prompt = body["prompt"].as_str().or(body["messages"][0]["content"].as_str());
        let prompt = prompt.unwrap_or_default().to_owned();
        let most: u64 = requests.iter().map(|request| request.most_tokens).sum();
        let number = requests.len() as u64;
        // Only the prompt's part of the bound counts bytes.
        let read = number * prompt.len() as u64;
        (prompt, [number, most - read + read / 4, most])
    })
}

/// Texts after which it is judged whether a teacher names classes at all.
const ENOUGH: usize = 20;

/// Addresses as they tell servers apart: this machine has one name, and their order says nothing.
fn names_of(urls: &[String]) -> BTreeSet<String> {
    let here = |url: &String| url.to_lowercase().replace("://localhost", "://127.0.0.1");
    urls.iter().map(|url| here(url).trim_end_matches('/').trim_end_matches("/v1").into()).collect()
}

impl EndpointTeacher {
    /// The texts that the endpoint refused in this run or an earlier one.
    pub fn refused(&self) -> BTreeSet<String> {
        self.client.ledger().refused.clone()
    }

    fn names_none(&self, unnamed: usize, asked: usize, why: Option<anyhow::Error>) -> String {
        let share = self.client.args.most_undecided;
        let why = why.map_or_else(
            || "look at the prompt, ask by another --ask, lower --least-mass, or give a model that thinks --think-tokens".to_owned(),
            |e| format!("the last refusal: {e}"),
        );
        format!(
            "{}: {unnamed} of {asked} texts are refused or answered without a class, more than --most-undecided {share} allows; {why}",
            self.about.models[0].name
        )
    }

    /// What was asked in this run and before, unless too few answers name a class.
    fn judged(
        &mut self,
        texts: &[&str],
        mut work: Work,
        refusal: Option<anyhow::Error>,
    ) -> Result<Vec<Work>> {
        self.labels = SoftLabels::read(&self.kept)?;
        let even =
            |text: &&&str| self.labels.get(text).is_some_and(|z| z.iter().all(|&z| z == 0.0));
        work.undecided = texts.iter().filter(even).count();
        let refused = self.refused();
        work.refused = texts.iter().filter(|text| refused.contains(**text)).count();
        let unnamed = work.undecided + work.refused;
        if unnamed as f64 > self.client.args.most_undecided * texts.len() as f64 {
            bail!(self.names_none(unnamed, texts.len(), refusal));
        }
        Ok(vec![work])
    }
}

impl Teacher for EndpointTeacher {
    fn about(&self) -> &About {
        &self.about
    }

    fn prepare(&mut self, texts: &[&str], progress: OnProgress<'_>) -> Result<Vec<Work>> {
        let mut seen = HashSet::new();
        let unique: Vec<&str> = texts.iter().copied().filter(|t| seen.insert(*t)).collect();
        let refused = self.client.ledger().refused.clone();
        let known = |text: &str| self.writer.contains(text) || refused.contains(text);
        let left: Vec<&str> = unique.iter().copied().filter(|text| !known(text)).collect();
        let model = self.about.models[0].name.clone();
        let mut work = Work { model, texts: unique.len(), ..Work::default() };
        let EndpointArgs { max_chars, concurrency, refused_texts, most_undecided, .. } =
            self.client.args;
        let most_chars = max_chars.max(1);
        let cut =
            |text: &str| text.char_indices().nth(most_chars).map_or(text.len(), |(end, _)| end);
        work.cut = unique.iter().filter(|text| cut(text) < text.len()).count();
        let started = Instant::now();
        let done_before = unique.len() - left.len();
        *self.client.ended.get_mut() = false;
        let (client, next, writer) =
            (&self.client, AtomicUsize::new(0), Mutex::new(&mut self.writer));
        let ask = |text: &str| {
            let answered = match client.ask(&text[..cut(text)]) {
                Err(e) if e.is::<TextRefused>() && refused_texts == RefusedTexts::Skip => {
                    client.ledger().enter(Entry::Refused(text.to_owned()))?;
                    return Ok((0, false, Some(e)));
                }
                answered => answered?,
            };
            // Kept before anything else happens: an answer that came is never paid for twice.
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.append(text, &answered.logits)?;
            anyhow::Ok((answered.tokens, answered.decided, None))
        };
        let (mut unnamed, mut refusal) = (0, None);
        let too_many = |unnamed: usize, asked: usize| {
            asked >= ENOUGH && unnamed as f64 > most_undecided * asked as f64
        };
        let mut failed: Option<anyhow::Error> = None;
        std::thread::scope(|scope| {
            let (sender, answers) = mpsc::channel();
            for _ in 0..concurrency.max(1).min(left.len()) {
                let (sender, left, next, ask) = (sender.clone(), &left, &next, &ask);
                scope.spawn(move || {
                    while !client.ended.load(Ordering::SeqCst) {
                        let Some(&text) = left.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            return;
                        };
                        let answer = ask(text);
                        let bad = answer.is_err();
                        let unheard = sender.send(answer).is_err();
                        // Said first: the errors of those that the end stops come behind their cause.
                        if bad || unheard {
                            client.ended.store(true, Ordering::SeqCst);
                        }
                    }
                });
            }
            drop(sender);
            for answer in answers {
                match answer {
                    Ok((tokens, decided, refused)) => {
                        work.computed += 1;
                        work.tokens += tokens as usize;
                        unnamed += usize::from(!decided);
                        refusal = refused.or(refusal.take());
                        // Before everything is spent on a teacher that cannot serve.
                        if too_many(unnamed, work.computed) {
                            client.ended.store(true, Ordering::SeqCst);
                        }
                        progress(done_before + work.computed, unique.len());
                    }
                    Err(e) => {
                        failed.get_or_insert(e);
                    }
                }
            }
        });
        self.writer.flush()?;
        work.seconds = started.elapsed().as_secs_f64();
        let left = left.len() - work.computed;
        match failed.map(anyhow::Error::downcast::<UsedUp>) {
            _ if too_many(unnamed, work.computed) => {
                bail!(self.names_none(unnamed, work.computed, refusal))
            }
            None => self.judged(&unique, work, refusal),
            Some(Ok(used_up)) => Err(UsedUp { left, ..used_up }.into()),
            Some(Err(e)) => Err(e),
        }
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let one = |text: &&str| {
            self.labels.get(text).map(<[f32]>::to_vec).with_context(|| {
                let (place, start) = (self.kept.display(), start(text));
                format!("{place}: has no answer for `{start}`; delete the file and run again")
            })
        };
        texts.iter().map(one).collect()
    }
}
