//! `qdllm agreement`: every back end of a model file compared with the statevector.

use crate::commands::print;
use crate::compile::agreement::{Agreement, CircuitInputs};
use crate::data::RowOptions;
use crate::data::labelled::read_labelled;
use crate::inference::{load, parse_for_text};
use crate::options::OverDefaults;
use anyhow::Result;
use clap::Args;
use qdllm_runtime::format::Kind;
use serde::Serialize;
use std::path::PathBuf;

/// Compare the back ends of a model with the exact circuit
///
/// Decisions and logits of every back end that the file carries, and of the circuit in 16-bit
/// integers, on texts that compiled none of them.
#[derive(Args, Debug)]
pub struct AgreementArgs {
    /// The model file
    pub model: PathBuf,
    /// Labelled texts: .tsv, .csv, .jsonl or fastText's .txt; may be given again
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Row {
    backend: &'static str,
    texts: usize,
    different: usize,
    agreement: f64,
    largest_logit_error: f32,
}

#[derive(Serialize)]
struct Rows(Vec<Row>);

pub fn run(args: &AgreementArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    let (model, classes) = parse_for_text(&bytes, &args.model)?;
    let (texts, _) = read_labelled(&args.data, &*args.rows, &classes)?;
    let seen = CircuitInputs::new(&model, texts.iter())?;
    let row = |kind: Kind, agreement: Agreement| Row {
        backend: kind.name(),
        texts: seen.len(),
        different: ((1.0 - agreement.share) * seen.len() as f64).round() as usize,
        agreement: agreement.share,
        largest_logit_error: agreement.largest_error,
    };
    let trains = model.tensor_train().map(|train| seen.tensor_train(&train));
    let sums = model.polynomial().map(|polynomial| seen.polynomial(&polynomial));
    let all = [
        (Kind::StatevectorI16, Some(seen.statevector_i16(&model))),
        (Kind::TensorTrain, trains),
        (Kind::Polynomial, sums),
    ];
    let rows = all.into_iter().filter_map(|(kind, found)| Some(row(kind, found?))).collect();
    print(&Rows(rows), args.json)
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:16} {:>8} {:>10} {:>10} {:>20}",
            "back end", "texts", "different", "agreement", "largest logit error"
        )?;
        self.0.iter().try_for_each(|row| {
            writeln!(
                f,
                "{:16} {:>8} {:>10} {:>10.4} {:>20.4}",
                row.backend, row.texts, row.different, row.agreement, row.largest_logit_error
            )
        })
    }
}
