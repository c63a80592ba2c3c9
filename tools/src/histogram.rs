//! Counts as bars of text.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Outcomes that are shown; the others are one line.
const MOST: usize = 16;

/// The most frequent outcomes, one a line of about `width` characters: bit string, bar, count, share.
pub fn histogram(counts: &BTreeMap<String, u64>, width: usize) -> String {
    let total: f64 = counts.values().map(|&n| n as f64).sum();
    let mut all: Vec<(&str, u64)> = counts.iter().map(|(bits, &n)| (bits.as_str(), n)).collect();
    all.sort_by_key(|&(bits, n)| (Reverse(n), bits));
    let others = all.split_off(all.len().min(MOST));
    let rest = format!("{} others", others.len());
    let most = all.first().map_or(1, |row| row.1.max(1));
    if !others.is_empty() {
        all.push((&rest, others.iter().map(|row| row.1).sum()));
    }
    let letters = all.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let digits = all.iter().map(|row| row.1.to_string().len()).max().unwrap_or(0);
    let room = width.saturating_sub(letters + digits + 11).max(1);
    let line = |&(bits, n): &(&str, u64)| {
        let long = (room as f64 * n as f64 / most as f64).ceil().min(room as f64);
        // The others are no outcome to be compared.
        let bar = if bits == rest { String::new() } else { "#".repeat(long as usize) };
        let share = 100.0 * n as f64 / total.max(1.0);
        format!("{bits:<letters$}  {bar:<room$} {n:>digits$} {share:>5.1} %\n")
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::histogram;

    #[test]
    fn the_most_frequent_come_first_and_lines_fit() {
        let counts = [("00", 512), ("01", 0), ("10", 2), ("11", 510)];
        let counts = counts.map(|(bits, n)| (bits.to_owned(), n)).into();
        let text = histogram(&counts, 40);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("00  ####") && lines[0].ends_with("512  50.0 %"), "{text}");
        assert!(lines[1].starts_with("11") && lines[2].starts_with("10  # "), "{text}");
        assert!(!lines[3].contains('#') && lines.iter().all(|l| l.len() <= 40), "{text}");
        let many = (0..100).map(|i| (format!("{i:07b}"), 1)).collect();
        let text = histogram(&many, 80);
        assert_eq!(text.lines().count(), 17);
        assert!(text.contains("84 others") && text.contains("84.0 %"), "{text}");
        assert_eq!(histogram(&[].into(), 80), "");
    }
}
