//! Texts that carry several labels: found while a file is surveyed, listed, and settled before anything is learnt.

use super::text_digest;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

/// Conflicts that are listed.
const LISTED: usize = 5;

/// What to do with a text that carries several labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Conflicts {
    /// The first of them counts
    First,
    /// The most frequent counts; a text without one is left out
    #[default]
    Majority,
    /// The text is left out
    Drop,
    /// An error that names the texts
    Refuse,
}

impl Conflicts {
    #[allow(clippy::trivially_copy_pass_by_ref)] // What serde calls.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Half a text's digest: enough to tell a billion texts apart, half the memory.
pub type Short = [u8; 16];

pub fn short(text: &str) -> Short {
    *text_digest(text).first_chunk().unwrap_or(&[0; 16])
}

/// Labels by their numbers, each with how often it was given.
type Votes = Vec<(u32, u32)>;

struct Disputed {
    place: String,
    votes: Votes,
}

/// The labels that a survey met, text by text.
#[derive(Default)]
pub struct Survey {
    single: HashMap<Short, (u32, u32)>,
    disputed: HashMap<Short, Disputed>,
    /// In the order of the files.
    order: Vec<Short>,
}

/// What was decided about the disputed texts: a label's number, or none where the text is left out.
pub type Settled = HashMap<Short, Option<u32>>;

impl Survey {
    pub fn add(&mut self, short: Short, label: u32, (path, line, text): (&Path, u64, &str)) {
        if let Some(disputed) = self.disputed.get_mut(&short) {
            match disputed.votes.iter_mut().find(|(l, _)| *l == label) {
                Some((_, count)) => *count += 1,
                None => disputed.votes.push((label, 1)),
            }
            return;
        }
        match self.single.entry(short) {
            Entry::Vacant(slot) => drop(slot.insert((label, 1))),
            Entry::Occupied(mut slot) if slot.get().0 == label => slot.get_mut().1 += 1,
            Entry::Occupied(slot) => {
                let start: String = text.chars().take(40).collect();
                let place = format!("{}:{line}: `{start}`", path.display());
                let votes = vec![*slot.get(), (label, 1)];
                self.disputed.insert(short, Disputed { place, votes });
                self.order.push(short);
            }
        }
    }

    /// All texts.
    pub fn texts(&self) -> impl Iterator<Item = &Short> {
        self.single.keys()
    }

    /// Decides the disputed texts, and says in words how many there are and which are the first; `names` are the labels'.
    pub fn settle(&self, how: Conflicts, names: &[String]) -> Result<(Settled, Option<String>)> {
        let settled: Settled =
            self.disputed.iter().map(|(short, d)| (*short, decided(how, &d.votes))).collect();
        if settled.is_empty() {
            return Ok((settled, None));
        }
        let name = |label: u32| names.get(label as usize).map_or("", String::as_str);
        let mut said = format!("{} texts carry several labels", settled.len());
        if how == Conflicts::Refuse {
            said += "; correct them, or let --conflicts decide: first, majority, drop";
        } else {
            let out = settled.values().filter(|label| label.is_none()).count();
            let way = format!("{how:?}").to_lowercase();
            said += &format!(
                " (--conflicts {way}: {} keep one, {out} are left out)",
                settled.len() - out
            );
        }
        for short in self.order.iter().take(LISTED) {
            let Some(Disputed { place, votes }) = self.disputed.get(short) else { continue };
            let votes: Vec<_> = votes.iter().map(|&(l, n)| format!("{} ({n})", name(l))).collect();
            let taken = settled.get(short).copied().flatten();
            let taken = taken.map_or("left out".into(), |label| format!("taken: {}", name(label)));
            let taken = if how == Conflicts::Refuse { String::new() } else { format!("; {taken}") };
            said += &format!("\n  {place} is {}{taken}", votes.join(", "));
        }
        if how == Conflicts::Refuse {
            bail!(said);
        }
        Ok((settled, Some(said)))
    }
}

fn decided(how: Conflicts, votes: &Votes) -> Option<u32> {
    let most = votes.iter().map(|(_, count)| count).max()?;
    let mut best = votes.iter().filter(|(_, count)| count == most).map(|(label, _)| *label);
    match how {
        Conflicts::First => votes.first().map(|(label, _)| *label),
        Conflicts::Majority => best.next().filter(|_| best.next().is_none()),
        Conflicts::Drop | Conflicts::Refuse => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disputed_texts_are_settled_as_asked() {
        let names = ["a", "b", "c"].map(String::from);
        let mut survey = Survey::default();
        for (text, label) in [(1, 0), (1, 0), (1, 1), (2, 1), (2, 0), (3, 2), (3, 2)] {
            survey.add([text; 16], label, (Path::new("x.tsv"), 7, "some text"));
        }
        for (how, one, two) in [
            (Conflicts::First, Some(0), Some(1)),
            (Conflicts::Majority, Some(0), None),
            (Conflicts::Drop, None, None),
        ] {
            let (settled, said) = survey.settle(how, &names).unwrap();
            assert_eq!((settled[&[1; 16]], settled[&[2; 16]], settled.len()), (one, two, 2));
            let said = said.unwrap();
            assert!(
                said.starts_with("2 texts")
                    && said.contains("x.tsv:7: `some text` is a (2), b (1)"),
                "{said}"
            );
        }
        let refused = survey.settle(Conflicts::Refuse, &names).unwrap_err().to_string();
        assert!(refused.contains("--conflicts"), "{refused}");
    }
}
