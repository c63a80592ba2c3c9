//! Teachers on tiny random checkpoints that the tests write themselves, and on real weights where there are any.
#![cfg(feature = "teacher")]

mod cache;
mod llama;
mod real;
mod reference;
mod sentence;
mod teach;
mod tiny;
