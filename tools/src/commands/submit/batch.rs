//! What `submit` was asked for, as a batch in the store.

use super::args::SubmitArgs;
use crate::commands::access::{live_device, work_text};
use crate::commands::processor;
use crate::deploy::Deployment;
use crate::processor::topology::Processor;
use crate::quafu::jobs::JobError;
use crate::quafu::jobs::job::{Batch, Text, VERSION, Work};
use crate::quafu::jobs::planned_circuit::{self as planned, PlannedCircuit};
use crate::quafu::jobs::store::Store;
use crate::texts;
use crate::transpile::native;
use crate::transpile::source::Source;
use crate::transpile::{Options, Plan};
use anyhow::{Context, Result, bail};
use qdllm_host::files::read;
use qdllm_host::terminal::Progress;
use qdllm_host::{dates, hex};
use qdllm_runtime::Model;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// The batch's name, from all that was asked for: asked again, it is the same.
///
/// # Errors
/// For a file that cannot be read.
pub fn identity(args: &SubmitArgs) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |field: &str, bytes: &[u8]| {
        hash.update((field.len() + bytes.len()).to_le_bytes());
        hash.update(field);
        hash.update([0]);
        hash.update(bytes);
    };
    add("platform", args.place.platform.name().as_bytes());
    add("url", args.place.url().trim_end_matches('/').as_bytes());
    add("chip", args.chip.as_bytes());
    add("shots", &args.shots.to_le_bytes());
    add("name", args.name.as_bytes());
    let how = (args.as_is, args.compile_there, args.no_rewrite, args.seed, args.first);
    add("how", format!("{how:?} {:?} {:?}", args.basis, args.target).as_bytes());
    if let Some(target) = args.target.as_deref().filter(|t| Path::new(t).is_file()) {
        add("target", &read(Path::new(target))?);
    }
    let mut stem = None;
    for (field, path) in [("model", &args.model), ("data", &args.data), ("qasm", &args.qasm)] {
        if let Some(path) = path {
            add(field, &read(path)?);
            stem = stem.or_else(|| path.file_stem());
        }
    }
    if let Some(text) = &args.text {
        add("text", text.as_bytes());
    }
    if let Some(folder) = &args.compiled {
        add("table", &read(&folder.join("readout.json"))?);
        for draft in planned::folder(folder)? {
            add("circuit", crate::qasm::write(&draft.circuit).as_bytes());
        }
        stem = folder.file_stem();
    }
    let stem = stem.and_then(|s| s.to_str()).unwrap_or("batch");
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let stem: String = stem.chars().take(24).map(plain).collect();
    let digest = hex::encode(&hash.finalize()[..5]);
    Ok(format!("{stem}-{digest}"))
}

/// Makes the batch, after everything that can be wrong with it was looked for.
///
/// # Errors
/// For whatever is wrong with it; then nothing is kept.
pub fn create(args: &SubmitArgs, store: &Store, id: &str) -> Result<()> {
    // What needs no network comes first.
    let (mut work, model_bytes) = work(args)?;
    let mut fixed = match (&args.qasm, &args.compiled) {
        (Some(path), _) => Some(vec![planned::circuit(path)?]),
        (_, Some(folder)) => Some(planned::folder(folder)?),
        _ => None,
    };
    let model = model_bytes.as_ref().map(|bytes| Model::parse(bytes)).transpose();
    let model = model
        .with_context(|| args.model.as_deref().unwrap_or(Path::new("")).display().to_string())?;
    let platform = args.access.connect(args.place.platform, &args.place.url())?;
    platform.ready(&args.chip)?;
    platform.limits(&args.chip)?.check(&args.chip, args.shots)?;
    let chip = live_device(platform.as_ref(), &args.chip)?;
    let target = args.target.as_deref().map(processor).transpose()?;
    let target = target.as_ref().unwrap_or(&chip);
    let options = Options {
        rewrite: !args.no_rewrite,
        basis: args.basis,
        seed: args.seed,
        ..Options::default()
    };
    if let (Some(path), false, false) = (&args.qasm, args.as_is, args.compile_there) {
        fixed = fixed.map(|all| compiled(&all, path, target, options)).transpose()?;
    }
    let drafts = match (fixed, &model, &mut work) {
        (Some(drafts), ..) => drafts,
        (None, Some(model), Work::Model { texts, .. }) => {
            let deployment = Deployment::new(model, target, options)?;
            let mut progress = Progress::new(texts.len() < 10);
            progress.stage("compiling", texts.len() as u64);
            let mut done = 0;
            let drafts = planned::texts(&deployment, texts, || {
                done += 1;
                progress.at(done);
            });
            progress.done();
            drafts.with_context(|| {
                args.data.as_deref().unwrap_or(Path::new("text")).display().to_string()
            })?
        }
        _ => bail!("give a model and a text, or --data, --qasm, --compiled or --resume"),
    };
    if !args.compile_there {
        for draft in &drafts {
            native::check(&draft.circuit, &chip).with_context(|| work_text(&work))?;
        }
    }
    // Read-out errors belong to the chip's own qubits.
    let jobs = planned::jobs(drafts, (!args.compile_there).then_some(&chip));
    let batch = Batch {
        version: VERSION,
        id: id.into(),
        created_ms: dates::now_ms(),
        platform: args.place.platform,
        url: args.place.url().trim_end_matches('/').into(),
        chip: args.chip.clone(),
        shots: args.shots,
        physical: !args.compile_there,
        jobs: jobs.len(),
        work,
    };
    match store.create(&batch, &jobs) {
        // Another process made the same one meanwhile; going on with it is what was asked for.
        Err(JobError::File { .. }) if store.has(id) => Ok(()),
        other => Ok(other?),
    }
}

fn work(args: &SubmitArgs) -> Result<(Work, Option<Vec<u8>>)> {
    let Some(model) = &args.model else {
        let file = args.qasm.clone().or_else(|| args.compiled.clone());
        return Ok((Work::Circuit { file: file.unwrap_or_default() }, None));
    };
    let bytes = read(model)?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let texts = match (&args.data, &args.text) {
        (Some(path), _) => texts::read(path, args.first)?.into_iter().map(Text::from).collect(),
        (None, Some(text)) => vec![Text { line: 0, label: None, text: text.clone() }],
        (None, None) => bail!("give a text, or --data FILE"),
    };
    // Fetched from anywhere, the model is still found.
    let model = std::path::absolute(model).unwrap_or_else(|_| model.clone());
    Ok((Work::Model { model, sha256, texts }, Some(bytes)))
}

fn compiled(
    all: &[PlannedCircuit],
    path: &Path,
    target: &Processor,
    options: Options,
) -> Result<Vec<PlannedCircuit>> {
    let mut drafts = Vec::new();
    for draft in all {
        let source =
            Source::from_circuit(&draft.circuit).with_context(|| path.display().to_string())?;
        let plan = Plan::new(source, target, options)?;
        drafts.extend(plan.compile(&[])?.into_iter().map(|c| planned::of(0, c)));
    }
    Ok(drafts)
}
