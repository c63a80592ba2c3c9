//! `qdllm-hw token`: a token into the system's keyring, or out of it.

use crate::commands::line;
use crate::quafu::Kind;
use crate::quafu::credential::{MASK, forget, store};
use anyhow::{Context, Result};
use clap::Args;
use qdllm_host::secret::Secret;
use qdllm_host::terminal::note;
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};

/// Keep a platform's token in the system's keyring
///
/// Reads the token from standard input, so that it stands on no command line. On Linux the kernel keeps
/// it until the machine is switched off or the session's keyring ends; macOS and Windows keep it in
/// their own stores.
///
/// Examples:
///   qdllm-hw token --platform sqc < file-with-the-token
///   qdllm-hw token --platform sqc --forget
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct TokenArgs {
    /// The platform that issued it
    #[arg(long, value_enum, default_value = "sqc")]
    pub platform: Kind,
    /// Remove it instead
    #[arg(long)]
    pub forget: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &TokenArgs) -> Result<()> {
    let name = args.platform.name();
    let done = if args.forget {
        if forget(args.platform)? { "forgotten" } else { "not there" }
    } else {
        if std::io::stdin().is_terminal() {
            note(format_args!("paste the token for {name}, then end the line and press Ctrl-D"));
        }
        let mut text = String::new();
        std::io::stdin().take(64 * 1024).read_to_string(&mut text).context("standard input")?;
        let token = Secret::new(text, MASK).context("what was read from standard input")?;
        store(args.platform, &token)?;
        "stored"
    };
    let value = json!({"platform": name, "token": done});
    line(args.json, &value, format_args!("token for {name}: {done}"))
}
