//! The command line: what there is to do.

#[cfg(feature = "teacher")]
use crate::commands::tune;
use crate::commands::{
    agreement, bench, classify, compile, controls, demo, distill, eval, export, inspect, teach,
};
use crate::reproduce;
use anyhow::Result;
use clap::{Parser, Subcommand};
use qdllm_host::cli::{CompletionsArgs, ManArgs};

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

/// The help of each is that of its arguments.
#[derive(Subcommand, Debug)]
pub enum Command {
    Demo(demo::DemoArgs),
    Teach(Box<teach::TeachArgs>),
    #[cfg(feature = "teacher")]
    Tune(tune::TuneArgs),
    #[command(visible_alias = "train")]
    Distill(Box<distill::DistillArgs>),
    #[command(visible_aliases = ["test", "evaluate"])]
    Eval(eval::EvalArgs),
    Controls(controls::ControlsArgs),
    Reproduce(Box<reproduce::ReproduceArgs>),
    #[command(visible_alias = "predict")]
    Classify(classify::ClassifyArgs),
    Compile(compile::CompileArgs),
    Export(export::ExportArgs),
    Agreement(agreement::AgreementArgs),
    Bench(bench::BenchArgs),
    Inspect(inspect::InspectArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
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
            Self::Export(args) => export::run(args),
            Self::Agreement(args) => agreement::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Completions(args) => args.run::<Cli>(),
            Self::Man(args) => args.run::<Cli>(),
        }
    }
}
