//! `budgets`: what each back end takes on a chip - flash, RAM, instructions - against `tests/budgets.toml`.
//!
//! Every image of that file is built with one back end (one with all), booted on the emulated board
//! with the model of the tests, and classifies one sentence of twelve words and the longest line that the console
//! takes. The figures may exceed
//! the file's by a named headroom, and no figure may pass a limit that the file states. The table of
//! the README is made from the file.

use crate::emulator::{Device, field};
use crate::repo::{Repo, flash_bytes, no_panics};
use crate::setup;
use crate::shell::say;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use qdllm_host::boards::BOARDS;
use qdllm_host::files;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

const TOPIC: &str = "budgets";

/// The trained model of the tests, with every back end in it.
const MODEL: &str = "tests/models/commands.qdm";

const FILE: &str = "tests/budgets.toml";

/// Lines between which the README carries the table.
const BEGIN: &str = "<!-- budgets: made by `cargo xtask budgets --accept` -->\n";
const END: &str = "<!-- budgets end -->\n";

#[derive(Args)]
pub struct Options {
    /// Takes the measured figures as the new budgets and writes the README's table
    #[arg(long)]
    accept: bool,
    /// Measures another model and only prints: budgets hold for the model of the tests
    #[arg(long, conflicts_with = "accept")]
    model: Option<PathBuf>,
    /// Only images whose back end, target or profile contains this
    #[arg(long, conflicts_with = "accept")]
    only: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    /// By which share a figure may grow unseen.
    headroom: Figures<f64>,
    #[serde(rename = "image")]
    images: Vec<Image>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Image {
    /// Features of the runtime: the back ends.
    backends: Vec<String>,
    /// Further features of the runtime.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    with: Vec<String>,
    target: String,
    /// Cargo's profile: `release` is made for speed, `small` for size.
    profile: String,
    /// What it took when the budget was set.
    figures: Figures<u32>,
    /// What it must never take more of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Figures<u32>>,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Figures<T> {
    text_bytes: T,
    /// Statics and the deepest stack.
    ram_bytes: T,
    /// The stack of the check of a model file, and that of a classification.
    parse_stack_bytes: T,
    classify_stack_bytes: T,
    instructions: T,
    longest_instructions: T,
}

/// Names of figures, in their order.
const NAMES: [&str; 6] = [
    "text_bytes",
    "ram_bytes",
    "parse_stack_bytes",
    "classify_stack_bytes",
    "instructions",
    "longest_instructions",
];

impl<T: Copy> Figures<T> {
    fn all(&self) -> [T; 6] {
        let (parse, classify) = (self.parse_stack_bytes, self.classify_stack_bytes);
        let (instructions, longest) = (self.instructions, self.longest_instructions);
        [self.text_bytes, self.ram_bytes, parse, classify, instructions, longest]
    }
}

impl Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let features = [&self.backends[..], &self.with].concat().join("+");
        write!(f, "{features} on {} ({})", self.target, self.profile)
    }
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    setup::ensure(repo, &setup::ALL_TARGETS)?;
    let mut budgets = read(repo)?;
    if let Some(only) = &options.only {
        budgets.images.retain(|image| image.to_string().contains(only.as_str()));
    }
    let model = options.model.clone().unwrap_or_else(|| repo.root.join(MODEL));
    let measured = measure(repo, &budgets, &std::path::absolute(model)?)?;
    println!("{}", table(&budgets.images, &measured));
    if options.model.is_some() {
        return Ok(());
    }
    if !options.accept {
        return report(&over(&budgets, &measured, false));
    }
    report(&over(&budgets, &measured, true))?;
    for (image, figures) in budgets.images.iter_mut().zip(measured) {
        image.figures = figures;
    }
    // The comment at its head stays.
    let file = repo.root.join(FILE);
    let text = files::read_text(&file)?;
    let head = text.split_inclusive('\n').take_while(|line| !line.starts_with('['));
    files::write(&file, head.collect::<String>() + &toml::to_string(&budgets)?)?;
    files::write(&repo.root.join("README.md"), with_table(repo, &budgets.images)?)
}

/// The gate's step: the figures within budget, and the README's table made from the file.
pub fn check(repo: &Repo) -> Result<u32> {
    let budgets = read(repo)?;
    let measured = measure(repo, &budgets, &repo.root.join(MODEL))?;
    let mut wrong = over(&budgets, &measured, false);
    if files::read_text(&repo.root.join("README.md"))? != with_table(repo, &budgets.images)? {
        wrong.push(format!("README.md: the table of budgets is not that of {FILE}"));
    }
    report(&wrong)?;
    Ok(budgets.images.len() as u32 + 1)
}

/// Every image by name with its figures as they are now, on one line.
pub fn figures(repo: &Repo) -> Result<Vec<(String, String)>> {
    let budgets = read(repo)?;
    let measured = measure(repo, &budgets, &repo.root.join(MODEL))?;
    let rows = budgets.images.iter().zip(measured).map(|(image, figures)| {
        let figures = figures.all().into_iter().zip(NAMES).map(|(n, name)| format!("{n} {name}"));
        (image.to_string(), figures.collect::<Vec<_>>().join(", "))
    });
    Ok(rows.collect())
}

fn read(repo: &Repo) -> Result<Budgets> {
    toml::from_str(&files::read_text(&repo.root.join(FILE))?).context(FILE)
}

fn measure(repo: &Repo, budgets: &Budgets, model: &Path) -> Result<Vec<Figures<u32>>> {
    let figures = budgets.images.iter().map(|image| {
        say(TOPIC, image.to_string());
        measured(repo, image, model).with_context(|| image.to_string())
    });
    figures.collect()
}

/// Builds one measuring image, boots it and reads what it says; the same again with what tells how deep the stack
/// was, which weighs a little itself.
fn measured(repo: &Repo, image: &Image, model: &Path) -> Result<Figures<u32>> {
    let build = |more: &[String]| {
        let features = [&image.backends[..], &image.with, more].concat().join(",");
        let program = ["--package", "qdllm-mps2-an386", "--bin", "measure"];
        let built = ["--profile", &image.profile, "--target", &image.target];
        let features = ["--no-default-features", "--features", &features];
        repo.build_image(&[&program[..], &built, &features].concat(), "measure")
    };
    let file = build(&[])?;
    let text_bytes = u32::try_from(flash_bytes(&file)?)?;
    // The compiler leaves checks in what it does not optimise, and the library of signatures brings one.
    if image.profile != "dev" && image.with != ["signature"] {
        no_panics(&file)?;
    }
    // The next build puts its program in the place of this one.
    let said = lines(&file, model)?;
    let deep = lines(&build(&["depth".to_owned()])?, model)?;
    let named = said.iter().zip(&image.backends).chain(deep.iter().skip(1).zip(&image.backends));
    for (line, backend) in named {
        ensure!(line.contains(&format!("backend={backend}\t")), "{line:?} is not of {backend}");
    }
    let first = said.first().context("no figures")?;
    let most = |lines: &[String], name| {
        let all = lines.iter().filter(|line| line.starts_with("backend="));
        all.map(|line| number(line, name)).try_fold(0, |most, now| anyhow::Ok(most.max(now?)))
    };
    let parse_stack_bytes = number(deep.first().context("no depth")?, "parse")?;
    let alone = u32::from(image.backends.len() == 1);
    let figures = Figures {
        text_bytes,
        ram_bytes: number(first, "static")? + most(&said, "stack")?.max(parse_stack_bytes),
        parse_stack_bytes,
        classify_stack_bytes: most(&deep, "stack")?,
        instructions: alone * number(first, "instructions")?,
        longest_instructions: alone * most(&deep, "instructions")?,
    };
    ensure!(number(first, "instructions")? > 0, "the board does not count instructions");
    Ok(figures)
}

/// All that an image says with this model until it ends.
fn lines(image: &Path, model: &Path) -> Result<Vec<String>> {
    let mut device = Device::boot(&BOARDS[0], image, Some(model))?;
    let mut lines = Vec::new();
    while let Ok(line) = device.line() {
        lines.push(line);
    }
    let code = device.code()?;
    ensure!(code == 0, "the image ended with code {code}");
    Ok(lines)
}

/// A number of a line, in hexadecimal.
fn number(line: &str, name: &str) -> Result<u32> {
    let value = u32::from_str_radix(field(line, name)?, 16);
    value.with_context(|| format!("{name} in {line:?}"))
}

/// What exceeds its figure by more than the headroom, or a stated limit; or a limit alone.
fn over(budgets: &Budgets, measured: &[Figures<u32>], limits_alone: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (image, now) in budgets.images.iter().zip(measured) {
        let limits = image.limits.unwrap_or_default().all();
        for (i, name) in NAMES.iter().enumerate() {
            let (now, budget, limit) = (now.all()[i], image.figures.all()[i], limits[i]);
            let room = budgets.headroom.all()[i];
            if !limits_alone && f64::from(now) > f64::from(budget) * (1.0 + room) {
                let room = room * 100.0;
                wrong.push(format!(
                    "{image}: {now} {name}, budget {budget} and {room:.0}% headroom"
                ));
            }
            if limit > 0 && now > limit {
                wrong.push(format!("{image}: {now} {name}, limit {limit}"));
            }
        }
    }
    wrong
}

fn report(wrong: &[String]) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "over budget:\n  {}\n(`cargo xtask budgets --accept` takes new figures)",
        wrong.join("\n  ")
    )
}

/// Markdown of all images with their figures.
fn table(images: &[Image], figures: &[Figures<u32>]) -> String {
    let mut text = String::from(
        "| back end | target | built for | flash | RAM and stack | stack: check | classify | instructions | longest |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (image, figures) in images.iter().zip(figures) {
        let backends = match &image.backends[..] {
            [one] => [std::slice::from_ref(one), &image.with].concat().join(", "),
            several => format!("all {}", several.len()),
        };
        let built = match image.profile.as_str() {
            "small" => "size",
            "release" => "speed",
            profile => profile,
        };
        let shown = figures.all().map(|figure| match figure {
            0 => "-".to_owned(),
            figure => thousands(figure),
        });
        // Writing to a text cannot fail.
        let _ =
            writeln!(text, "| {backends} | {} | {built} | {} |", image.target, shown.join(" | "));
    }
    text
}

/// The README with the table in its place.
fn with_table(repo: &Repo, images: &[Image]) -> Result<String> {
    let readme = files::read_text(&repo.root.join("README.md"))?;
    let (before, rest) = readme.split_once(BEGIN).context("README.md: no place for budgets")?;
    let (_, after) = rest.split_once(END).context("README.md: the budgets have no end")?;
    let figures: Vec<_> = images.iter().map(|image| image.figures).collect();
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(images, &figures)))
}

fn thousands(count: u32) -> String {
    match (count / 1000, count % 1000) {
        (0, last) => last.to_string(),
        (rest, last) => format!("{},{last:03}", thousands(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
    }
}
