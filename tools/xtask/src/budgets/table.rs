//! The README's table of what back ends take.

use super::file::{Figures, Image};
use crate::repo::Repo;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;

/// Lines between which the README carries the table.
const BEGIN: &str = "<!-- budgets: made by `cargo xtask budgets --accept` -->\n";
const END: &str = "<!-- budgets end -->\n";

/// Markdown of all images with their figures.
pub fn table(images: &[Image], figures: &[Figures]) -> String {
    let mut text = String::from(
        "| back end | target | built for | flash | RAM and stack | instructions |\n\
         | --- | --- | --- | ---: | ---: | ---: |\n",
    );
    for (image, figures) in images.iter().zip(figures) {
        let backends = match &image.backends[..] {
            [one] => one.clone(),
            several => format!("all {}", several.len()),
        };
        let built = if image.profile == "small" { "size" } else { "speed" };
        let instructions = match figures.instructions {
            0 => "-".to_owned(),
            count => thousands(count),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {backends} | {} | {built} | {} | {} | {instructions} |",
            image.target,
            thousands(figures.text_bytes),
            thousands(figures.ram_bytes),
        );
    }
    text
}

/// The README with the table in its place.
pub fn placed(repo: &Repo, images: &[Image]) -> Result<String> {
    let readme = fs::read_to_string(repo.root.join("README.md"))?;
    let (before, rest) = readme.split_once(BEGIN).context("README.md: no place for budgets")?;
    let (_, after) = rest.split_once(END).context("README.md: the budgets have no end")?;
    let figures: Vec<Figures> = images.iter().map(|image| image.figures).collect();
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", table(images, &figures)))
}

fn thousands(count: u32) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
    }
}
