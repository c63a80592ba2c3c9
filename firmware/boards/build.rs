//! Hands the linker the board's memory map: the folder's memory.x, or the one that its HAL crate brings; and, with the
//! feature `signing`, the program the public key of the file that `QDLLM_KEY` names.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    if env::var_os("CARGO_FEATURE_SIGNING").is_some() {
        println!("cargo:rustc-env=QDLLM_PUBLIC_KEY={}", public_key()?);
    }
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

/// The digits of a public key as `qdllm-hw keygen` writes it, in its file's second line. Without one the build ends: a
/// board that is thought to be locked must not be open.
fn public_key() -> Result<String, Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=QDLLM_KEY");
    let file = env::var("QDLLM_KEY").map_err(|_| {
        "the feature `signing` needs a public key: make one with `qdllm-hw keygen release.key`, then set \
         QDLLM_KEY to the whole path of release.key.pub"
    })?;
    println!("cargo:rerun-if-changed={file}");
    let text = fs::read_to_string(&file).map_err(|error| format!("QDLLM_KEY={file}: {error}"))?;
    let is_public = text.starts_with("qdllm signing key, public");
    let digits = text.lines().nth(1).filter(|_| is_public).unwrap_or_default().trim();
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits.to_owned());
    }
    Err(format!(
        "QDLLM_KEY={file}: is no public key of `qdllm-hw keygen`; give the file that ends in .pub"
    )
    .into())
}
