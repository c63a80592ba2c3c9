//! Hidden states of every task's texts, made by `qdllm teach` where a model is given instead of vectors.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::task::{Task, folder};
use crate::commands::reproduce::ReproduceArgs;
use crate::data::vectors::table;
use crate::progress::Progress;

/// Makes `OUT/vectors/TASK.safetensors` (and `TASK.1.safetensors` for a second model) unless they are there; `None`
/// without a model.
///
/// # Errors
/// When this build cannot run models, or a model fails.
pub fn make(
    args: &ReproduceArgs,
    tasks: &[String],
    shares: &[u32],
    data: &Path,
    out: &Path,
    progress: &Progress,
) -> Result<Option<PathBuf>> {
    if args.model.is_empty() {
        return Ok(None);
    }
    if !cfg!(feature = "teacher") {
        bail!(
            "--model: this build runs no local models; build with `--features teacher`, or give --vectors"
        );
    }
    let place = out.join("vectors");
    std::fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    for name in tasks {
        for (i, model) in args.model.iter().enumerate() {
            let base = folder(name);
            let file = match i {
                0 => format!("{base}.safetensors"),
                i => format!("{base}.{i}.safetensors"),
            };
            let path = place.join(file);
            if !path.is_file() {
                progress.say(&format!("hidden states of {base} by {}", model.display()));
                let task = Task::read(data, base, None)?;
                one(args, &task, model, shares, &place, &path)?;
            }
        }
    }
    Ok(Some(place))
}

fn one(
    args: &ReproduceArgs,
    task: &Task,
    model: &Path,
    shares: &[u32],
    place: &Path,
    path: &Path,
) -> Result<()> {
    let work = tempfile::tempdir_in(place)?;
    let write = |name: &str, rows: &[super::task::Row]| -> Result<PathBuf> {
        let path = work.path().join(name);
        let line = |(label, text): &(String, String)| {
            serde_json::json!({ "label": label, "text": text }).to_string() + "\n"
        };
        std::fs::write(&path, rows.iter().map(line).collect::<String>())?;
        Ok(path)
    };
    let (train, valid) = (write("train.jsonl", &task.train)?, write("valid.jsonl", &task.valid)?);
    let partial = work.path().join("vectors.safetensors");
    let fewest = shares.iter().min().copied().unwrap_or(100) as usize * task.train.len();
    let labels = (fewest / 100 / task.classes.len()).max(2);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["teach", "--method", "probe", "--model"]).arg(model);
    command.arg("--data").arg(train).arg("--test").arg(valid);
    command.args(["--labels-per-class", &labels.to_string()]);
    command.arg("--export-vectors").arg(&partial).arg("--cache").arg(place.join("features"));
    command.arg("--out").arg(work.path().join("soft.jsonl"));
    if let Some(layer) = args.layer.map(|layer| layer.to_string()) {
        command.args(["--layers", &layer, "--export-layer", &layer]);
    }
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{}: gave no hidden states of {}", model.display(), task.name);
    std::fs::rename(&partial, path).with_context(|| path.display().to_string())
}

/// What a file of vectors says of itself.
pub fn describe(path: &Path) -> String {
    let metadata = table(path).map(|table| table.metadata).unwrap_or_default();
    let said = |name: &str| metadata.get(name).cloned();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (said("model"), said("cell")) {
        (Some(model), Some(cell)) => format!("{model}, {cell}"),
        (Some(model), None) => model,
        _ => name,
    }
}
