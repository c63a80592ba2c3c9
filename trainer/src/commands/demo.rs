//! `qdllm demo`: the shipped smart-home commands, from a teacher's soft labels to a model file.

use crate::commands::distill::{Keep, distill};
use crate::commands::eval::evaluate;
use crate::config::Config;
use crate::data::BadRows;
use crate::progress::Progress;
use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// Distil the shipped smart-home commands and show what came out
///
/// 20 texts a class keep their labels; for the other texts a language model speaks through its
/// shipped soft labels. Needs no download.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Folder for the model and its metrics
    #[arg(long, default_value = "out/demo")]
    pub out: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

const TRAIN: &[u8] = include_bytes!("../../data/commands/train.tsv");
const TEST: &[u8] = include_bytes!("../../data/commands/test.tsv");
const SOFT: &[u8] = include_bytes!("../../data/commands/soft.jsonl");
const SETTINGS: &str = include_str!("../../data/commands/demo.toml");

/// Runs the command.
///
/// # Errors
/// When the folder cannot be written.
pub fn run(args: &DemoArgs) -> Result<()> {
    let folder = &args.out;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let put = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    let mut config: Config = toml::from_str(SETTINGS)?;
    config.sources.data = Some(put("train.tsv", TRAIN)?);
    config.sources.soft = Some(put("soft.jsonl", SOFT)?);
    config.check()?;
    let test = put("test.tsv", TEST)?;
    let out = folder.join("model.qdm");
    let mut progress = Progress::new(args.json);
    let (outcome, _) = distill(&config, &out, Keep::default(), &mut progress)?;
    let labels_only = labels_only(&config, folder, &mut progress)?;
    let evaluation = evaluate(&out, &test, BadRows::Refuse, Some(&config), args.json)?;
    let plain = evaluate(&labels_only, &test, BadRows::Refuse, None, true)?;
    if args.json {
        let all = serde_json::json!({
            "outcome": outcome,
            "evaluation": evaluation,
            "labels_only_accuracy": plain.student.accuracy,
        });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    print!("{outcome}\n{evaluation}");
    println!(
        "{:34} {:>8.4}  {:>8.4}  {:>17.4}  {:>7}",
        "the same circuit, labels only",
        plain.student.accuracy,
        plain.student.macro_avg.f1,
        plain.student.calibration_error,
        plain.student_bytes
    );
    Ok(())
}

/// The same student without its teacher, for comparison.
fn labels_only(config: &Config, folder: &Path, progress: &mut Progress) -> Result<PathBuf> {
    let mut config = config.clone();
    config.sources.soft = None;
    config.student.rows = config.student.rows.min(256);
    let out = folder.join("labels-only.qdm");
    distill(&config, &out, Keep::default(), progress)?;
    Ok(out)
}
