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

use crate::data::classes::Classes;
use crate::data::soft::{SoftLabels, SoftWriter};
use crate::teacher::features::start;
use crate::teacher::{About, Identity, OnProgress, Teacher, Work};
use anyhow::{Context as _, Result};
use client::{Client, UsedUp};
use ledger::Ledger;
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::hex;
use request::RequestBuilder;
pub use settings::{EndpointArgs, key, key_from_file, key_from_variable};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
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
    /// Finds out what the endpoint at `urls` offers, with `sample` as the text, and opens the file of answers in
    /// `folder`.
    ///
    /// Nothing is asked where an earlier run knows. Answers belong to the model's name, classes, prompt and way of
    /// asking, not to the addresses: a cluster may move.
    pub fn open(
        args: &EndpointArgs,
        urls: &[String],
        classes: &Classes,
        (prompt, sample): (Option<&str>, &str),
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
        let asked =
            (ask, prompt, votes, vote_temperature, constrain, calibrate, most_chars, classes);
        let digest = Sha256::digest(format!("{model}\n{asked:?}"));
        let digest = hex::encode(digest)[..16].to_owned();
        std::fs::create_dir_all(folder).of_file(folder)?;
        let tame = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
        let name: String = model.chars().map(tame).take(60).collect();
        let stem = format!("endpoint-{name}-{digest}");
        let budget = [args.budget_requests, args.budget_tokens];
        let ledger = Ledger::open(&folder.join(format!("{stem}.ledger.jsonl")), budget)?;
        let client = Client::open(args.clone(), urls, builder, ledger, sample)?;
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

impl Teacher for EndpointTeacher {
    fn about(&self) -> &About {
        &self.about
    }

    fn prepare(&mut self, texts: &[&str], progress: OnProgress<'_>) -> Result<Vec<Work>> {
        let mut seen = HashSet::new();
        let unique: Vec<&str> = texts.iter().copied().filter(|t| seen.insert(*t)).collect();
        let left: Vec<&str> =
            unique.iter().copied().filter(|text| !self.writer.contains(text)).collect();
        let model = self.about.models[0].name.clone();
        let mut work = Work { model, texts: unique.len(), ..Work::default() };
        let EndpointArgs { max_chars, concurrency, .. } = self.client.args;
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
            let answered = client.ask(&text[..cut(text)])?;
            // Kept before anything else happens: an answer that came is never paid for twice.
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.append(text, &answered.logits)?;
            anyhow::Ok(answered)
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
                    Ok(answered) => {
                        work.computed += 1;
                        work.tokens += answered.tokens as usize;
                        work.undecided += usize::from(!answered.decided);
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
            None => {
                self.labels = SoftLabels::read(&self.kept)?;
                Ok(vec![work])
            }
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
