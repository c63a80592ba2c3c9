//! `qdllm teach --dry-run`: what would be asked and what it would cost, before anything is spent.

use super::options::TeachArgs;
use super::texts::Texts;
#[cfg(feature = "endpoint")]
use crate::teacher::endpoint;
use anyhow::{Result, bail};
use qdllm_host::terminal::about;
use serde::Serialize;
use std::fmt;

/// Texts whose prompts are shown.
#[cfg(any(feature = "teacher", feature = "endpoint"))]
const SHOWN: usize = 3;
/// Texts with which a local model's speed is measured.
#[cfg(feature = "teacher")]
const MEASURED: usize = 32;

#[derive(Debug, Default, Serialize)]
pub struct Plan {
    texts: usize,
    /// What the model reads for the first texts.
    prompts: Vec<String>,
    requests: Option<u64>,
    tokens: u64,
    most_tokens: Option<u64>,
    cost: Option<f64>,
    seconds: Option<f64>,
}

impl Plan {
    pub fn of(args: &TeachArgs, texts: &Texts) -> Result<Self> {
        #[cfg(feature = "endpoint")]
        if !args.endpoint.is_empty() {
            return Self::of_endpoint(args, texts);
        }
        #[cfg(feature = "teacher")]
        if let Some(path) = args.local.model.first() {
            return Self::of_model(args, path, texts);
        }
        let _ = (args, texts);
        bail!(
            "--dry-run: a regression on words asks nobody and takes seconds; give --model or --endpoint"
        );
    }

    #[cfg(feature = "endpoint")]
    fn of_endpoint(args: &TeachArgs, texts: &Texts) -> Result<Self> {
        let (classes, every) = (args.classes(&texts.classes)?, texts.every());
        let ask = endpoint::planned(&args.remote, &classes, args.prompt.as_deref())?;
        let (mut plan, mut sum) = (Self { texts: every.len(), ..Self::default() }, [0; 3]);
        for text in &every {
            let (prompt, costs) = ask(text);
            sum.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost);
            if plan.prompts.len() < SHOWN {
                plan.prompts.push(prompt);
            }
        }
        let [requests, tokens, most_tokens] = sum;
        (plan.requests, plan.tokens, plan.most_tokens) =
            (Some(requests), tokens, Some(most_tokens));
        plan.cost = args.price_per_million.map(|price| price * tokens as f64 / 1e6);
        Ok(plan)
    }

    /// Runs the model over a first batch and takes the others to go on at that speed.
    #[cfg(feature = "teacher")]
    fn of_model(args: &TeachArgs, path: &std::path::Path, texts: &Texts) -> Result<Self> {
        let reading = super::local::reading(args);
        let model = crate::teacher::llm::extractor(&super::local::place(args, path)?, &reading)?;
        let every = texts.every();
        let first = &every[..every.len().min(MEASURED)];
        let started = std::time::Instant::now();
        let tokens: usize = model.extract(first)?.iter().map(|row| row.tokens).sum();
        let bytes = |texts: &[&str]| texts.iter().map(|text| text.len() + 1).sum::<usize>() as f64;
        let more = bytes(&every) / bytes(first);
        let read = |text: &&str| match model.description().summary.starts_with("prompt") {
            true => reading.prompt.replace("{text}", text),
            false => (*text).to_owned(),
        };
        Ok(Self {
            texts: every.len(),
            prompts: every.iter().take(SHOWN).map(read).collect(),
            tokens: (tokens as f64 * more) as u64,
            seconds: Some(started.elapsed().as_secs_f64() * more),
            ..Self::default()
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, prompt) in self.prompts.iter().enumerate() {
            writeln!(f, "--- prompt {}\n{prompt}", number + 1)?;
        }
        write!(f, "---\n{} texts", self.texts)?;
        if let Some(requests) = self.requests {
            write!(f, ", {requests} requests")?;
        }
        write!(f, ", about {} tokens", self.tokens)?;
        if let Some(most) = self.most_tokens {
            write!(f, " (at four bytes a token; at most {most})")?;
        }
        if let Some(cost) = self.cost {
            write!(f, ", {cost:.4} at --price-per-million")?;
        }
        if let Some(seconds) = self.seconds {
            write!(f, ", {} at the speed of the first texts", about(seconds))?;
        }
        writeln!(f, "\nnothing is written; what the cache holds is not asked again")
    }
}
