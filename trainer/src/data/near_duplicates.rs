//! Near-duplicate groups: texts that share a run of words, and a split that keeps every group on one side.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// Words in a row that make two texts near-duplicates.
pub const RUN: usize = 8;

/// The runs of [`RUN`] words of a text, lower-cased and without marks; a shorter text is one run, whole.
pub fn runs(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    if words.len() < RUN {
        return vec![words.join(" ")];
    }
    words.windows(RUN).map(|run| run.join(" ")).collect()
}

/// The group of every text, groups counted from 0 in order of appearance. Sharing a run is passed on: two texts that
/// have one with a third are of its group.
pub fn near_duplicates(texts: &[&str]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..texts.len()).collect();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (i, text) in texts.iter().enumerate() {
        for run in runs(text) {
            let other = *first.entry(run).or_insert(i);
            let (a, b) = (root(&mut parents, i), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    let mut names: HashMap<usize, usize> = HashMap::new();
    let mut name = |i| {
        let next = names.len();
        *names.entry(root(&mut parents, i)).or_insert(next)
    };
    (0..texts.len()).map(&mut name).collect()
}

fn root(parents: &mut [usize], mut i: usize) -> usize {
    while parents[i] != i {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    i
}

/// Which texts validate: whole groups, drawn by a hash of their texts, up to `valid` texts in all. A group that no
/// longer fits is passed over, so that the number is met wherever small groups are left.
pub fn split(texts: &[&str], groups: &[usize], valid: usize) -> Vec<bool> {
    let mut ranked: HashMap<usize, ([u8; 32], usize)> = HashMap::new();
    for (text, &group) in texts.iter().zip(groups) {
        let rank = Sha256::new_with_prefix(b"qdllm group").chain_update(text).finalize().into();
        let entry = ranked.entry(group).or_insert((rank, 0));
        *entry = (entry.0.min(rank), entry.1 + 1);
    }
    let mut order: Vec<([u8; 32], usize, usize)> =
        ranked.into_iter().map(|(group, (rank, size))| (rank, group, size)).collect();
    order.sort_unstable();
    let mut left = valid;
    let fits = |&(_, _, size): &(_, _, usize)| {
        let fits = size <= left;
        left -= if fits { size } else { 0 };
        fits
    };
    let chosen: HashSet<usize> =
        order.into_iter().filter(fits).map(|(_, group, _)| group).collect();
    groups.iter().map(|group| chosen.contains(group)).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn runs_are_eight_words_in_a_row_or_the_whole_text() {
        assert_eq!(runs("One, two -- THREE"), ["one two three"]);
        assert_eq!(runs("a b c d e f g h i"), ["a b c d e f g h", "b c d e f g h i"]);
        assert_eq!(runs("!?"), [""]);
    }

    #[test]
    fn sharing_a_run_is_passed_on() {
        let texts = [
            "a b c d e f g h one",
            "quite another text of more than eight words in all",
            "X y z one two three four five six",
            "x, y, z: one two three four five! a b c d e f g h",
        ];
        assert_eq!(near_duplicates(&texts), [0, 1, 0, 0]);
    }

    #[test]
    fn no_run_stands_on_both_sides() {
        let mut rng = crate::seed::stream(5, "groups");
        for _ in 0..40 {
            // Texts cut out of a few long ones, so that many share runs and chains arise.
            let long: Vec<Vec<u32>> =
                (0..6).map(|_| (0..60).map(|_| rng.random_range(0..500)).collect()).collect();
            let texts: Vec<String> = (0..80)
                .map(|_| {
                    let source = &long[rng.random_range(0..6_usize)];
                    let start = rng.random_range(0..45_usize);
                    let end = (start + rng.random_range(3..14_usize)).min(60);
                    source[start..end].iter().map(|w| format!("w{w} ")).collect()
                })
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let groups = near_duplicates(&texts);
            let valid = split(&texts, &groups, 20);
            let side = |wanted: bool| -> HashSet<String> {
                let of = texts.iter().zip(&valid).filter(|(_, v)| **v == wanted);
                of.flat_map(|(text, _)| runs(text)).collect()
            };
            assert!(side(true).is_disjoint(&side(false)));
            assert!(valid.iter().filter(|v| **v).count() <= 20);
        }
    }

    #[test]
    fn the_split_has_the_size_asked_for_and_does_not_depend_on_the_order() {
        let texts: Vec<String> = (0..50)
            .map(|i| format!("text {} says {} in words that nobody else would {}", i, i * 7, i / 2))
            .collect();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let chosen = |texts: &[&str]| -> HashSet<String> {
            let valid = split(texts, &near_duplicates(texts), 10);
            texts.iter().zip(valid).filter(|(_, v)| *v).map(|(t, _)| (*t).to_owned()).collect()
        };
        let first = chosen(&texts);
        assert_eq!(first.len(), 10);
        texts.reverse();
        assert_eq!(chosen(&texts), first);
    }
}
