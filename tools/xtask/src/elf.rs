//! Reads what the tests need from a 32-bit little-endian ELF: symbols, and how much of it is loaded.

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Section header types.
const SYMBOL_TABLE: u32 = 2;

/// Program header type of what is loaded.
const LOAD: usize = 1;

/// An image as the linker wrote it.
pub struct Image {
    bytes: Vec<u8>,
    sections: Vec<Section>,
}

/// One section header.
struct Section {
    name: String,
    kind: u32,
    offset: usize,
    size: usize,
    link: usize,
}

/// One name of the linker's.
pub struct Symbol {
    /// The linker's (mangled) name.
    pub name: String,
}

impl Image {
    /// Reads the file's headers.
    ///
    /// # Errors
    /// When the file cannot be read or is no 32-bit little-endian ELF.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(bytes)
            .with_context(|| format!("{} is no 32-bit little-endian ELF", path.display()))
    }

    fn parse(bytes: Vec<u8>) -> Result<Self> {
        ensure!(bytes.starts_with(b"\x7fELF\x01\x01"), "the magic bytes differ");
        let table = word(&bytes, 0x20)?;
        let (size, count, names) = (half(&bytes, 0x2e)?, half(&bytes, 0x30)?, half(&bytes, 0x32)?);
        let mut sections = Vec::new();
        let mut name_offsets = Vec::new();
        for index in 0..count {
            let at = table + index * size;
            name_offsets.push(word(&bytes, at)?);
            sections.push(Section {
                name: String::new(),
                kind: u32::try_from(word(&bytes, at + 4)?)?,
                offset: word(&bytes, at + 16)?,
                size: word(&bytes, at + 20)?,
                link: word(&bytes, at + 24)?,
            });
        }
        let names = sections.get(names).context("no section names")?.offset;
        for (section, offset) in sections.iter_mut().zip(name_offsets) {
            section.name = text(&bytes, names + offset)?;
        }
        Ok(Self { bytes, sections })
    }

    /// All symbols.
    ///
    /// # Errors
    /// When the image is stripped or damaged.
    pub fn symbols(&self) -> Result<Vec<Symbol>> {
        let table = self.sections.iter().find(|section| section.kind == SYMBOL_TABLE);
        let table = table.context("the image has no symbol table")?;
        let names = self.sections.get(table.link).context("the symbols have no names")?.offset;
        let mut symbols = Vec::new();
        for at in (table.offset..table.offset + table.size).step_by(16) {
            let name = text(&self.bytes, names + word(&self.bytes, at)?)?;
            symbols.push(Symbol { name });
        }
        Ok(symbols)
    }

    /// Code that can panic links the panic machinery; an image of ours links none of it.
    ///
    /// # Errors
    /// Names what was linked.
    pub fn no_panics(&self) -> Result<()> {
        let symbols = self.symbols()?;
        let names = symbols.iter().map(|symbol| symbol.name.as_str());
        let found: Vec<&str> = names.filter(|name| name.contains("panicking")).collect();
        ensure!(found.is_empty(), "the image can panic, it has {}", found.join(", "));
        Ok(())
    }
}

/// Bytes of an image that a chip's flash must hold.
///
/// # Errors
/// As [`Image::read`].
pub fn flash_bytes(file: &Path) -> Result<usize> {
    let bytes = Image::read(file)?.bytes;
    let table = word(&bytes, 0x1c)?;
    let (size, count) = (half(&bytes, 0x2a)?, half(&bytes, 0x2c)?);
    let mut loaded = 0;
    for index in 0..count {
        let at = table + index * size;
        if word(&bytes, at)? == LOAD {
            loaded += word(&bytes, at + 16)?;
        }
    }
    Ok(loaded)
}

fn word(bytes: &[u8], at: usize) -> Result<usize> {
    let field = bytes.get(at..at + 4).context("cut short")?;
    Ok(u32::from_le_bytes(field.try_into()?) as usize)
}

fn half(bytes: &[u8], at: usize) -> Result<usize> {
    let field = bytes.get(at..at + 2).context("cut short")?;
    Ok(u16::from_le_bytes(field.try_into()?).into())
}

fn text(bytes: &[u8], at: usize) -> Result<String> {
    let rest = bytes.get(at..).context("cut short")?;
    let end = rest.iter().position(|&byte| byte == 0).context("cut short")?;
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}
