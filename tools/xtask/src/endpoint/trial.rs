//! One way of asking on trial: undisturbed runs, then a rough line, small budgets and SIGKILL, and what must hold.

use super::client::{Client, Ended};
use super::labels::{Labels, Likeness, Text};
use super::proxy::{Proxy, Seen};
use crate::shell::say;
use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Requests under way at once.
pub const LANES: u32 = 4;
/// Kills of each of the three starts: under a budget of requests, of tokens, and under a large one.
const KILLS: [u32; 3] = [6, 6, 16];

/// What is tried.
pub struct Trial<'a> {
    /// The server behind the line.
    pub server: SocketAddr,
    /// The client with the way of asking.
    pub client: &'a Client,
    /// The texts.
    pub texts: &'a [Text],
    /// Requests that one text costs.
    pub requests_a_text: u64,
    /// Decides faults and kills.
    pub seed: u64,
}

/// What came of it.
pub struct Verdict {
    /// Labels of an undisturbed run.
    pub labels: Labels,
    /// Requests and server's tokens of an undisturbed run, and its seconds.
    pub calm: (Seen, f64),
    /// What the rough line saw.
    pub rough: Seen,
    /// Answers that were given before and asked for again.
    pub again: u64,
    /// Kills in all.
    pub kills: u32,
    /// What was spent and the limit at the two stops: requests, and tokens.
    pub stops: [(u64, u64); 2],
    /// Two undisturbed runs, one after the other and side by side: what the server itself varies by.
    pub own: Likeness,
    /// The interrupted run against the first undisturbed one.
    pub resumed: Likeness,
}

impl Trial<'_> {
    /// Runs the trial.
    ///
    /// # Errors
    /// At the first breach.
    pub fn run(&self) -> Result<Verdict> {
        let (labels, calm, seconds) = self.calm("calm", LANES)?;
        say(super::TOPIC, format!("undisturbed: {} requests in {seconds:.0} s", calm.arrived));
        let (single, ..) = self.calm("single", 1)?;
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        let a_request = seconds / calm.arrived as f64;
        let patience = Duration::from_secs_f64((a_request * f64::from(6 * LANES)).clamp(8.0, 90.0));
        let proxy = Proxy::start(self.server, Some((self.seed, patience)))?;
        let (url, lanes) = (proxy.url(), LANES.to_string());
        let seconds_held = patience.as_secs().to_string();
        let rough = ["--endpoint", &url, "--concurrency", &lanes, "--tries", "60"];
        let client = Client { name: format!("{}.rough", self.client.name), ..self.client.clone() };
        let client = client.with(&rough).with(&["--timeout", &seconds_held]);
        let longest = Duration::from_secs_f64((seconds / 8.0).clamp(1.0, 20.0));
        let mut kills = 0;

        // A third of the requests, then two thirds of the tokens, then enough of both.
        let limits = [
            (Some(calm.arrived / 3), None),
            (None, Some(calm.tokens * 2 / 3)),
            (Some(calm.arrived * 20), Some(calm.tokens * 40)),
        ];
        let mut stops = [(0, 0); 2];
        for (stage, ((requests, tokens), most)) in limits.into_iter().zip(KILLS).enumerate() {
            let mut budget = Vec::new();
            for (name, limit) in [("--budget-requests", requests), ("--budget-tokens", tokens)] {
                budget
                    .extend(limit.map(|n| [name.to_owned(), n.to_string()]).into_iter().flatten());
            }
            let budget: Vec<&str> = budget.iter().map(String::as_str).collect();
            let mut look = || {
                let seen = proxy.seen();
                let (r, t) = (seen.arrived, seen.tokens);
                ensure!(requests.is_none_or(|most| r <= most), "{r} requests of {requests:?}");
                ensure!(tokens.is_none_or(|most| t <= most), "{t} tokens of {tokens:?}");
                Ok(())
            };
            let ended =
                client.with(&budget).run_interrupted(&mut chance, (most, longest), &mut look)?;
            kills += ended.kills;
            let seen = proxy.seen();
            say(
                super::TOPIC,
                format!("rough, {budget:?}: {} requests, {} kills", seen.arrived, ended.kills),
            );
            match stops.get_mut(stage) {
                Some(stop) => {
                    stopped(&ended)?;
                    ensure!(
                        !client.labels().exists(),
                        "an unfinished file bears the result's name"
                    );
                    *stop = match requests {
                        Some(limit) => (seen.arrived, limit),
                        None => (seen.tokens, tokens.unwrap_or_default()),
                    };
                }
                None => succeeded(&ended)?,
            }
        }
        let seen = proxy.seen();
        drop(proxy);
        let interrupted = Labels::read(&client.labels(), self.texts)?;
        // What was under way at a kill may have been given and is asked again, and of a text in several requests the
        // earlier ones; nothing else is.
        let again = seen.twice() - calm.twice().min(seen.twice());
        let most = u64::from(kills * LANES) * self.requests_a_text;
        ensure!(again <= most, "{again} answers were given again, {most} may be");
        ensure!(seen.refused.is_empty(), "the server refused: {}", seen.refused[0]);
        let (own, resumed) = (single.likeness(&labels), interrupted.likeness(&labels));
        let (gap, most) = (resumed.gap, 2.0 * own.gap + 1e-3);
        ensure!(
            gap <= most,
            "a logit of the interrupted run differs by {gap}, {most} is the server's own"
        );
        Ok(Verdict {
            labels,
            calm: (calm, seconds),
            rough: seen,
            again,
            kills,
            stops,
            own,
            resumed,
        })
    }

    fn calm(&self, name: &str, lanes: u32) -> Result<(Labels, Seen, f64)> {
        let proxy = Proxy::start(self.server, None)?;
        let client = Client { name: format!("{}.{name}", self.client.name), ..self.client.clone() };
        let client =
            client.with(&["--endpoint", &proxy.url(), "--concurrency", &lanes.to_string()]);
        let started = Instant::now();
        succeeded(&client.run()?)?;
        let (seconds, seen) = (started.elapsed().as_secs_f64(), proxy.seen());
        ensure!(seen.uncounted == 0, "{} answers without usage", seen.uncounted);
        let expected = self.texts.len() as u64 * self.requests_a_text;
        ensure!(seen.arrived == expected, "{} requests instead of {expected}", seen.arrived);
        Ok((Labels::read(&client.labels(), self.texts)?, seen, seconds))
    }
}

fn succeeded(ended: &Ended) -> Result<()> {
    ensure!(ended.status.success(), "qdllm teach failed: {}", ended.said.trim());
    Ok(())
}

fn stopped(ended: &Ended) -> Result<()> {
    let at_budget = ended.status.code() == Some(1) && ended.said.contains("the budget is used up");
    ensure!(at_budget, "no stop at the budget: {}: {}", ended.status, ended.said.trim());
    Ok(())
}
