//! What the programs of a host share: command lines, values of options, files, the terminal, errors of files, dates, hexadecimal, plots, and behind
//! features one HTTP client, the table of boards, and a reader of firmware images.
#![allow(missing_docs)]

#[cfg(feature = "boards")]
pub mod boards;
pub mod cli;
pub mod columns;
pub mod dates;
#[cfg(feature = "elf")]
pub mod elf;
pub mod errors;
pub mod files;
pub mod guard;
pub mod hex;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "rows")]
pub mod lines;
pub mod plots;
#[cfg(feature = "rows")]
pub mod rows;
#[cfg(feature = "http")]
pub mod secret;
pub mod terminal;
pub mod values;
