//! `c`: builds the C library of `firmware/c` and runs its tests, on this machine and on emulated chips.

use crate::gate;
use crate::repo::Repo;
use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub struct Options {
    /// How many texts are compared on this machine; fewer on emulated chips
    #[arg(long, default_value_t = 40_000)]
    texts: u64,
    /// Chooses the texts and models made at random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let values = [("QDLLM_TEXTS", options.texts), ("QDLLM_SEED", options.seed)];
    gate::run_step(repo, "C library", &values.map(|(name, value)| (name, value.to_string())))
}
