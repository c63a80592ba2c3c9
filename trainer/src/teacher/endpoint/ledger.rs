//! What was spent on one question, kept on disk so that no number of runs passes the budget.
//!
//! Every request is entered before it is sent, with the most tokens it can cost, and set right when its answer has
//! come. A run that is ended between the two leaves the larger figure behind: the count is never too small.

use crate::teacher::endpoint::settings::Way;
use anyhow::{Result, anyhow};
use qdllm_host::files::open_lines;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    Way(Way),
    Empty(Vec<f32>),
    /// The model is told not to think before it answers.
    Quiet,
    /// A text that the endpoint refuses.
    Refused(String),
    /// A request about to be sent, and the most tokens it can cost.
    Send(u64),
    /// Tokens of a request that were reserved and not used.
    Saved(u64),
    /// Tokens of a request beyond those that were reserved.
    Excess(u64),
    /// A request that was never sent, and its tokens.
    Unsent(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Granted,
    /// Not now; requests under way may turn out cheaper.
    Wait,
    UsedUp,
}

#[derive(Debug)]
pub struct Ledger {
    file: File,
    pub path: PathBuf,
    /// The most requests and tokens over all runs.
    budget: [Option<u64>; 2],
    requests: u64,
    tokens: u64,
    under_way: u64,
    /// What the endpoint offers, once that is known.
    pub way: Option<Way>,
    pub empty: Option<Vec<f32>>,
    pub quiet: bool,
    pub refused: BTreeSet<String>,
}

impl Ledger {
    /// Opens or creates the file; a last line that breaks off is dropped, since what it announced was not sent.
    pub fn open(path: &Path, budget: [Option<u64>; 2]) -> Result<Self> {
        let place = path.display();
        let (file, text) = open_lines(path).map_err(|e| match e.kind() {
            ErrorKind::WouldBlock => anyhow!(
                "{place}: another run asks the same question now; wait for it, or give another --cache"
            ),
            _ => anyhow!("{place}: {e}; check the cache folder"),
        })?;
        let mut ledger = Self {
            file,
            path: path.into(),
            budget,
            requests: 0,
            tokens: 0,
            under_way: 0,
            way: None,
            empty: None,
            quiet: false,
            refused: BTreeSet::new(),
        };
        for (i, line) in text.lines().enumerate() {
            let entry = serde_json::from_str(line);
            let bad = |e| anyhow!("{place}: line {}: {e}; delete the line", i + 1);
            ledger.count(entry.map_err(bad)?);
        }
        Ok(ledger)
    }

    fn count(&mut self, entry: Entry) {
        match entry {
            Entry::Way(way) => self.way = Some(way),
            Entry::Empty(scores) => self.empty = Some(scores),
            Entry::Quiet => self.quiet = true,
            Entry::Refused(text) => drop(self.refused.insert(text)),
            Entry::Send(tokens) => {
                self.requests += 1;
                self.tokens += tokens;
            }
            Entry::Excess(tokens) => self.tokens = self.tokens.saturating_add(tokens),
            Entry::Saved(tokens) => self.tokens = self.tokens.saturating_sub(tokens),
            Entry::Unsent(tokens) => {
                self.requests = self.requests.saturating_sub(1);
                self.tokens = self.tokens.saturating_sub(tokens);
            }
        }
    }

    pub fn enter(&mut self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry)? + "\n";
        let written = self.file.write_all(line.as_bytes());
        let place = self.path.display();
        written.map_err(|e| anyhow!("{place}: {e}; make room and run the same command again"))?;
        self.count(entry);
        Ok(())
    }

    pub fn spent(&self) -> (u64, u64) {
        (self.requests, self.tokens)
    }

    /// Asks leave to send a request that can cost `tokens`.
    /// When the file cannot be written, the request must not be sent.
    pub fn ask_leave(&mut self, tokens: u64) -> Result<Leave> {
        let under = |most: Option<u64>, so_far: u64| most.is_none_or(|most| so_far <= most);
        if under(self.budget[0], self.requests + 1)
            && under(self.budget[1], self.tokens.saturating_add(tokens))
        {
            self.enter(Entry::Send(tokens))?;
            self.under_way += 1;
            return Ok(Leave::Granted);
        }
        Ok(if self.under_way > 0 { Leave::Wait } else { Leave::UsedUp })
    }

    /// The request for which `reserved` tokens were granted came back: `used` of them, or all when unknown.
    pub fn settle(&mut self, reserved: u64, used: Option<u64>) -> Result<()> {
        self.under_way -= 1;
        match used.unwrap_or(reserved) {
            used if used < reserved => self.enter(Entry::Saved(reserved - used)),
            // A chat template longer than any known: the request is paid for, later ones pay for it too.
            used if used > reserved => self.enter(Entry::Excess(used - reserved)),
            _ => Ok(()),
        }
    }

    /// The request for which `reserved` tokens were granted was never sent.
    pub fn take_back(&mut self, reserved: u64) -> Result<()> {
        self.under_way -= 1;
        self.enter(Entry::Unsent(reserved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_holds_over_runs_that_end_at_any_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.ledger.jsonl");
        let budget = [Some(3), Some(100)];
        let mut ledger = Ledger::open(&path, budget).unwrap();
        ledger.enter(Entry::Way(Way::Chat)).unwrap();
        assert_eq!(ledger.ask_leave(60).unwrap(), Leave::Granted);
        assert_eq!(ledger.ask_leave(60).unwrap(), Leave::Wait, "120 tokens, one under way");
        ledger.settle(60, Some(10)).unwrap();
        assert_eq!(ledger.ask_leave(60).unwrap(), Leave::Granted);
        ledger.take_back(60).unwrap();
        assert_eq!(ledger.ask_leave(60).unwrap(), Leave::Granted);
        assert_eq!(ledger.spent(), (2, 70));
        ledger.settle(60, Some(75)).unwrap();
        assert_eq!(ledger.spent(), (2, 85), "more than was reserved counts too");
        let message = Ledger::open(&path, budget).unwrap_err().to_string();
        assert!(message.contains("another run"), "{message}");
        drop(ledger);

        let bytes = std::fs::read(&path).unwrap();
        for end in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let mut ledger = Ledger::open(&path, budget).unwrap();
            let (requests, tokens) = ledger.spent();
            let mut more = 0;
            while ledger.ask_leave(1).unwrap() == Leave::Granted {
                ledger.settle(1, None).unwrap();
                more += 1;
            }
            assert_eq!(requests + more, 3, "{end}: {tokens} tokens");
            assert_eq!(ledger.ask_leave(1).unwrap(), Leave::UsedUp);
        }
        std::fs::write(&path, "{\"send\":1}\nnonsense\n").unwrap();
        let message = Ledger::open(&path, budget).unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
    }
}
