//! Teachers on tiny random checkpoints that the tests write themselves, and on real weights where there are any.
#![cfg(feature = "teacher")]

mod families;
mod features;
mod folders;
#[cfg(feature = "hub")]
mod hub;
mod llama;
mod lora;
mod teach;
mod tiny;
mod tokens;
