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
    /// The labels in the order of their appearance, and how many rows each has.
    pub names: Vec<String>,
    pub counts: Vec<u64>,
    numbers: HashMap<String, u32>,
    single: HashMap<Short, (u32, u32)>,
    disputed: HashMap<Short, Disputed>,
    /// In the order of the files.
    order: Vec<Short>,
}

/// What was decided about the disputed texts: a label, or none where the text is left out.
pub type Settled = HashMap<Short, Option<String>>;

impl Survey {
    /// Counts a row; with the text's short digest and the label's number.
    pub fn add(&mut self, label: String, (path, line, text): (&Path, u64, &str)) -> (Short, u32) {
        let (short, label) = (short(text), self.number(label));
        self.counts[label as usize] += 1;
        if let Some(disputed) = self.disputed.get_mut(&short) {
            match disputed.votes.iter_mut().find(|(l, _)| *l == label) {
                Some((_, count)) => *count += 1,
                None => disputed.votes.push((label, 1)),
            }
            return (short, label);
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
        (short, label)
    }

    fn number(&mut self, label: String) -> u32 {
        if let Some(&number) = self.numbers.get(&label) {
            return number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(label.clone(), number);
        self.names.push(label);
        self.counts.push(0);
        number
    }

    /// How many rows have a label.
    pub fn count(&self, label: &str) -> u64 {
        self.numbers.get(label).map_or(0, |&number| self.counts[number as usize])
    }

    /// All texts.
    pub fn texts(&self) -> impl Iterator<Item = &Short> {
        self.single.keys()
    }

    /// Decides the disputed texts, and says in words how many there are and which are the first.
    pub fn settle(&self, how: Conflicts) -> Result<(Settled, Option<String>)> {
        let name = |label: u32| &*self.names[label as usize];
        let decide = |(short, disputed): (&Short, &Disputed)| {
            (*short, decided(how, &disputed.votes).map(|label| name(label).to_owned()))
        };
        let settled: Settled = self.disputed.iter().map(decide).collect();
        if settled.is_empty() {
            return Ok((settled, None));
        }
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
            let taken = settled.get(short).and_then(Option::as_ref);
            let taken = taken.map_or("left out".into(), |label| format!("taken: {label}"));
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
        let mut survey = Survey::default();
        let rows =
            [("one", "a"), ("one", "a"), ("one", "b"), ("two", "b"), ("two", "a"), ("3", "c")];
        for (text, label) in rows {
            survey.add(label.into(), (Path::new("x.tsv"), 7, text));
        }
        assert_eq!((survey.count("a"), survey.count("c"), survey.count("d")), (3, 1, 0));
        for (how, one, two) in [
            (Conflicts::First, Some("a"), Some("b")),
            (Conflicts::Majority, Some("a"), None),
            (Conflicts::Drop, None, None),
        ] {
            let (settled, said) = survey.settle(how).unwrap();
            let of = |text| settled[&short(text)].as_deref();
            assert_eq!((of("one"), of("two"), settled.len()), (one, two, 2));
            let said = said.unwrap();
            assert!(
                said.starts_with("2 texts") && said.contains("x.tsv:7: `one` is a (2), b (1)"),
                "{said}"
            );
        }
        let refused = survey.settle(Conflicts::Refuse).unwrap_err().to_string();
        assert!(refused.contains("--conflicts"), "{refused}");
    }
}
