//! Reads what the tests need from a 32-bit little-endian ELF: symbols, and how much of it is loaded.

use anyhow::{Context, Result, ensure};
use object::read::elf::{ElfFile32, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSymbol as _, elf};
use std::path::Path;

/// Bytes of an image that a chip's flash must hold.
pub fn flash_bytes(file: &Path) -> Result<usize> {
    with(file, |image| {
        let header = image.elf_header();
        let segments = header.program_headers(LittleEndian, image.data())?;
        let loaded = segments.iter().filter(|s| s.p_type(LittleEndian) == elf::PT_LOAD);
        Ok(loaded.map(|segment| segment.p_filesz(LittleEndian) as usize).sum())
    })
}

/// Code that can panic links the panic machinery; an image of ours links none of it.
pub fn no_panics(file: &Path) -> Result<()> {
    with(file, |image| {
        let names: Vec<&str> = image.symbols().filter_map(|symbol| symbol.name().ok()).collect();
        ensure!(!names.is_empty(), "the image has no symbol table");
        let found: Vec<&str> =
            names.into_iter().filter(|name| name.contains("panicking")).collect();
        ensure!(found.is_empty(), "the image can panic, it has {}", found.join(", "));
        Ok(())
    })
}

fn with<T>(file: &Path, look: impl FnOnce(&ElfFile32<'_, LittleEndian>) -> Result<T>) -> Result<T> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let image = ElfFile32::<LittleEndian>::parse(&*bytes);
    look(&image.with_context(|| format!("{} is no 32-bit little-endian ELF", file.display()))?)
}
