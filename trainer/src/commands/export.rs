//! `qdllm export`: a model as other programs take it up.

use crate::commands::print;
use crate::inference::{load, parse_for_text};
use anyhow::{Context, Result, ensure};
use clap::Args;
use qdllm_host::errors::wrong_use;
use qdllm_host::files;
use qdllm_runtime::Model;
use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::format::{Kind, OPTIONAL, write};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Write a model as a C array, for the C library in firmware/c
///
/// The model needs a compiled polynomial. The array is itself a model file, without what only hosts and people
/// read; beside it stand its limits and a number by name for each class.
///
/// Example:
///
///   qdllm compile model.qdm --backend polynomial --data texts.tsv --out small.qdm
///
///   qdllm export small.qdm --c model.h
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ExportArgs {
    /// The model file
    pub model: PathBuf,
    /// The header to write
    #[arg(long, value_name = "FILE")]
    pub c: PathBuf,
    /// What the array is called, and in capitals its limits [default: the header's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Report {
    name: String,
    bytes: usize,
    classes: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, bytes, classes } = self;
        writeln!(f, "array        {name}: {bytes} bytes, {classes} classes")
    }
}

pub fn run(args: &ExportArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    let (model, classes) = parse_for_text(&bytes, &args.model)?;
    ensure!(
        model.polynomial().is_some(),
        "{0}: carries no polynomial, the back end of the C library; run: qdllm compile {0} --backend polynomial --data TEXTS -o OUT",
        args.model.display()
    );
    let name = name(args)?;
    let array = shortened(&model);
    Model::parse(&array).context("internal error: the exported model would be refused")?;
    files::write(&args.c, header(&name, &array, &classes)?)?;
    print(&Report { name, bytes: array.len(), classes: classes.len() }, args.json)
}

/// The name given, or one made of the header's.
fn name(args: &ExportArgs) -> Result<String> {
    let stem =
        args.c.file_stem().map_or_else(String::new, |stem| identifier(&stem.to_string_lossy()));
    let name = args.name.clone().unwrap_or(if stem.trim_matches('_').is_empty() {
        "model".into()
    } else {
        stem
    });
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && identifier(&name) == name && name.to_uppercase() != name {
        return Ok(name);
    }
    let what = "is no name of a C array; give --name small letters, digits and _, a letter first";
    Err(wrong_use(format_args!("{name:?}: {what}")))
}

fn identifier(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The file without what the C library does not read; what every model needs stays, so that it remains one.
fn shortened(model: &Model<'_>) -> Vec<u8> {
    let read =
        |kind: Kind| (kind as u16) < OPTIONAL || matches!(kind, Kind::Polynomial | Kind::Shares);
    let kept = Kind::ALL.iter().filter(|&&kind| read(kind));
    write(&kept.filter_map(|&k| Some((k, model.container().get(k)?.to_vec()))).collect::<Vec<_>>())
}

/// What the library must be built with: settings and their least values.
fn needs(model: &Model<'_>) -> Vec<(&'static str, usize)> {
    let kinds = model.kinds().unwrap_or_default();
    let (front, rank) = match model.meta().front {
        FrontEnd::Compact { sizes, .. } => ("QDLLM_COMPACT", sizes.rank.into()),
        _ => ("QDLLM_WORDS", 0),
    };
    let wanted = [
        ("QDLLM_MAX_CLASSES", model.classes()),
        ("QDLLM_MAX_RANK", rank),
        (front, 1),
        ("QDLLM_UNICODE", kinds.unicode.into()),
        ("QDLLM_RUNS", (kinds.runs.longest > 0).into()),
    ];
    wanted.into_iter().filter(|(_, least)| *least > 0).collect()
}

fn header(name: &str, array: &[u8], classes: &[String]) -> Result<String> {
    let (upper, bytes, count) = (name.to_uppercase(), array.len(), classes.len());
    let mut text = format!(
        "/* A model for the qdllm C library, written by `qdllm export`. */\n#ifndef {upper}_H\n#define {upper}_H\n\n\
         #include \"qdllm.h\"\n\n#define {upper}_BYTES {bytes}\n#define {upper}_CLASSES {count}\n\n"
    );
    for (setting, least) in needs(&Model::parse(array)?) {
        writeln!(
            text,
            "#if {setting} < {least}\n#error \"{name}: build the library with -D{setting}={least}\"\n#endif"
        )?;
    }
    let mut taken = BTreeSet::from([
        format!("{upper}_BYTES"),
        format!("{upper}_CLASSES"),
        format!("{upper}_H"),
    ]);
    writeln!(text, "\nenum {{")?;
    for (number, label) in classes.iter().enumerate() {
        let mut constant = format!("{upper}_{}", identifier(label).to_uppercase());
        if !taken.insert(constant.clone()) {
            constant = format!("{constant}_{number}");
            ensure!(
                taken.insert(constant.clone()),
                "the classes' names are too much alike for C: {label}"
            );
        }
        // Neither end of a comment is a part of one.
        let label = label.replace("*/", "* /").replace("/*", "/ *");
        writeln!(text, "    {constant} = {number}, /* {label} */")?;
    }
    writeln!(text, "}};\n\nstatic const uint8_t {name}[{upper}_BYTES] QDLLM_FLASH = {{")?;
    for row in array.chunks(20) {
        let numbers: Vec<String> = row.iter().map(u8::to_string).collect();
        writeln!(text, "    {},", numbers.join(", "))?;
    }
    writeln!(text, "}};\n\n#endif")?;
    Ok(text)
}
