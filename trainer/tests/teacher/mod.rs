//! Teachers on tiny random checkpoints that the tests write themselves, and on real weights where there are any.
#![cfg(feature = "teacher")]

mod cache;
mod families;
mod features;
mod folders;
#[cfg(feature = "hub")]
mod hub;
mod llama;
mod lora;
mod real;
mod reference;
mod sentence;
mod teach;
mod tiny;
mod vectors;
