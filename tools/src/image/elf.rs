//! Reads from a 32-bit little-endian ELF what a programmer writes: its loadable segments.

use super::ImageError;

/// Program header type: to be loaded.
const LOAD: u32 = 1;

/// Machine: Arm; RISC-V.
const MACHINES: [u16; 2] = [40, 243];

/// Physical address and bytes of every segment that has bytes in the file.
///
/// # Errors
/// [`ImageError::Firmware`] when the file is no such ELF or damaged.
pub fn segments(file: &[u8]) -> Result<Vec<(u32, &[u8])>, ImageError> {
    let wrong = |what| ImageError::Firmware { what };
    if !file.starts_with(b"\x7fELF\x01\x01") {
        return Err(wrong("it is no 32-bit little-endian ELF file"));
    }
    let cut = wrong("the file is cut short");
    let parse = || {
        let machine = half(file, 18)?;
        let (table, size, count) = (word(file, 28)?, half(file, 42)?, half(file, 44)?);
        let mut found = Vec::new();
        for index in 0..u32::from(count) {
            let at = table.checked_add(index.checked_mul(size.into())?)?;
            let [kind, offset, _, address, length] =
                [0, 4, 8, 12, 16].map(|field| word(file, at.checked_add(field)?));
            let (offset, length) = (offset? as usize, length? as usize);
            if kind? == LOAD && length > 0 {
                found.push((address?, file.get(offset..offset.checked_add(length)?)?));
            }
        }
        Some((machine, found))
    };
    let (machine, found) = parse().ok_or(cut)?;
    if !MACHINES.contains(&machine) {
        return Err(wrong("it is for another kind of processor"));
    }
    if found.is_empty() {
        return Err(wrong("it has nothing to load"));
    }
    Ok(found)
}

fn word(file: &[u8], at: u32) -> Option<u32> {
    let bytes = file.get(at as usize..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn half(file: &[u8], at: usize) -> Option<u16> {
    let bytes = file.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}
