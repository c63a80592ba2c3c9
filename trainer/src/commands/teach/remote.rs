//! Models behind an OpenAI-compatible endpoint.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use super::texts::Texts;
use super::{Taught, TeachArgs, cache, prepare};
use crate::data::classes::Classes;
use crate::teacher::endpoint::{
    Backoff, Budget, Constrain, EndpointTeacher, KEY_VARIABLE, Secret, Settings, Way,
    key_from_file, key_from_variable,
};

/// How an endpoint is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct EndpointArgs {
    /// The model's name at the endpoint
    #[arg(long, value_name = "NAME")]
    pub endpoint_model: Option<String>,
    /// How scores are drawn from an endpoint [default: the first that it offers]
    #[arg(long, value_enum)]
    pub ask: Option<Way>,
    /// Answers a text when votes are counted
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub votes: usize,
    /// Temperature of those answers
    #[arg(long, default_value_t = 0.7, value_name = "T")]
    pub vote_temperature: f32,
    /// How the server holds those answers to the class names, beside the prompt
    #[arg(long, value_enum, default_value = "none")]
    pub constrain: Constrain,
    /// Subtract the scores of an empty text [default: for completions]
    #[arg(long, value_name = "BOOL")]
    pub calibrate: Option<bool>,
    /// Longest text in characters; longer ones are cut and counted
    #[arg(long, default_value_t = 8000, value_name = "N")]
    pub max_chars: usize,
    /// Requests under way at once, over all servers
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub concurrency: usize,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 120.0, value_name = "S")]
    pub timeout: f64,
    /// Tries of a request that fails in a way that may pass
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub tries: u32,
    /// Longest first wait between tries, in milliseconds; doubled for each further one, up to 30 s
    #[arg(long, default_value_t = 500, value_name = "MS")]
    pub backoff: u64,
    /// Most requests to send, over all runs that ask the same question
    #[arg(long, value_name = "N")]
    pub budget_requests: Option<u64>,
    /// Most tokens to use, prompts and answers, over all runs that ask the same question
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<u64>,
    /// Environment variable that holds the API key [default: `QDLLM_API_KEY`, if set]
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    pub key_env: Option<String>,
    /// File that holds the API key and that nobody else can read
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl EndpointArgs {
    /// Reaches the endpoint at `urls` and finds out how to ask it; `sample` is a text to try with.
    ///
    /// # Errors
    /// When an option cannot be used or the endpoint gives no answer.
    pub fn teacher(
        &self,
        urls: &[String],
        classes: &Classes,
        prompt: Option<&str>,
        sample: &str,
        folder: &Path,
    ) -> Result<EndpointTeacher> {
        let Some(model) = &self.endpoint_model else {
            bail!("--endpoint-model is missing: the name under which the endpoint serves the model")
        };
        if !(self.timeout > 0.0 && self.timeout < 1e6) {
            bail!("--timeout is {}; it must be above 0 seconds", self.timeout);
        }
        if !(self.vote_temperature >= 0.0 && self.vote_temperature <= 2.0) {
            bail!("--vote-temperature is {}; it must be from 0 to 2", self.vote_temperature);
        }
        let settings = Settings {
            urls: urls.to_vec(),
            model: model.clone(),
            key: self.key()?,
            ask: self.ask,
            prompt: prompt.map(ToOwned::to_owned),
            votes: self.votes,
            temperature: self.vote_temperature,
            constrain: self.constrain,
            calibrate: self.calibrate,
            most_chars: self.max_chars.max(1),
            concurrency: self.concurrency,
            timeout: Duration::from_secs_f64(self.timeout),
            tries: self.tries,
            backoff: Backoff {
                first: Duration::from_millis(self.backoff),
                longest: Duration::from_secs(30),
            },
            budget: Budget { requests: self.budget_requests, tokens: self.budget_tokens },
        };
        Ok(EndpointTeacher::open(settings, classes, sample, folder)?)
    }

    fn key(&self) -> Result<Option<Secret>> {
        if let Some(path) = &self.key_file {
            return Ok(Some(key_from_file(path)?));
        }
        let Some(name) = &self.key_env else {
            return Ok(key_from_variable(KEY_VARIABLE)?);
        };
        match key_from_variable(name)? {
            Some(key) => Ok(Some(key)),
            None => bail!("--key-env names {name}, which is not set"),
        }
    }
}

pub(super) fn ask(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    let classes = match args.named()? {
        Some(classes) => classes,
        None if texts.classes.is_empty() => bail!(
            "the classes are named nowhere: give --classes (names, or a .toml file), or --data with labelled texts"
        ),
        None => Classes::named(&texts.classes, &args.class_words)?,
    };
    let Some(sample) = texts.to_label().first().map(ToString::to_string) else {
        bail!("no text to label: give --data or --unlabelled");
    };
    let prompt = args.prompt.as_deref();
    let mut teacher =
        args.remote.teacher(&args.endpoint, &classes, prompt, &sample, &cache(args))?;
    let speeds = prepare(&mut teacher, texts)?;
    let (requests, tokens) = teacher.spent();
    eprintln!("{requests} requests and {tokens} tokens so far, over all runs of this question");
    Ok((Box::new(teacher), None, speeds))
}
