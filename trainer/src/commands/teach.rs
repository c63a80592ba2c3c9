//! `qdllm teach`: a language model gives every text of some files a soft label.

#[cfg(feature = "teacher")]
pub mod local;
#[cfg(feature = "teacher")]
pub mod place;
#[cfg(feature = "endpoint")]
pub mod remote;
mod report;
pub(crate) mod texts;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use self::report::Outcome;
use self::report::Speed;
use self::texts::Texts;
use crate::data::BadRows;
use crate::data::classes::Classes;
use crate::data::soft::SoftWriter;
use crate::metrics::Report;
use crate::numeric::softmax;
use crate::teacher::Teacher;
use crate::teacher::committee::{Committee, Member, Options};
use crate::teacher::probe::Findings;

/// Runs a language model over texts and writes soft labels.
///
/// The model is a local file (--model) or stands behind an OpenAI-compatible address (--endpoint).
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("source")))]
#[cfg_attr(feature = "teacher", command(after_long_help = local::MODELS))]
pub struct TeachArgs {
    /// Local models
    #[cfg(feature = "teacher")]
    #[command(flatten)]
    pub local: local::LocalArgs,
    /// Models behind an endpoint
    #[cfg(feature = "endpoint")]
    #[command(flatten)]
    pub remote: remote::EndpointArgs,
    /// Addresses of servers with the same model, commas between them: http(s)://host:port, /v1 is added
    #[cfg(feature = "endpoint")]
    #[arg(long, value_delimiter = ',', value_name = "URL,URL,..", group = "source")]
    pub endpoint: Vec<String>,
    /// Average the teacher with a TF-IDF regression fitted on the labels; alone, that regression is the teacher
    #[arg(long)]
    pub tfidf: bool,
    /// Labelled texts (.tsv, .csv, .jsonl); probes and --tfidf need them
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Keep this many labels a class and set the others aside
    #[arg(long, value_name = "N")]
    pub labels_per_class: Option<usize>,
    /// Which labels are kept
    #[arg(long, value_name = "D", default_value_t = 0)]
    pub label_draw: u64,
    /// Texts without labels; may be given again
    #[arg(long, value_name = "FILE")]
    pub unlabelled: Vec<PathBuf>,
    /// Set this share of the labels aside and judge the teacher on them
    #[arg(long, value_name = "SHARE", conflicts_with = "test")]
    pub heldback: Option<f64>,
    /// Labelled texts to judge the teacher on; they get no soft label
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// The soft label file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Folder for features and answers, reused by later runs [default: teacher-cache beside the output]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// What the model reads; {text} stands for the text, {classes} for their list in a chat
    #[arg(long, value_name = "TEMPLATE")]
    pub prompt: Option<String>,
    /// Class names, when the data does not name them all, or a file that describes them (.toml)
    #[arg(long, value_delimiter = ',', value_name = "C,C,..")]
    pub classes: Vec<String>,
    /// Words for the classes in their order, | between phrases of one class [default: the names, _ as space]
    #[arg(long, value_delimiter = ',', value_name = "W,W,..")]
    pub class_words: Vec<String>,
    /// What to do with a row that cannot be read
    #[arg(long, value_enum, default_value = "refuse")]
    pub bad_rows: BadRows,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Rounds in which a committee teaches its regression.
const ROUNDS: usize = 2;

const SOURCES: &str = if cfg!(feature = "teacher") {
    "--model PATH, --endpoint URL or --tfidf"
} else {
    "--endpoint URL or --tfidf (local models need a build with `--features teacher`)"
};

impl TeachArgs {
    fn has_model(&self) -> bool {
        #[cfg(feature = "endpoint")]
        if !self.endpoint.is_empty() {
            return true;
        }
        #[cfg(feature = "teacher")]
        if !self.local.model.is_empty() {
            return true;
        }
        false
    }

    /// The classes that are named on the command line or in a file; `None` without either.
    fn named(&self) -> Result<Option<Classes>> {
        match self.classes.as_slice() {
            [] => Ok(None),
            [file] if file.to_ascii_lowercase().ends_with(".toml") => {
                Ok(Some(Classes::read(Path::new(file))?))
            }
            names => Ok(Some(Classes::named(names, &self.class_words)?)),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When an input is refused or a model fails; the cache keeps what was computed, so the same command goes on there.
pub fn run(args: &TeachArgs) -> Result<()> {
    label(args)?.print(args.json)
}

/// Asks the teacher and writes the soft labels.
///
/// # Errors
/// As [`run`].
pub fn label(args: &TeachArgs) -> Result<Outcome> {
    if args.heldback.is_some_and(|share| !(0.0..1.0).contains(&share)) {
        bail!("--heldback is a share of the labels: at least 0 and below 1");
    }
    let texts = Texts::read(args)?;
    if texts.to_label().is_empty() {
        bail!("no text to label: give --data or --unlabelled");
    }
    let (mut teacher, findings, speeds) = match (args.tfidf, args.has_model()) {
        (false, true) => ask(args, &texts)?,
        (true, true) => committee(args, &texts, Some(ask(args, &texts)?))?,
        (true, false) => committee(args, &texts, None)?,
        (false, false) => bail!("no teacher is named: give {SOURCES}"),
    };
    let judged = |rows: &[(String, usize)], teacher: &mut dyn Teacher| -> Result<Option<Report>> {
        if rows.is_empty() {
            return Ok(None);
        }
        let of: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
        let truth: Vec<usize> = rows.iter().map(|(_, class)| *class).collect();
        let probabilities: Vec<Vec<f32>> =
            teacher.logits(&of)?.iter().map(|row| softmax(row, 1.0)).collect();
        Ok(Some(Report::from(&teacher.about().classes, &truth, &probabilities)))
    };
    let unfitted = if findings.is_some() { &[][..] } else { &texts.known };
    let outcome = Outcome {
        test: judged(&texts.test, teacher.as_mut())?,
        set_aside: judged(&texts.hidden, teacher.as_mut())?,
        labelled: judged(unfitted, teacher.as_mut())?,
        info: teacher.about().info(command()),
        texts: texts.to_label().len(),
        labels: texts.known.len(),
        skipped_rows: texts.skipped,
        findings,
        speeds,
    };
    write(args, &texts, teacher.as_mut(), &outcome)?;
    eprintln!("wrote {} ({} texts)", args.out.display(), outcome.texts);
    Ok(outcome)
}

/// A teacher that has been asked, what fitting found, and how fast it was.
type Taught = (Box<dyn Teacher>, Option<Findings>, Vec<Speed>);

fn ask(args: &TeachArgs, texts: &Texts) -> Result<Taught> {
    #[cfg(feature = "endpoint")]
    if !args.endpoint.is_empty() {
        return remote::ask(args, texts);
    }
    #[cfg(feature = "teacher")]
    {
        local::ask(args, texts)
    }
    #[cfg(not(feature = "teacher"))]
    {
        let _ = (args, texts);
        bail!("no teacher is named: give {SOURCES}")
    }
}

/// Joins a teacher with a regression on words, or takes that alone.
fn committee(args: &TeachArgs, texts: &Texts, taught: Option<Taught>) -> Result<Taught> {
    if args.data.is_none() {
        bail!("--tfidf learns from labelled texts: give --data");
    }
    let labelled: Vec<&str> = texts.known.iter().map(|(text, _)| text.as_str()).collect();
    let labels: Vec<usize> = texts.known.iter().map(|(_, class)| *class).collect();
    let own = texts.hidden.iter().map(|(text, _)| text.as_str());
    let pool: Vec<&str> = own.chain(texts.unlabelled.iter().map(String::as_str)).collect();
    let (mut cells, mut speeds) = (Findings::default(), Vec::new());
    let model = match taught {
        None => None,
        Some((mut teacher, found, fast)) => {
            speeds = fast;
            // Probes have judged their labelled texts held out; a teacher that saw no label may simply be asked.
            let held_out = match found {
                Some(found) => {
                    cells = found;
                    std::mem::take(&mut cells.labelled)
                }
                None => teacher.logits(&labelled)?,
            };
            Some(Member { teacher, held_out })
        }
    };
    let options = Options { rounds: ROUNDS, seed: 0 };
    let (teacher, found) =
        Committee::fit(model, (&labelled, &labels), &pool, &texts.classes, options)?;
    let findings =
        Findings { cells: cells.cells, finalists: cells.finalists, blends: cells.blends, ..found };
    Ok((Box::new(teacher), Some(findings), speeds))
}

/// Runs a teacher over every text of a run, with progress.
#[cfg(any(feature = "teacher", feature = "endpoint"))]
fn prepare(teacher: &mut dyn Teacher, texts: &Texts) -> Result<Vec<Speed>> {
    let every: Vec<&str> =
        texts.to_label().into_iter().chain(texts.test.iter().map(|(t, _)| t.as_str())).collect();
    let name = teacher.about().models.iter().map(|m| m.name.as_str()).collect::<String>();
    let mut progress = qdllm_host::terminal::Progress::new(false);
    progress.stage(&name, every.len() as u64);
    let work = teacher.prepare(&every, &mut |done, _| progress.at(done as u64));
    progress.done();
    Ok(work?.into_iter().map(|work| Speed { model: name.clone(), work }).collect())
}

/// Writes beside the output and renames, so that an unfinished file never bears its name.
fn write(
    args: &TeachArgs,
    texts: &Texts,
    teacher: &mut dyn Teacher,
    outcome: &Outcome,
) -> Result<()> {
    let mut partial = args.out.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // What an earlier run of other labels or models left behind is of no use.
    let mut writer = match SoftWriter::open(&partial, &teacher.about().classes, &outcome.info) {
        Ok(writer) => writer,
        Err(_) if partial.is_file() => {
            std::fs::remove_file(&partial).with_context(|| partial.display().to_string())?;
            SoftWriter::open(&partial, &teacher.about().classes, &outcome.info)?
        }
        Err(e) => return Err(e.into()),
    };
    let known: &[Vec<f32>] = outcome.findings.as_ref().map_or(&[], |f| &f.labelled);
    for ((text, _), logits) in texts.known.iter().zip(known) {
        writer.append(text, logits)?;
    }
    for chunk in texts.to_label().chunks(1024) {
        let rest: Vec<&str> = chunk.iter().copied().filter(|text| !writer.contains(text)).collect();
        for (text, logits) in rest.iter().zip(teacher.logits(&rest)?) {
            writer.append(text, &logits)?;
        }
    }
    writer.flush()?;
    std::fs::rename(&partial, &args.out).with_context(|| args.out.display().to_string())
}

/// The command line, with absolute paths cut to their last part: where a model lay says nothing to others.
fn command() -> String {
    let short = |arg: String| match std::path::Path::new(&arg) {
        path if path.is_absolute() => {
            path.file_name().map_or(arg.clone(), |n| n.to_string_lossy().into_owned())
        }
        _ => arg,
    };
    let quote = |arg: String| match arg.contains([' ', '"', '{']) {
        true => format!("'{arg}'"),
        false => arg,
    };
    let args: Vec<String> = std::env::args().skip(1).map(|arg| quote(short(arg))).collect();
    format!("qdllm {}", args.join(" "))
}

#[cfg(any(feature = "teacher", feature = "endpoint"))]
fn cache(args: &TeachArgs) -> PathBuf {
    let beside =
        || args.out.parent().map_or_else(PathBuf::new, PathBuf::from).join("teacher-cache");
    args.cache.clone().unwrap_or_else(beside)
}
