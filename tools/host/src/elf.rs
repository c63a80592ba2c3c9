//! What programmers and tests need of a firmware's ELF file: the bytes that are loaded, and its symbols.

use object::elf::{EM_ARM, EM_RISCV, FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile32, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSymbol as _};

const CUT: &str = "the file is cut short";

/// Physical address and bytes of every segment that has bytes in the file.
pub fn segments(file: &[u8]) -> Result<Vec<(u32, &[u8])>, &'static str> {
    if !file.starts_with(b"\x7fELF\x01\x01") {
        return Err("it is no 32-bit little-endian ELF file");
    }
    let header = FileHeader32::<LittleEndian>::parse(file).map_err(|_| CUT)?;
    let headers = header.program_headers(LittleEndian, file).map_err(|_| CUT)?;
    let mut found = Vec::new();
    for segment in headers.iter().filter(|s| s.p_type(LittleEndian) == PT_LOAD) {
        let bytes = segment.data(LittleEndian, file).map_err(|()| CUT)?;
        if !bytes.is_empty() {
            found.push((segment.p_paddr(LittleEndian), bytes));
        }
    }
    if ![EM_ARM, EM_RISCV].contains(&header.e_machine(LittleEndian)) {
        return Err("it is for another kind of processor");
    }
    if found.is_empty() { Err("it has nothing to load") } else { Ok(found) }
}

/// Bytes that a chip's flash must hold.
pub fn flash_bytes(file: &[u8]) -> Result<usize, &'static str> {
    Ok(segments(file)?.iter().map(|(_, bytes)| bytes.len()).sum())
}

/// The linker's (mangled) names of all symbols.
pub fn symbols(file: &[u8]) -> Result<Vec<&str>, &'static str> {
    let image = ElfFile32::<LittleEndian>::parse(file).map_err(|_| CUT)?;
    let names = image.symbols().map(|symbol| symbol.name()).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|_| "its symbols are damaged")?;
    if names.is_empty() { Err("the image has no symbol table") } else { Ok(names) }
}
