//! `qdllm-hw keygen`: a key pair for model signatures.

use crate::commands::print;
use crate::keys;
use anyhow::Result;
use clap::Args;
use qdllm_host::hex;
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

pub fn run(args: &KeygenArgs) -> Result<()> {
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
