//! `qdllm-hw keygen` and `sign`: key pairs, and models signed or checked with them.

use crate::commands::print;
use crate::keys;
use anyhow::Result;
use clap::Args;
use qdllm_host::errors::wrong_use;
use qdllm_host::terminal::note;
use qdllm_host::{files, hex};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Make a key pair for signing models
///
/// Writes the secret key to FILE, readable by you only, and the public key to FILE.pub. A firmware image
/// built with the public key takes only models that are signed with the secret one.
///
/// Example:
///   qdllm-hw keygen release.key
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct KeygenArgs {
    /// File for the secret key
    pub file: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn keygen(args: &KeygenArgs) -> Result<()> {
    #[derive(Serialize)]
    struct Pair<'a> {
        secret_file: &'a Path,
        public_file: &'a Path,
        public: &'a str,
    }
    let secret_file = &args.file;
    let (public_file, public) = &keys::generate(secret_file)?;
    let public = &hex::encode(public);
    print(
        args.json,
        &Pair { secret_file, public_file, public },
        format_args!(
            "secret key  {} (keep it where no one else reads it)\n\
             public key  {} (build it into the firmware)\n            {public}",
            secret_file.display(),
            public_file.display()
        ),
    )
}

/// Sign a model for boards with a public key
///
/// The signature becomes the file's last section. A board refuses a model whose version is below the
/// lowest one that it was told to take: --minimum of the model that it has confirmed. It also
/// refuses to go back to a model whose own --minimum is lower: keeping --minimum keeps the way back.
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
    #[arg(short, long, alias = "output", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only check the signature, against this public key's file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "version", "minimum", "out"])]
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
    if minimum > version {
        return Err(wrong_use(format!(
            "--minimum {minimum} is above --version {version}: the board would refuse this very model"
        )));
    }
    let signed = keys::sign(&args.model, &file, &keys::read_secret(key)?, version, minimum)?;
    if minimum == version && version > 0 {
        note(
            "note: a board that has used this model cannot go back to an older one (number 153): give it the \
             --minimum of the model before to keep the way back open",
        );
    }
    match &args.out {
        Some(out) => files::write(out, &signed)?,
        None => files::write_back(&args.model, &signed)?,
    }
    print(args.out.as_ref().unwrap_or(&args.model), version, minimum, "signed")
}
