//! `qdllm-hw keygen`: a key pair for model signatures.

use crate::keys;
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

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
        secret_file: &'a PathBuf,
        public_file: &'a PathBuf,
        public: String,
    }
    let (public_file, public) = keys::generate(&args.file)?;
    let public = qdllm_host::hex::encode(public);
    if args.json {
        let pair = Pair { secret_file: &args.file, public_file: &public_file, public };
        println!("{}", serde_json::to_string_pretty(&pair)?);
        return Ok(());
    }
    println!("secret key  {} (keep it where no one else reads it)", args.file.display());
    println!("public key  {} (build it into the firmware)", public_file.display());
    println!("            {public}");
    Ok(())
}
