//! Tests across the crates, in one program.

mod backends;
mod board;
mod board_speed;
mod c_library;
mod circuit;
mod emulated;
mod format;
mod gradients;
mod imports;
mod qasm;
mod qasm_language;
mod repository;
mod trains;
