//! `qdllm-hw sign`: signs a model file, or checks a signature.

use crate::commands::print;
use crate::keys;
use anyhow::Result;
use clap::Args;
use qdllm_host::files;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Sign a model for boards with a public key
///
/// The signature becomes the file's last section. A board refuses a model whose version is below the
/// lowest one that it was told to take: --minimum of the model that it has confirmed.
///
/// Examples:
///   qdllm-hw sign model.qdm --key release.key --version 7 -o signed.qdm
///   qdllm-hw sign signed.qdm --check release.key.pub
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct SignArgs {
    /// The model file (.qdm)
    pub model: PathBuf,
    /// The secret key's file
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    pub key: Option<PathBuf>,
    /// The model's version; a greater one is newer
    #[arg(long, value_name = "N", required_unless_present = "check")]
    pub version: Option<u32>,
    /// The lowest version that a board takes once it uses this model [default: the version]
    #[arg(long, value_name = "N")]
    pub minimum: Option<u32>,
    /// File for the signed model [default: the model's own]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only check the signature, against this public key's file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "version", "minimum", "output"])]
    pub check: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &SignArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Signed<'a> {
        file: &'a Path,
        version: u32,
        minimum: u32,
    }
    let print = |file: &Path, version, minimum, what: &str| {
        let words = format!("{}: {what}, version {version}, lowest {minimum}", file.display());
        print(args.json, &Signed { file, version, minimum }, words)
    };
    let file = files::read(&args.model)?;
    if let Some(public) = &args.check {
        let (version, minimum) = keys::verify(&args.model, &file, &keys::read_public(public)?)?;
        return print(&args.model, version, minimum, "the signature holds");
    }
    let (Some(key), Some(version)) = (&args.key, args.version) else {
        anyhow::bail!("give --key and --version, or --check");
    };
    let minimum = args.minimum.unwrap_or(version);
    anyhow::ensure!(
        minimum <= version,
        "--minimum {minimum} is above --version {version}: the board would refuse this very model"
    );
    let signed = keys::sign(&args.model, &file, &keys::read_secret(key)?, version, minimum)?;
    let output = args.output.as_ref().unwrap_or(&args.model);
    files::write(output, &signed)?;
    print(output, version, minimum, "signed")
}
