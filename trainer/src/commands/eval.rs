//! `qdllm eval`: a model judged on labelled texts, beside a linear control of the same size.

use crate::commands::print;
use crate::data::RowOptions;
use crate::evaluation::{evaluate, evaluate_vectors};
use crate::options::{Config, OverDefaults};
use crate::student::run::beside;
use anyhow::{Result, bail};
use clap::Args;
use qdllm_host::errors::wrong_use;
use std::path::PathBuf;

/// Judge a model on labelled texts
///
/// Beside the student stands a linear control of the same size, trained with the same settings on
/// the same texts (read from `<model>.toml`), its head reading the pooled features without a circuit.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model file
    pub model: PathBuf,
    /// Labelled texts that were not trained on: .tsv, .csv, .jsonl or fastText's .txt; may be given again
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// Vectors of the texts, for a model that takes vectors; may be given again
    #[arg(long, value_name = "FILE")]
    pub vectors: Vec<PathBuf>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// Leave the control out
    #[arg(long)]
    pub no_control: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &EvalArgs) -> Result<()> {
    let EvalArgs { model, data, vectors, json, .. } = args;
    if !vectors.is_empty() {
        let [data] = &data[..] else {
            return Err(wrong_use("--vectors belong to one --data file"));
        };
        return print(&evaluate_vectors(model, data, vectors, &args.rows)?, *json);
    }
    let settings = beside(model, ".toml");
    let config = match (args.no_control, settings.exists()) {
        (true, _) => None,
        (false, true) => Some(Config::read(&settings)?),
        (false, false) => bail!(
            "{}: not found; the linear control is trained with the model's settings. Give --no-control to leave it out",
            settings.display()
        ),
    };
    print(&evaluate(model, data, &*args.rows, config.as_ref(), *json)?, *json)
}
