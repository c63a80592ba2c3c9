//! The report as Markdown.

use std::fmt::Write as _;

use super::at_a_glance::overview;
use super::figures::{Difference, Figures, Stat};
use super::findings::points;
use super::label_source::{By, Tutor};
use super::method::{Method, Size};
use super::report::{Report, TaskReport};
use crate::options::Preset;
use crate::options::{Config, Criterion};

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut out = String::from("# Students, teachers and controls of arXiv 2505.13205's tasks\n\n");
    head(&mut out, report);
    said(&mut out, report);
    out.push_str(&overview(report));
    for task in &report.tasks {
        table(&mut out, task);
    }
    differences(
        &mut out,
        "The circuit less its controls",
        "The edge student of K = 4k without teacher, less a control with the same rows, head and training.",
        &report.findings.circuit,
    );
    differences(
        &mut out,
        "With teacher less without",
        "The same student, seed and labels; the teacher knows those labels only and speaks for the other training texts.",
        &report.findings.teacher,
    );
    differences(
        &mut out,
        "The teacher with a language model less TF-IDF alone",
        "The teachers, and the edge student of K = 4k that learned from each; both teachers know the same labels and texts.",
        &report.findings.model,
    );
    meaning(&mut out);
    settings(&mut out, report);
    out
}

fn head(out: &mut String, report: &Report) {
    let join = |set: &std::collections::BTreeSet<String>| {
        set.iter().cloned().collect::<Vec<_>>().join("; ")
    };
    let commits = if report.commits.is_empty() {
        String::new()
    } else {
        format!(", commit {}", join(&report.commits))
    };
    let settings = &report.settings;
    let shares: Vec<String> = settings.shares.iter().map(|share| format!("{share}%")).collect();
    let _ = writeln!(out, "| | |\n| --- | --- |");
    let _ = writeln!(out, "| program | qdllm {}{commits} |", join(&report.versions));
    let _ = writeln!(out, "| machine | {} |", join(&report.machines));
    let _ = writeln!(
        out,
        "| runs | {}, from {} to {} UTC |",
        report.runs, report.dates.0, report.dates.1
    );
    if !settings.shares.is_empty() {
        let _ = writeln!(
            out,
            "| asked for | {} seed{}, {} of the labels, K = {} |",
            settings.seeds,
            if settings.seeds == 1 { "" } else { "s" },
            shares.join(", "),
            settings.sizes.join(", ")
        );
    }
    out.push('\n');
}

fn said(out: &mut String, report: &Report) {
    let findings = &report.findings;
    let sentences = [&findings.circuit_says, &findings.teacher_says, &findings.model_says];
    for sentence in sentences.into_iter().flatten() {
        let _ = writeln!(out, "{sentence}\n");
    }
    out.push_str("![Accuracy against bytes](accuracy-bytes.svg)\n\n");
    out.push_str("![Accuracy against the share of labels](accuracy-labels.svg)\n");
}

fn table(out: &mut String, task: &TaskReport) {
    let _ = writeln!(out, "\n## {} (`{}`)\n", task.title, task.name);
    if let Some(about) = &task.about {
        let _ = writeln!(
            out,
            "{} classes, {} training and {} validation texts. {}\n\nTeacher: {}.{}\n",
            about.classes.len(),
            about.train_texts,
            about.valid_texts,
            about.split,
            about.teacher,
            match &about.hidden_states {
                Some(states) => format!(" Hidden states: {states}."),
                None => String::new(),
            }
        );
    }
    for share in task.shares() {
        let rows: Vec<&Figures> = task.figures.iter().filter(|f| f.share == share).collect();
        let labels = rows.first().map_or(0, |row| row.labels);
        let _ = writeln!(out, "### {share}% of the labels: {labels}\n");
        out.push_str("| method | accuracy | precision | recall | F1 | parameters | bytes | memory, MiB | training, s | a text, us | rows | seeds |\n");
        out.push_str("| --- | --- | --- | --- | --- | --: | --: | --: | --: | --: | --: | --: |\n");
        let stated = task.about.as_ref().is_some_and(|about| about.hidden_states.is_some());
        let dense = |row: &&Figures| Method::named(&row.method).is_some_and(Method::dense);
        let without = !stated && !rows.iter().any(dense);
        for row in rows {
            line(out, row);
            if without && row.method == Method::Teacher(Tutor::Model).to_string() {
                no_states(out);
            }
        }
        if without && task.of(share, Method::Teacher(Tutor::Model)).is_none() {
            no_states(out);
        }
        out.push('\n');
    }
}

/// The rows of the students on hidden states where there are none.
fn no_states(out: &mut String) {
    for preset in [Preset::Paper, Preset::Product] {
        let title = Method::Dense(preset, By::Labels).title();
        let _ = writeln!(out, "| {title} | no hidden states given | | | | | | | | | | |");
    }
}

fn line(out: &mut String, row: &Figures) {
    let whole = |stat: &Option<Stat>| stat.map_or(String::new(), |s| format!("{:.0}", s.mean));
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {} | {} | {} |",
        row.title,
        share(&row.accuracy),
        share(&row.precision),
        share(&row.recall),
        share(&row.f1),
        whole(&row.parameters),
        whole(&row.bytes),
        row.peak_memory_bytes.map_or(String::new(), |s| format!("{:.0}", s.mean / 1_048_576.0)),
        row.train_seconds.mean,
        row.microseconds_per_text.map_or(String::new(), |s| format!("{:.1}", s.mean)),
        row.rows.map_or(String::new(), |n| n.to_string()),
        row.seeds,
    );
}

fn share(stat: &Stat) -> String {
    match stat.sd {
        Some(sd) => format!("{:.4} ± {sd:.4}", stat.mean),
        None => format!("{:.4}", stat.mean),
    }
}

fn differences(out: &mut String, title: &str, about: &str, all: &[Difference]) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "## {title}\n\n{about} Points of accuracy; in bold where it is more than two standard errors.\n"
    );
    out.push_str("| task | labels | less | points | standard error | seeds |\n");
    out.push_str("| --- | --: | --- | --: | --: | --: |\n");
    for d in all {
        let shown = points(d.difference.mean);
        let shown = if d.verdict() == 0 { shown } else { format!("**{shown}**") };
        let _ = writeln!(
            out,
            "| {} | {}% | {} - {} | {shown} | {:.1} | {} |",
            d.task,
            d.share,
            d.method,
            d.against,
            100.0 * d.standard_error,
            d.difference.n
        );
    }
    out.push('\n');
}

fn meaning(out: &mut String) {
    out.push_str(
        "## What the columns mean

- All figures are of the validation texts, which nothing was trained on or chosen by. Precision, recall and F1 are
  weighted by the classes' texts. `±` is the standard deviation over the seeds; a seed decides the labels that are known
  and everything that training draws. Rows without a random part (TF-IDF with every label) are run once.
- A standard error of a difference is that of the seeds' mean and of two accuracies on so many texts, taken as
  independent although the texts are the same: it is rather too large.
- Bytes: the whole model file; for the linear, cosine and tanh controls the file less its circuit; for fastText and
  TF-IDF 4 bytes a number and the n-grams' keys.
- Memory: the most that the process which trained held at once. Training: wall-clock seconds on this machine. A text:
  one after another on one thread of this machine (linear, cosine and tanh in batches), not on a chip.
- Students on hidden states: bytes, memory and times are those of the student alone; the language model in front, much
  larger and slower, is not counted.
- Rows: of the vocabulary, fewer than asked for where the texts hold fewer n-grams; the least over the seeds.
",
    );
}

/// What every student was trained with: the settings beneath, and what each task and size lays over them.
fn settings(out: &mut String, report: &Report) {
    let Ok(base) = toml::from_str::<Config>(&report.settings.base) else { return };
    out.push_str(
        "\n## Settings\n\n| task | K | rows at most | bits a number | n-grams | chosen by |\n",
    );
    out.push_str("| --- | --- | --: | --: | --- | --- |\n");
    for task in &report.tasks {
        for size in Size::ALL {
            let student = Method::Edge(size, By::Labels).config(&task.name, 0, &base).student;
            let mut grams = vec!["words"];
            grams.extend(student.bigrams.then_some("pairs"));
            grams.extend(student.trigrams.then_some("triples"));
            grams.extend(student.edges.then_some("over the text's ends"));
            grams.extend(student.prefixes.then_some("prefixes"));
            let by = match student.select {
                Criterion::ChiSquared => "chi-squared",
                Criterion::Weight => "weight",
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {by} |",
                task.name,
                size.name(),
                student.rows,
                student.row_bits,
                grams.join(", ")
            );
        }
    }
    let _ = writeln!(
        out,
        "\nThe paper's student descends at the constant rate {}: the published description gives none. Of 0.001, 0.003, \
         0.01 and 0.03 the rate 0.01 had the least loss on texts held out of the training sets; with few labels accuracy \
         depends on it much.",
        base.dense.paper_rate
    );
    let _ = writeln!(
        out,
        "\nBeneath them, and for the students on hidden states:\n\n```toml\n{}\n```",
        report.settings.base.trim_end()
    );
}
