//! `qdllm demo`: the shipped smart-home commands, from a teacher's soft labels to a model file.

use crate::data::BadRows;
use crate::data::labelled::{Labelled, draw_labels};
use crate::data::soft::SoftLabels;
use crate::evaluation::{evaluate, row};
use crate::numeric::argmax;
use crate::options::Config;
use crate::student::run::distill;
use anyhow::{Context, Result, bail};
use clap::Args;
use qdllm_host::errors::wrong_use;
use qdllm_host::files;
use qdllm_host::terminal::{Progress, say};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Goes on with an earlier run; a checkpoint every second.
const KEEP: (bool, Duration) = (false, Duration::from_secs(1));
const MODELS: [&str; 2] = ["model.qdm", "labels-only.qdm"];
const TRAIN: &[u8] = include_bytes!("../../data/commands/train.tsv");
const TEST: &[u8] = include_bytes!("../../data/commands/test.tsv");
const SOFT: &[u8] = include_bytes!("../../data/commands/soft.jsonl");
const SETTINGS: &str = include_str!("../../data/commands/demo.toml");

pub fn run(args: &DemoArgs) -> Result<()> {
    let folder = &args.out;
    files::create_folder(folder)?;
    foreign(folder)?;
    let put = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = folder.join(name);
        files::write(&path, bytes)?;
        Ok(path)
    };
    let mut config: Config = toml::from_str(SETTINGS)?;
    config.sources.data = vec![put("train.tsv", TRAIN)?];
    config.sources.soft = Some(put("soft.jsonl", SOFT)?);
    config.check()?;
    let test = put("test.tsv", TEST)?;
    let (name, accuracy, texts) = teacher(&config)?;
    if !args.json {
        say(format_args!(
            "teacher      {name}: right on {accuracy:.4} of the {texts} texts whose labels are hidden"
        ))?;
    }
    let out = folder.join(MODELS[0]);
    let mut progress = Progress::new(args.json);
    let outcome = distill(&config, &out, KEEP, &mut progress)?;
    // The same student without its teacher, for comparison; 160 texts hold few n-grams that occur twice.
    let (mut alone, labels_only) = (config.clone(), folder.join(MODELS[1]));
    alone.sources.soft = None;
    alone.student.rows = alone.student.rows.min(128);
    distill(&alone, &labels_only, KEEP, &mut progress)?;
    let evaluation = evaluate(&out, &[&test], BadRows::Refuse, Some(&config), args.json)?;
    let plain = evaluate(&labels_only, &[&test], BadRows::Refuse, None, true)?;
    if args.json {
        let all = serde_json::json!({
            "teacher_accuracy": accuracy,
            "outcome": outcome,
            "evaluation": evaluation,
            "labels_only_accuracy": plain.student.accuracy,
        });
        return say(serde_json::to_string_pretty(&all)?);
    }
    let alone = row("the same circuit, labels only", &plain.student, plain.student_bytes);
    say(format_args!("{outcome}\n{evaluation}{alone}"))
}

/// Refuses a folder with files of these names that are not the demo's.
fn foreign(folder: &Path) -> Result<()> {
    let differs = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        path.exists() && !std::fs::read(path).is_ok_and(|found| found == bytes)
    };
    let data = [("train.tsv", TRAIN), ("test.tsv", TEST), ("soft.jsonl", SOFT)];
    let taken = data.iter().find(|(name, bytes)| differs(name, bytes)).map(|(name, _)| *name);
    // A model is the demo's where its texts lie beside it.
    let own = folder.join("train.tsv").exists();
    let taken = taken.or(MODELS.into_iter().find(|name| !own && folder.join(name).exists()));
    let Some(name) = taken else { return Ok(()) };
    let path = folder.join(name);
    let what = "is not the demo's and would be written over; give another folder as --out";
    Err(wrong_use(format_args!("{}: {what}", path.display())))
}

/// The teacher's name, its accuracy on the training texts whose labels are hidden, and their number.
fn teacher(config: &Config) -> Result<(String, f64, usize)> {
    let sources = &config.sources;
    let ([data], Some(soft)) = (&sources.data[..], &sources.soft) else {
        bail!("the demo names its data and soft labels");
    };
    let soft = SoftLabels::read(soft)?;
    let rows = Labelled::read(data, &sources.rows, &mut 0)?;
    let rows: Vec<_> = rows.into_iter().map(|row| (row.label, row.text)).collect();
    let kept = draw_labels(&rows, sources.labels_per_class.unwrap_or(0), sources.label_draw);
    let (mut texts, mut right) = (0, 0);
    for ((label, text), _) in rows.iter().zip(kept).filter(|(_, kept)| !kept) {
        let logits = soft.get(text).context("the demo's soft labels cover its texts")?;
        texts += 1;
        right += usize::from(soft.classes[argmax(logits)] == *label);
    }
    Ok((soft.teacher.name, right as f64 / texts.max(1) as f64, texts))
}
