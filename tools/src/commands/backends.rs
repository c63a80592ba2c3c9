//! `qdllm-hw backends`: chips of a platform, their queues, and their calibration.

use crate::commands::{Access, Where, device_of, line, print};
use crate::quafu::Backend;
use anyhow::Result;
use clap::Args;
use qdllm_host::files;
use qdllm_host::terminal::{note, say};
use serde_json::json;
use std::path::PathBuf;

/// List chips and queues, or fetch a chip's information
///
/// The information holds couplings and calibration; `transpile --target FILE` and `simulate` read it.
///
/// Examples:
///   qdllm-hw backends
///   qdllm-hw backends --chip Baihua -o baihua-today.json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct BackendsArgs {
    /// Fetch this chip's information instead
    #[arg(long, value_name = "NAME")]
    pub chip: Option<String>,
    /// Write it to this file
    #[arg(short, long, alias = "output", value_name = "FILE", requires = "chip")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub access: Access,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &BackendsArgs) -> Result<()> {
    let platform = args.access.connect(args.place.platform, args.place.url())?;
    if let Some(chip) = &args.chip {
        let info = platform.chip(chip)?;
        if let Err(why) = device_of(&info, chip) {
            note(format_args!("note: {why:#}"));
        }
        let Some(path) = &args.out else { return say(format_args!("{info:#}")) };
        files::write(path, format!("{info:#}\n"))?;
        return line(args.json, &json!({"chip": chip, "file": path}), path.display());
    }
    let all = platform.backends()?;
    let row = |Backend { name, status, queue, qubits, .. }: &Backend| {
        let queue = queue.map_or(String::new(), |n| format!("  {n} in the queue"));
        let qubits = qubits.map_or(String::new(), |n| format!("  {n} qubits"));
        format!("{name:20}  {status}{queue}{qubits}")
    };
    print(args.json, &all, all.iter().map(row).collect::<Vec<_>>().join("\n"))
}
