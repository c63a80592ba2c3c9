//! Which way of asking an endpoint serves, found out with a few texts.

use crate::teacher::endpoint::answers;
use crate::teacher::endpoint::client::{Client, TextRefused, Unserved};
use crate::teacher::endpoint::ledger::Entry;
use crate::teacher::endpoint::request::{NoScores, Thoughts};
use crate::teacher::endpoint::settings::Way;
use anyhow::{Result, anyhow, bail};
use serde_json::Value;

impl Client {
    /// The first way of asking that the endpoint answers to; a text that it refuses says nothing about that.
    pub(super) fn find_way(&mut self, samples: &[&str]) -> Result<Way> {
        let mut last = None;
        for sample in samples {
            for way in [Way::Chat, Way::Completions, Way::Votes] {
                match self.offers(way, sample) {
                    Ok(true) => return Ok(way),
                    Ok(false) => {}
                    Err(e) if e.is::<Unserved>() => last = Some(e),
                    Err(e) if e.is::<TextRefused>() => {
                        last = Some(e);
                        break;
                    }
                    Err(e) => return Err(e),
                }
            }
            if !last.as_ref().is_some_and(anyhow::Error::is::<TextRefused>) {
                break;
            }
        }
        Err(last.unwrap_or_else(|| {
            anyhow!(
                "{}: answers neither chat nor completion requests as OpenAI's API does; check the address",
                self.fleet.servers[0].0.url()
            )
        }))
    }

    /// Whether a way of asking serves; a model that is seen to think is told not to from then on.
    fn offers(&mut self, way: Way, sample: &str) -> Result<bool> {
        if way == Way::Chat && self.args.think_tokens > 0 {
            return Ok(false);
        }
        let mut scores = self.try_way(way, sample)?;
        if scores == Err(NoScores::Thinks) && self.builder.thoughts == Thoughts::Unseen {
            self.builder.thoughts = Thoughts::Off;
            scores = match self.try_way(way, sample) {
                Err(e) if e.is::<Unserved>() => Err(NoScores::Thinks),
                tried => tried?,
            };
            match scores {
                Err(NoScores::Thinks) => self.builder.thoughts = Thoughts::Unseen,
                _ => self.ledger().enter(Entry::Quiet)?,
            }
        }
        match scores {
            Err(thinks @ NoScores::Thinks) if way == Way::Votes => {
                bail!("{}: answers as {thinks}", self.fleet.servers[0].0.url())
            }
            scores => Ok(!matches!(
                scores,
                Err(NoScores::NotOffered(_) | NoScores::Late | NoScores::Thinks)
            )),
        }
    }

    fn try_way(&self, way: Way, sample: &str) -> Result<Result<(), NoScores>> {
        let (names, word) = (&self.builder.answers, &self.builder.words[0][0]);
        let (asked, prompt) = match way {
            Way::Chat => (self.builder.first_token(sample), String::new()),
            Way::Completions => (self.builder.echo(sample, word), self.builder.completion(sample)),
            Way::Votes => (self.vote(sample, 1), String::new()),
        };
        let parse = |answer: &Value| {
            let scores = match way {
                Way::Chat => answers::first_token(answer, names, 0.0).map(drop),
                Way::Completions => answers::echoed(answer, &prompt, word).map(drop),
                Way::Votes => answers::votes(answer, names).map(drop),
            };
            // A refused text is for `send` to see; what else is wrong with an answer is what is asked here.
            match scores {
                Err(refused @ NoScores::Refused(_)) => Err(refused),
                scores => Ok(scores),
            }
        };
        Ok(self.send(&asked, parse)?.0)
    }
}
