//! `budgets`: what each back end takes on a chip - flash, RAM, instructions - against `tests/budgets.toml`.
//!
//! Every image of that file is built with one back end (one with all), booted on the emulated board
//! with the model of the tests, and classifies one sentence of twelve words. The figures may exceed
//! the file's by a named headroom, and no figure may pass a limit that the file states. The table of
//! the README is made from the file.

mod file;
mod measure;
mod table;

use crate::repo::Repo;
use crate::setup;
use crate::shell::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use file::{Budgets, Figures, Image};
use std::fs;
use std::path::PathBuf;

const TOPIC: &str = "budgets";

/// The trained model of the tests, with every back end in it.
const MODEL: &str = "tests/models/commands.qdm";

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

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    setup::ensure(repo, &setup::ALL_TARGETS)?;
    let mut budgets = Budgets::read(repo)?;
    if let Some(only) = &options.only {
        budgets.images.retain(|image| image.name().contains(only.as_str()));
    }
    let model = options.model.clone().unwrap_or_else(|| repo.root.join(MODEL));
    let measured = all(repo, &budgets, &std::path::absolute(model)?)?;
    println!("{}", table::table(&budgets.images, &measured));
    if options.model.is_some() {
        return Ok(());
    }
    if options.accept {
        for (image, figures) in budgets.images.iter_mut().zip(measured) {
            image.figures = figures;
        }
        report(&over_limits(&budgets.images))?;
        budgets.write(repo)?;
        return fs::write(repo.root.join("README.md"), table::placed(repo, &budgets.images)?)
            .context("README.md");
    }
    report(&over(&budgets, &measured))
}

/// The gate's step: the figures within budget, and the README's table made from the file.
pub fn check(repo: &Repo) -> Result<u32> {
    let budgets = Budgets::read(repo)?;
    let measured = all(repo, &budgets, &repo.root.join(MODEL))?;
    let mut wrong = over(&budgets, &measured);
    if fs::read_to_string(repo.root.join("README.md"))? != table::placed(repo, &budgets.images)? {
        wrong.push("README.md: the table of budgets is not that of tests/budgets.toml".to_owned());
    }
    report(&wrong)?;
    Ok(budgets.images.len() as u32 + 1)
}

/// Every image by name with its figures as they are now, on one line.
pub fn figures(repo: &Repo) -> Result<Vec<(String, String)>> {
    let budgets = Budgets::read(repo)?;
    let measured = all(repo, &budgets, &repo.root.join(MODEL))?;
    let line = |figures: Figures| figures.named().map(|(name, n)| format!("{n} {name}")).join(", ");
    Ok(budgets.images.iter().map(Image::name).zip(measured.into_iter().map(line)).collect())
}

fn all(repo: &Repo, budgets: &Budgets, model: &std::path::Path) -> Result<Vec<Figures>> {
    let mut measured = Vec::new();
    for image in &budgets.images {
        say(TOPIC, image.name());
        measured.push(measure::measure(repo, image, model).with_context(|| image.name())?);
    }
    Ok(measured)
}

/// What exceeds its figure by more than the headroom, or a stated limit.
fn over(budgets: &Budgets, measured: &[Figures]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (image, now) in budgets.images.iter().zip(measured) {
        for ((name, now), (_, budget)) in now.named().into_iter().zip(image.figures.named()) {
            let room = budgets.headroom.of(name);
            if f64::from(now) > f64::from(budget) * (1.0 + room) {
                let room = room * 100.0;
                wrong.push(format!(
                    "{}: {now} {name}, budget {budget} and {room:.0}% headroom",
                    image.name()
                ));
            }
        }
    }
    let now: Vec<Image> = budgets
        .images
        .iter()
        .zip(measured)
        .map(|(image, &figures)| Image { figures, ..image.clone() })
        .collect();
    wrong.extend(over_limits(&now));
    wrong
}

fn over_limits(images: &[Image]) -> Vec<String> {
    let limits = images.iter().filter_map(|image| Some((image, image.limits?)));
    let each = limits.flat_map(|(image, limits)| {
        let pairs = image.figures.named().into_iter().zip(limits.named());
        pairs.filter(|((_, now), (_, limit))| *limit > 0 && now > limit).map(
            move |((name, now), (_, limit))| {
                format!("{}: {now} {name}, limit {limit}", image.name())
            },
        )
    });
    each.collect()
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
