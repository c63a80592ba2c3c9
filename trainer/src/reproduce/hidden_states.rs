//! Hidden states of every task's texts, made by `qdllm teach` where a model is given instead of vectors.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::options::ReproduceArgs;
use super::process::{own, write_rows};
use super::task::{Task, folder};
use crate::data::vectors::table;
use qdllm_host::terminal::Progress;

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
    for base in tasks.iter().map(|name| folder(name)) {
        for (i, model) in args.model.iter().enumerate() {
            let number = if i == 0 { String::new() } else { format!(".{i}") };
            let path = place.join(format!("{base}{number}.safetensors"));
            if !path.is_file() {
                progress.say(&format!("hidden states of {base} by {}", model.display()));
                let task = Task::read(data, base, None)?;
                of_task(args.layer, &task, model, shares, &path)?;
            }
        }
    }
    Ok(Some(place))
}

fn of_task(
    layer: Option<usize>,
    task: &Task,
    model: &Path,
    shares: &[u32],
    path: &Path,
) -> Result<()> {
    let place = path.parent().unwrap_or(Path::new("."));
    let work = tempfile::tempdir_in(place)?;
    let file = |name: &str| work.path().join(name);
    write_rows(&file("train.jsonl"), &task.train, true)?;
    write_rows(&file("valid.jsonl"), &task.valid, true)?;
    let partial = file("vectors.safetensors");
    let fewest = shares.iter().min().copied().unwrap_or(100) as usize * task.train.len();
    let labels = (fewest / 100 / task.classes.len()).max(2);
    let mut command = own(&["teach", "--method", "probe", "--model"])?;
    command.arg(model).arg("--data").arg(file("train.jsonl"));
    command.arg("--test").arg(file("valid.jsonl"));
    command.args(["--labels-per-class", &labels.to_string()]);
    command.arg("--export-vectors").arg(&partial).arg("--cache").arg(place.join("features"));
    command.arg("--out").arg(file("soft.jsonl"));
    if let Some(layer) = layer.map(|layer| layer.to_string()) {
        command.args(["--layers", &layer, "--export-layer", &layer]);
    }
    let status = command.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{}: gave no hidden states of {}", model.display(), task.name);
    std::fs::rename(&partial, path).with_context(|| path.display().to_string())
}

/// What a file of vectors says of itself.
pub fn describe(path: &Path) -> String {
    let metadata = table(path).map(|table| table.metadata).unwrap_or_default();
    match (metadata.get("model"), metadata.get("cell")) {
        (Some(model), Some(cell)) => format!("{model}, {cell}"),
        (Some(model), None) => model.clone(),
        _ => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}
