//! What `submit` is asked for, and as a batch in the store.

use crate::circuit::{self, Circuit};
use crate::commands::{Access, Search, Where, live_device, processor, work_text};
use crate::processor::Processor;
use crate::quafu::Platform;
use crate::quafu::jobs::{self, Batch, Job, State, Store, VERSION, Work, random_hex, uuid};
use crate::readout::Readout;
use crate::texts::{self, Text};
use crate::transpile::Compiled;
use crate::transpile::native;
use crate::transpile::source::{Source, inputs_of};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use qdllm_host::cli::OverDefaults;
use qdllm_host::errors::OfFile as _;
use qdllm_host::files::{read, read_text};
use qdllm_host::rows::RowOptions;
use qdllm_host::terminal::{Progress, note};
use qdllm_host::values::within;
use qdllm_host::{dates, hex};
use qdllm_runtime::Model;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Submit circuits or texts to a quantum cloud
///
/// Makes a batch in the store and sends it. A text becomes one or two circuits, compiled here for the
/// chip's qubits as they are calibrated now; `fetch` turns their counts into a decision.
///
/// The command may end at any point, by error, by you, or by a power cut: run it again, or with
/// --resume, and it goes on where it was. What was received is never sent again: asked for the same
/// thing, it finds the batch that exists. To run something once more, give it another --name.
///
/// The token comes from `QPU_API_TOKEN` (platform sqc) or `QUAFU_API_KEY` (portal), --token-file, or
/// the keyring (see `qdllm-hw token`).
///
/// Examples:
///   qdllm-hw submit model.qdm "turn on the light" --chip Baihua
///   qdllm-hw submit model.qdm --data test.tsv --first 200 --shots 2048
///   qdllm-hw submit --qasm circuit.qasm
///   qdllm-hw submit --compiled folder-of-transpile
///   qdllm-hw submit --resume model-3f2a
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct SubmitArgs {
    /// A model file (.qdm)
    #[arg(required_unless_present_any = ["qasm", "compiled", "resume"])]
    pub model: Option<PathBuf>,
    /// The text to classify
    #[arg(required_unless_present_any = ["data", "qasm", "compiled", "resume"])]
    pub text: Option<String>,
    /// Texts to classify, with labels or without: .tsv (label, tab, text), .csv with a header, .jsonl or .txt
    #[arg(long, value_name = "FILE", requires = "model", conflicts_with = "text")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// Only the first N texts of --data
    #[arg(long, value_name = "N", requires = "data", value_parser = within(1_usize..))]
    pub first: Option<usize>,
    /// An OpenQASM 2 or 3 file; compiled here for the chip
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "text"])]
    pub qasm: Option<PathBuf>,
    /// Send --qasm uncompiled: its qubits and gates are the chip's own
    #[arg(long, requires = "qasm")]
    pub as_is: bool,
    /// Let the platform compile --qasm
    #[arg(long, requires = "qasm", conflicts_with = "as_is")]
    pub compile_there: bool,
    /// A folder that `transpile -o` wrote
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "text", "qasm"])]
    pub compiled: Option<PathBuf>,
    /// Go on with a batch; the beginning of its name will do
    #[arg(long, value_name = "BATCH", conflicts_with_all = ["model", "text", "qasm", "compiled"])]
    pub resume: Option<String>,
    /// With --resume: send jobs that failed once more, under new names
    #[arg(long, requires = "resume", conflicts_with = "model")]
    pub retry_failed: bool,
    /// With --resume: the platform has the job of this name as this task
    #[arg(long, value_name = "NAME=TASK", requires = "resume")]
    pub received: Vec<String>,
    /// With --resume: the platform does not have the job of this name; send it again
    #[arg(long, value_name = "NAME", requires = "resume")]
    pub lost: Vec<String>,
    /// The chip, or the portal's target
    #[arg(long, default_value = "Baihua")]
    pub chip: String,
    /// Repetitions of each circuit
    #[arg(long, default_value_t = 1024, value_parser = within(1_u32..))]
    pub shots: u32,
    /// A word that tells this batch from an equal one
    #[arg(long, default_value = "")]
    pub name: String,
    /// Compile for this map instead of the chip's own, live one: baihua, or a JSON file
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// The chip's information to go on with where the platform gives none (`backends --chip NAME -o FILE` stores it)
    #[arg(long, value_name = "FILE")]
    pub offline_target: Option<PathBuf>,
    #[command(flatten)]
    pub search: Search,
    /// Tasks a day; 0: no limit [default: what the platform is known to allow]
    #[arg(long, value_name = "N")]
    pub daily: Option<u32>,
    /// Seconds after a lost answer until the platform's list of tasks is taken to be complete
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = within(0..=1_000_000_u64))]
    pub settle: u64,
    #[command(flatten)]
    pub store: Store,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// The batch's name, from all that was asked for: asked again, it is the same.
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
    let Search { basis, no_rewrite, seed, time_limit: _ } = args.search;
    let how = (args.as_is, args.compile_there, no_rewrite, seed, args.first);
    add("how", format!("{how:?} {basis:?} {:?}", args.target).as_bytes());
    if let Some(target) = args.target.as_deref().filter(|t| Path::new(t).is_file()) {
        add("target", &read(Path::new(target))?);
    }
    if let Some(path) = &args.offline_target {
        add("offline target", &read(path)?);
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
        for compiled in compiled_folder(folder)? {
            add("circuit", compiled.circuit.write().as_bytes());
        }
        stem = folder.file_stem();
    }
    let stem = stem.and_then(|s| s.to_str()).unwrap_or("batch");
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let stem: String = stem.chars().take(24).map(plain).collect();
    let digest = hex::encode(&hash.finalize()[..5]);
    Ok(format!("{stem}-{digest}"))
}

/// Makes the batch, after everything that can be wrong with it was looked for; else nothing is kept.
pub fn create(args: &SubmitArgs, id: &str) -> Result<()> {
    // What needs no network comes first.
    let (work, bytes) = work(args)?;
    let fixed = match (&args.qasm, &args.compiled) {
        (Some(path), _) => Some(vec![as_it_stands(path)?]),
        (_, Some(folder)) => Some(compiled_folder(folder)?),
        _ => None,
    };
    let name = |path: &Option<PathBuf>| path.as_deref().map(|p| p.display().to_string());
    let model = bytes.as_deref().map(Model::parse).transpose();
    let model = model.with_context(|| name(&args.model).unwrap_or_default())?;
    let target = args.target.as_deref().map(processor).transpose()?;
    let stored =
        args.offline_target.as_deref().map(|p| processor(&p.to_string_lossy())).transpose()?;
    let platform = args.access.connect(args.place.platform, args.place.url())?;
    platform.ready(&args.chip)?;
    match platform.limits(&args.chip) {
        Ok(limits) => limits.check(&args.chip, args.shots)?,
        // The platform looks at the shots, too.
        Err(_) if stored.is_some() => {}
        Err(why) => return Err(why).context(NO_INFORMATION),
    }
    let chip = chip(platform.as_ref(), &args.chip, stored)?;
    let target = target.as_ref().unwrap_or(&chip);
    let circuits: Vec<(usize, Compiled)> = match (fixed, &model, &work) {
        (Some(mut all), ..) => {
            if args.qasm.is_some() && !args.as_is && !args.compile_there {
                let source = Source::from_circuit(&all[0].circuit);
                let source = source.with_context(|| name(&args.qasm).unwrap_or_default())?;
                all = args.search.plan(source, target)?.compile(&[])?;
            }
            all.into_iter().map(|circuit| (0, circuit)).collect()
        }
        (None, Some(model), Work::Model { texts, .. }) => {
            let plan = args.search.plan(Source::from_model(model), target)?;
            let compiled = Progress::new(texts.len() < 10).during("compiling", texts.len(), |at| {
                let mut all = Vec::new();
                for (item, text) in texts.iter().enumerate() {
                    let inputs = inputs_of(model, &text.text);
                    let circuits = inputs.and_then(|inputs| plan.compile(&inputs));
                    let circuits = circuits.with_context(|| format!("line {}", text.line))?;
                    all.extend(circuits.into_iter().map(|circuit| (item, circuit)));
                    at(item + 1);
                }
                anyhow::Ok(all)
            });
            compiled.with_context(|| name(&args.data).unwrap_or_else(|| "text".into()))?
        }
        _ => bail!("give a model and a text, or --data, --qasm, --compiled or --resume"),
    };
    if !args.compile_there {
        for (_, compiled) in &circuits {
            native::check(&compiled.circuit, &chip).with_context(|| work_text(&work))?;
        }
    }
    // Read-out errors belong to the chip's own qubits.
    let jobs = jobs_of(circuits, (!args.compile_there).then_some(&chip));
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
    args.store.create(&batch, &jobs)
}

const NO_INFORMATION: &str =
    "the chip's live information cannot be had; --offline-target FILE goes on with a stored one";

/// The chip as it is now or, where the platform does not say, as it was stored.
fn chip(platform: &dyn Platform, name: &str, stored: Option<Processor>) -> Result<Processor> {
    let why = match live_device(platform, name) {
        Ok(device) => return Ok(device),
        Err(why) => why,
    };
    let Some(stored) = stored else { return Err(why.context(NO_INFORMATION)) };
    let date = stored.calibrated.as_deref().unwrap_or("none");
    note(format_args!("note: {why:#}; going on with the stored information, calibration: {date}"));
    Ok(Processor { name: name.into(), ..stored })
}

fn work(args: &SubmitArgs) -> Result<(Work, Option<Vec<u8>>)> {
    let Some(model) = &args.model else {
        let file = args.qasm.clone().or_else(|| args.compiled.clone());
        return Ok((Work::Circuit { file: file.unwrap_or_default() }, None));
    };
    let bytes = read(model)?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let texts = match (&args.data, &args.text) {
        (Some(path), _) => texts::read(path, &args.rows, args.first)?,
        (None, Some(text)) => vec![Text { line: 0, label: None, text: text.clone() }],
        (None, None) => bail!("give a text, or --data FILE"),
    };
    // Fetched from anywhere, the model is still found.
    let model = std::path::absolute(model).unwrap_or_else(|_| model.clone());
    Ok((Work::Model { model, sha256, texts }, Some(bytes)))
}

#[derive(Deserialize)]
struct Table {
    circuits: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    weight: f64,
    readouts: Vec<Readout>,
}

/// A circuit as it stands; each measured bit is an output. Bits that nothing writes are left out, since a
/// platform may answer with or without them.
fn as_it_stands(path: &Path) -> Result<Compiled> {
    let mut circuit = measured(path)?;
    let mut written: Vec<u8> = circuit.measures.iter().map(|m| m.1).collect();
    written.sort_unstable();
    for (_, bit) in &mut circuit.measures {
        *bit = written.partition_point(|other| other < bit) as u8;
    }
    circuit.bits = written.len();
    let output = |bit: usize| Readout { bits: vec![bit as u8], negated: false };
    let readouts = (0..circuit.bits).map(output).collect();
    Ok(Compiled { weight: 1.0, circuit, readouts })
}

fn measured(path: &Path) -> Result<Circuit> {
    let text = read_text(path)?;
    let circuit = circuit::read(&text).of_file(path)?;
    ensure!(
        !circuit.measures.is_empty(),
        "{}: measures nothing; add `measure q -> c;` for what is to be read",
        path.display()
    );
    Ok(circuit)
}

/// The circuits and the read-out table that `transpile -o` wrote.
fn compiled_folder(path: &Path) -> Result<Vec<Compiled>> {
    let table_path = path.join("readout.json");
    let table: Table = jobs::read(&table_path)?;
    let name = table_path.display();
    let total: f64 = table.circuits.iter().map(|c| c.weight).sum();
    ensure!((total - 1.0).abs() <= 1e-6, "{name}: the weights sum to {total}, not to 1");
    let outputs = table.circuits.first().map_or(0, |c| c.readouts.len());
    let mut all = Vec::new();
    for Entry { file, weight, readouts } in table.circuits {
        ensure!(
            Path::new(&file).file_name().is_some_and(|n| n == file.as_str()),
            "{name}: `{file}` is no file of this folder"
        );
        let circuit = measured(&path.join(&file))?;
        ensure!(
            circuit.measures.len() == circuit.bits,
            "{name}: `{file}` leaves classical bits unwritten; declare only those that it measures"
        );
        ensure!(readouts.len() == outputs, "{name}: `{file}` has another number of outputs");
        let most = circuit.bits;
        if let Some(bit) = readouts.iter().flat_map(|r| &r.bits).find(|&&b| b as usize >= most) {
            bail!("{name}: `{file}` has {most} bits; a read-out names c[{bit}]");
        }
        all.push(Compiled { weight, circuit, readouts });
    }
    Ok(all)
}

/// The jobs of a batch, each with a name that no other job anywhere has. A circuit comes with the number of
/// its text, from 0; `device` says how its qubits are misread, where they are the chip's own.
fn jobs_of(circuits: Vec<(usize, Compiled)>, device: Option<&Processor>) -> Vec<Job> {
    let batch = random_hex(10);
    let job = |(i, (item, compiled)): (usize, (usize, Compiled))| Job {
        version: VERSION,
        number: i + 1,
        name: format!("qdllm-{batch}-{:05}", i + 1),
        client_ref: uuid(),
        item,
        weight: compiled.weight,
        bits: compiled.circuit.bits,
        qasm: compiled.circuit.write(),
        bit_errors: device.and_then(|d| compiled.bit_errors(|q| d.bit_error(q))),
        readouts: compiled.readouts,
        state: State::Ready,
        earlier: Vec::new(),
    };
    circuits.into_iter().enumerate().map(job).collect()
}
