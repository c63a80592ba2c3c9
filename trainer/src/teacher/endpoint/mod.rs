//! A language model behind an OpenAI-compatible HTTP endpoint as a teacher: vLLM, llama.cpp's server, Ollama, hosted.
//!
//! Log-probabilities where they are offered, votes where not ([`Way`]). Every answer is kept at once in a file of its
//! own, so a run that is ended at any moment loses the answers under way and nothing else; what may be spent is counted
//! on disk as well and holds over all runs.

mod answers;
mod client;
pub(super) mod error;
mod ledger;
mod request;
mod server;
mod settings;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use client::Client;
use ledger::Ledger;
use qdllm_host::hex;
use request::RequestBuilder;
use sha2::{Digest, Sha256};

use crate::data::classes::Classes;
use crate::data::soft::{SoftLabels, SoftWriter};
use crate::teacher::{About, Identity, Result, Teacher, TeacherError, Work};
pub use error::EndpointError;
pub use qdllm_host::http::Backoff;
pub use qdllm_host::secret::Secret;
pub use settings::{
    Budget, Constrain, KEY_VARIABLE, Settings, Way, key, key_from_file, key_from_variable,
};

pub struct EndpointTeacher {
    about: About,
    client: Client,
    concurrency: usize,
    most_chars: usize,
    kept: PathBuf,
    writer: SoftWriter,
    labels: Option<SoftLabels>,
}

impl EndpointTeacher {
    /// Finds out what the endpoint offers, with `sample` as the text, and opens the file of answers in `folder`.
    ///
    /// Nothing is asked where an earlier run knows. Answers belong to the model's name, classes, prompt and way of
    /// asking, not to the addresses: a cluster may move.
    pub fn open(
        settings: Settings,
        classes: &Classes,
        sample: &str,
        folder: &Path,
    ) -> Result<Self> {
        let builder = RequestBuilder::new(&settings.model, classes, settings.prompt.as_deref())?;
        let Settings { ask, prompt, votes, temperature, constrain, calibrate, most_chars, .. } =
            &settings;
        let asked = (ask, prompt, votes, temperature, constrain, calibrate, most_chars, classes);
        let digest = Sha256::digest(format!("{}\n{asked:?}", settings.model));
        let digest = hex::encode(digest)[..16].to_owned();
        std::fs::create_dir_all(folder).map_err(TeacherError::io(folder))?;
        let tame = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
        let name: String = settings.model.chars().map(tame).take(60).collect();
        let stem = format!("endpoint-{name}-{digest}");
        let ledger = Ledger::open(&folder.join(format!("{stem}.ledger.jsonl")), settings.budget)?;
        let (concurrency, most_chars) = (settings.concurrency.max(1), settings.most_chars);
        let model = settings.model.clone();
        let client = Client::open(settings, builder, ledger, sample)?;
        let method = client.method();
        let identity = Identity {
            name: model,
            digest: format!("endpoint {digest}"),
            settings: method.clone(),
        };
        let about = About { classes: classes.names(), models: vec![identity], method };
        let kept = folder.join(format!("{stem}.jsonl"));
        let writer = SoftWriter::open(&kept, &about.classes, &about.info(String::new()))?;
        Ok(Self { about, client, concurrency, most_chars, kept, writer, labels: None })
    }

    pub fn spent(&self) -> (u64, u64) {
        self.client.spent()
    }
}

impl Teacher for EndpointTeacher {
    fn about(&self) -> &About {
        &self.about
    }

    fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Work>> {
        let mut seen = HashSet::new();
        let unique: Vec<&str> = texts.iter().copied().filter(|t| seen.insert(*t)).collect();
        let left: Vec<&str> =
            unique.iter().copied().filter(|text| !self.writer.contains(text)).collect();
        let mut work = Work { texts: unique.len(), ..Work::default() };
        let most_chars = self.most_chars;
        let cut =
            |text: &str| text.char_indices().nth(most_chars).map_or(text.len(), |(end, _)| end);
        work.cut = unique.iter().filter(|text| cut(text) < text.len()).count();
        let started = Instant::now();
        let done_before = unique.len() - left.len();
        let (ended, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let writer = Mutex::new(&mut self.writer);
        let client = &self.client;
        let mut failed: Option<TeacherError> = None;
        std::thread::scope(|scope| {
            let (sender, answers) = mpsc::channel();
            for _ in 0..self.concurrency.min(left.len()) {
                let (sender, left, ended, next, writer) =
                    (sender.clone(), &left, &ended, &next, &writer);
                scope.spawn(move || {
                    while !ended.load(Ordering::Relaxed) {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(&text) = left.get(i) else { return };
                        let answer =
                            client.ask(&text[..cut(text)], &|| ended.load(Ordering::Relaxed));
                        let kept = match answer {
                            Ok(None) => return,
                            Ok(Some(answered)) => {
                                // Kept before anything else happens: an answer that came is never paid for twice.
                                let mut writer = writer
                                    .lock()
                                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                                writer
                                    .append(text, &answered.logits)
                                    .map(|_| answered)
                                    .map_err(TeacherError::from)
                            }
                            Err(e) => Err(e.into()),
                        };
                        if kept.is_err() {
                            ended.store(true, Ordering::Relaxed);
                        }
                        if sender.send(kept).is_err() {
                            return;
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
                    // The first error is the cause; others follow from the end of the run.
                    Err(e) => {
                        failed.get_or_insert(e);
                    }
                }
            }
        });
        self.writer.flush()?;
        self.labels = None;
        work.seconds = started.elapsed().as_secs_f64();
        match failed {
            None => Ok(vec![work]),
            Some(TeacherError::Endpoint(EndpointError::Budget { requests, tokens, .. })) => {
                let left = left.len() - work.computed;
                Err(EndpointError::Budget { requests, tokens, left }.into())
            }
            Some(e) => Err(e),
        }
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let labels = match self.labels.take() {
            Some(labels) => labels,
            None => SoftLabels::read(&self.kept)?,
        };
        let labels = self.labels.insert(labels);
        let one = |text: &&str| {
            labels.get(text).map(<[f32]>::to_vec).ok_or_else(|| {
                let start: String = text.chars().take(40).collect();
                TeacherError::cache(&self.kept, format!("has no answer for `{start}`"))
            })
        };
        texts.iter().map(one).collect()
    }
}
