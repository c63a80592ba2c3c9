//! The command line: one command a file, each with its arguments and a `run`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::fmt::Display;

pub mod agreement;
pub mod bench;
pub mod classify;
pub mod compile;
pub mod controls;
pub mod demo;
pub mod distill;
pub mod eval;
pub mod inspect;
pub mod reproduce;
pub mod teach;
#[cfg(feature = "teacher")]
pub mod tune;

/// Distils a language model into a text classifier of a few kilobytes
///
/// The student's heart is an 11-qubit circuit (arXiv 2505.13205); the model file runs on
/// microcontrollers, on this machine and on a quantum processor.
///
/// Exit code: 0 done, 1 the work failed, 2 wrong use.
#[derive(Parser, Debug)]
#[command(name = "qdllm", version, verbatim_doc_comment)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Distil the shipped smart-home commands and show what came out
    Demo(demo::DemoArgs),
    /// Ask a language model for soft labels
    Teach(Box<teach::TeachArgs>),
    /// Fine-tune a language model on labelled texts (LoRA and a head), for `teach --adapter`
    #[cfg(feature = "teacher")]
    Tune(tune::TuneArgs),
    /// Train a student from labels, soft labels, or both
    Distill(Box<distill::DistillArgs>),
    /// Judge a model on labelled texts, beside a linear control
    Eval(eval::EvalArgs),
    /// Train and judge two classical baselines: TF-IDF with logistic regression, fastText
    Controls(controls::ControlsArgs),
    /// Reproduce the paper's tasks: students, teachers and controls by seed and share of labels
    Reproduce(Box<reproduce::ReproduceArgs>),
    /// Classify texts
    Classify(classify::ClassifyArgs),
    /// Add a compiled back end to a model: smaller, measured against the exact circuit
    Compile(compile::CompileArgs),
    /// Compare the back ends of a model with the exact circuit
    Agreement(agreement::AgreementArgs),
    /// Measure inference and gradient on this machine
    Bench(bench::BenchArgs),
    /// Show what a model file holds
    Inspect(inspect::InspectArgs),
}

impl Command {
    pub fn run(&self) -> Result<()> {
        match self {
            Self::Demo(args) => demo::run(args),
            Self::Teach(args) => teach::run(args),
            #[cfg(feature = "teacher")]
            Self::Tune(args) => tune::run(args),
            Self::Distill(args) => distill::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Controls(args) => controls::run(args),
            Self::Reproduce(args) => reproduce::run(args),
            Self::Classify(args) => classify::run(args),
            Self::Compile(args) => compile::run(args),
            Self::Agreement(args) => agreement::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Inspect(args) => inspect::run(args),
        }
    }
}

/// Prints a result, as indented JSON or as its lines.
fn print(result: &(impl Serialize + Display), json: bool) -> Result<()> {
    match json {
        true => println!("{}", serde_json::to_string_pretty(result)?),
        false => print!("{result}"),
    }
    Ok(())
}

/// Prints a result, as JSON in one line or as its lines.
fn print_in_line(result: &(impl Serialize + Display), json: bool) -> Result<()> {
    match json {
        true => println!("{}", serde_json::to_string(result)?),
        false => print!("{result}"),
    }
    Ok(())
}
