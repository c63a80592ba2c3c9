//! Tests across the crates, in one program.

mod backends;
mod batch;
mod board;
mod board_command;
mod board_folders;
mod board_serial;
mod board_speed;
mod circuit;
mod emulated;
mod format;
mod format_doc;
mod gradients;
mod imports;
mod integers;
mod peers;
mod qasm;
mod trains;
