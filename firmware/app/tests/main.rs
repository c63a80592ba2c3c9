//! The app's tests, in one binary.

mod common;
mod console;
mod damage;
mod frames;
mod power_cut;
mod repeated_updates;
mod signing;
