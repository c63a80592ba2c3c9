//! Texts by how sure the teacher is of them: reported, and the least sure labelled by a person, line by line on a terminal
//! or through a pipe.

use super::soft::SoftLabels;
use super::{BadRows, Rows};
use crate::numeric::{argmax, softmax};
use crate::options::Sources;
use anyhow::{Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use qdllm_host::terminal::aside;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::path::Path;

const LISTED: usize = 50;

/// What the teacher says of one text.
#[derive(Debug, Clone)]
struct Doubt {
    text: String,
    probabilities: Vec<f32>,
}

impl Doubt {
    fn guess(&self) -> usize {
        argmax(&self.probabilities)
    }

    fn confidence(&self) -> f32 {
        self.probabilities[self.guess()]
    }
}

/// Reports how sure the teacher is of the texts of a file, writes the least sure to `list` with the class taken and its
/// probability, and lets a person label at most so many into a file where that is asked for.
pub fn judge(
    soft: &Path,
    texts: &Path,
    sources: &Sources,
    list: &Path,
    reviewed: Option<(usize, &Path)>,
) -> Result<String> {
    let labels = SoftLabels::open(soft, sources)?;
    let mut doubts = Vec::new();
    let mut seen = HashSet::new();
    for row in Rows::unlabelled(texts, &sources.rows)? {
        let text = row?.text;
        if let Some(logits) = labels.get(&text).filter(|_| seen.insert(text.clone())) {
            doubts.push(Doubt { probabilities: softmax(logits, 1.0), text });
        }
    }
    ensure!(
        !doubts.is_empty(),
        "{}: holds no soft label of a text in {}",
        soft.display(),
        texts.display()
    );
    let classes = &labels.classes;
    let report = report(classes, &doubts);
    doubts.sort_by(|a, b| a.confidence().total_cmp(&b.confidence()));
    let listed = &doubts[..doubts.len().min(LISTED)];
    let row = |doubt: &Doubt| {
        let plain = doubt.text.replace(['\t', '\n', '\r'], " ");
        format!("{}\t{:.3}\t{plain}\n", classes[doubt.guess()], doubt.confidence())
    };
    files::write(list, listed.iter().map(row).collect::<String>())?;
    if let Some((most, file)) = reviewed {
        let (mut input, mut output) = (std::io::stdin().lock(), aside());
        review(&doubts, classes, most, file, &mut input, &mut output)?;
    }
    let (listed, list) = (listed.len(), list.display());
    Ok(format!("{report}least sure   {listed} texts listed in {list}\n"))
}

/// How sure the teacher is, over all texts and class by class.
fn report(classes: &[String], doubts: &[Doubt]) -> String {
    let n = doubts.len();
    let mean = doubts.iter().map(|d| f64::from(d.confidence())).sum::<f64>() / n as f64;
    let even = 1.0 / classes.len() as f32;
    let torn = doubts.iter().filter(|d| d.confidence() < 0.5).count();
    let blind = doubts.iter().filter(|d| d.confidence() < even + 1e-4).count();
    let blind = if blind > 0 { format!(", {blind} without any leaning") } else { String::new() };
    let mut out =
        format!("teacher      {n} texts, mean confidence {mean:.3}, {torn} below 0.5{blind}\n");
    for (c, class) in classes.iter().enumerate() {
        let of = doubts.iter().filter(|d| d.guess() == c).map(Doubt::confidence);
        let (count, sum) = (of.clone().count(), of.sum::<f32>());
        let (mean, share) = (sum / count.max(1) as f32, 100.0 * (count as f64 / n as f64));
        let note = if count == 0 { "  never taken: are its words clear?" } else { "" };
        let _ = writeln!(
            out,
            "  {class:<20} {count:>6} texts  {share:>6.1}%  confidence {mean:.3}{note}"
        );
    }
    out
}

/// Shows at most `most` texts that have no label yet and appends each answer to `labels` at once, so that a review can
/// be left at any moment and taken up. Returns the labels written.
fn review(
    doubts: &[Doubt],
    classes: &[String],
    most: usize,
    labels: &Path,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<usize> {
    if labels.extension().is_none_or(|e| e != "tsv") {
        let name = labels.display();
        bail!("{name}: labels are written to .tsv files; give such a file as --data");
    }
    let mut known = HashSet::new();
    let mut ends_whole = true;
    if labels.metadata().is_ok_and(|m| m.len() > 0) {
        for row in Rows::labelled(labels, BadRows::Refuse)? {
            known.insert(row?.text);
        }
        ends_whole = std::fs::read(labels).of_file(labels)?.ends_with(b"\n");
    }
    // A text with a line end in it has no place in a table of lines.
    let open: Vec<&Doubt> = doubts
        .iter()
        .filter(|d| !known.contains(&d.text) && !d.text.contains(['\n', '\r']))
        .take(most)
        .collect();
    let mut file = OpenOptions::new().create(true).append(true).open(labels).of_file(labels)?;
    if !ends_whole {
        file.write_all(b"\n").of_file(labels)?;
    }
    writeln!(output, "{} texts to review, {} have a label already", open.len(), known.len())?;
    for (c, class) in classes.iter().enumerate() {
        writeln!(output, "  {:>2}  {class}", c + 1)?;
    }
    writeln!(output, "number or name: that class; Enter: the guess is right; s: skip; q: quit")?;
    let mut written = 0;
    for (i, doubt) in open.iter().enumerate() {
        let (guess, p) = (doubt.guess(), &doubt.probabilities);
        let others = (0..p.len()).filter(|&c| c != guess);
        writeln!(output, "\n{:>3}/{}  {}", i + 1, open.len(), doubt.text)?;
        write!(output, "         {} {:.2}", classes[guess], doubt.confidence())?;
        if let Some(second) = others.max_by(|&a, &b| p[a].total_cmp(&p[b])) {
            write!(output, " | {} {:.2}", classes[second], p[second])?;
        }
        match answer(classes, guess, input, output)? {
            Answer::Class(class) => {
                file.write_all(format!("{}\t{}\n", classes[class], doubt.text).as_bytes())
                    .of_file(labels)?;
                written += 1;
            }
            Answer::Skip => {}
            Answer::Quit => break,
        }
    }
    writeln!(output, "\n{written} labels written to {}", labels.display())?;
    Ok(written)
}

enum Answer {
    Class(usize),
    Skip,
    Quit,
}

/// Asks until the answer is understood; the end of the input quits.
fn answer(
    classes: &[String],
    guess: usize,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<Answer> {
    loop {
        write!(output, " > ")?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(Answer::Quit);
        }
        let said = line.trim();
        // A class may be called `s` or `q`: names come first.
        if let Some(class) = classes.iter().position(|c| c == said) {
            return Ok(Answer::Class(class));
        }
        match (said, said.parse::<usize>()) {
            ("", _) => return Ok(Answer::Class(guess)),
            ("s", _) => return Ok(Answer::Skip),
            ("q", _) => return Ok(Answer::Quit),
            (_, Ok(n)) if (1..=classes.len()).contains(&n) => return Ok(Answer::Class(n - 1)),
            _ => write!(output, "`{said}` is no class, 1 to {}", classes.len())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts() -> Vec<Doubt> {
        [("one", 0.4), ("two\twith a tab", 0.45), ("three", 0.49), ("four", 0.3), ("fi\nve", 0.1)]
            .map(|(text, p)| Doubt { text: text.into(), probabilities: vec![p, 1.0 - p] })
            .to_vec()
    }

    #[test]
    fn answers_are_kept_at_once_and_a_review_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("labels.tsv");
        let classes = ["no".to_owned(), "q".to_owned()];
        let run = |said: &str, most: usize| {
            let mut shown = Vec::new();
            let n = review(&doubts(), &classes, most, &labels, &mut said.as_bytes(), &mut shown);
            (n.unwrap(), String::from_utf8(shown).unwrap())
        };
        let (n, shown) = run("no\n7\n2\n", 50);
        assert_eq!(n, 2);
        assert!(shown.contains("q 0.60 | no 0.40") && shown.contains("`7` is no class"), "{shown}");
        let read = || std::fs::read_to_string(&labels).unwrap();
        assert_eq!(read(), "no\tone\nq\ttwo\twith a tab\n");
        // A name comes before a command: `q` is a class here.
        let (n, shown) = run("s\nq\n", 50);
        assert_eq!(n, 1);
        assert!(shown.contains("2 texts to review, 2 have"), "{shown}");
        assert_eq!(read(), "no\tone\nq\ttwo\twith a tab\nq\tfour\n");
        // Enter takes the guess; a file without a last line end is mended.
        std::fs::write(&labels, "no\tone").unwrap();
        assert_eq!(run("\n", 1).0, 1);
        assert_eq!(read(), "no\tone\nq\ttwo\twith a tab\n");
        let other = folder.path().join("labels.csv");
        let refused = review(&doubts(), &classes, 1, &other, &mut "".as_bytes(), &mut Vec::new())
            .unwrap_err();
        assert!(refused.to_string().contains(".tsv"));
    }
}
