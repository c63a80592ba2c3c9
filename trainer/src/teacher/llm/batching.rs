//! Batches of texts of like length, so that little is spent on padding.

/// Splits `lengths` into groups of indices: sorted by length, each group at most `budget` tokens after padding
/// (always at least one text). Deterministic for equal input.
pub fn by_length(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| (lengths[i], i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        // Sorted: the newcomer is the longest of its group.
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * lengths[i] <= budget => group.push(i),
            _ => groups.push(vec![i]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::by_length;

    #[test]
    fn groups_hold_every_text_once_within_the_budget() {
        let lengths = [9, 1, 4, 4, 30, 2, 0];
        let groups = by_length(&lengths, 12);
        let mut seen: Vec<usize> = groups.concat();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
        for group in &groups {
            let longest = group.iter().map(|&i| lengths[i]).max().unwrap_or(0);
            assert!(group.len() == 1 || group.len() * longest <= 12, "{group:?}");
        }
        assert_eq!(
            groups.last().map(Vec::as_slice),
            Some(&[4][..]),
            "a text over the budget goes alone"
        );
    }
}
