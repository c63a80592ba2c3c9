//! Hands the linker the board's memory map: the folder's memory.x, or the one that its HAL crate brings.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    if !Path::new("memory.x").exists() {
        println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
        return Ok(());
    }
    println!("cargo:rerun-if-changed=memory.x");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?);
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    // Without page alignment of segments: there are no pages.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
