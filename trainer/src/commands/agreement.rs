//! `qdllm agreement`: every back end of a model file compared with the statevector.

use crate::commands::eval::read_labelled;
use crate::commands::{load, takes_text};
use crate::compile::agreement::{Agreement, Seen};
use crate::compile::{circuit_of, evaluate};
use crate::data::BadRows;
use crate::gradient::batch::Batch;
use anyhow::{Context, Result};
use clap::Args;
use qdllm_runtime::Model;
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
    /// Labelled texts: .tsv, .csv or .jsonl
    #[arg(long)]
    pub data: PathBuf,
    /// What to do with bad rows
    #[arg(long, default_value = "refuse")]
    pub bad_rows: BadRows,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// One back end.
#[derive(Serialize)]
struct Row {
    backend: &'static str,
    texts: usize,
    different: usize,
    agreement: f64,
    largest_logit_error: f32,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, a label is unknown to the model, or there are no texts.
pub fn run(args: &AgreementArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    let model = Model::parse(&bytes).with_context(|| args.model.display().to_string())?;
    takes_text(&model, &args.model)?;
    let classes: Vec<String> = (0..model.classes()).map(|c| model.label(c).to_owned()).collect();
    let (texts, _) = read_labelled(&args.data, args.bad_rows, &classes)?;
    anyhow::ensure!(!texts.is_empty(), "{}: no texts to compare on", args.data.display());
    let batch = Batch::new(&circuit_of(model.program()), &[]);
    let seen = Seen::new(&model, &batch, texts.iter())?;
    let mut rows = vec![row(
        Kind::StatevectorI16,
        &seen,
        seen.compare(|i| evaluate::statevector_i16(&model, &seen, i)),
    )];
    if let Some(train) = model.tensor_train() {
        let agreement = seen.compare(|i| evaluate::train(&train, &seen, i));
        rows.push(row(Kind::TensorTrain, &seen, agreement));
    }
    if let Some(polynomial) = model.polynomial() {
        let agreement = seen.compare(|i| evaluate::polynomial(&polynomial, &seen, i));
        rows.push(row(Kind::Polynomial, &seen, agreement));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!(
        "{:16} {:>8} {:>10} {:>10} {:>20}",
        "back end", "texts", "different", "agreement", "largest logit error"
    );
    for row in rows {
        println!(
            "{:16} {:>8} {:>10} {:>10.4} {:>20.4}",
            row.backend, row.texts, row.different, row.agreement, row.largest_logit_error
        );
    }
    Ok(())
}

fn row(kind: Kind, seen: &Seen, agreement: Agreement) -> Row {
    Row {
        backend: kind.name(),
        texts: seen.len(),
        different: ((1.0 - agreement.share) * seen.len() as f64).round() as usize,
        agreement: agreement.share,
        largest_logit_error: agreement.largest_error,
    }
}
