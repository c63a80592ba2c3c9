//! SHA-256 of files and settings, as lower-case hexadecimal.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use qdllm_host::hex;
use sha2::{Digest, Sha256};

use crate::teacher::TeacherError;

/// Digest of a file's bytes, read in pieces.
pub fn file(path: &Path) -> Result<String, TeacherError> {
    let mut reader = File::open(path).map_err(TeacherError::io(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer).map_err(TeacherError::io(path))? {
            0 => return Ok(hex::encode(hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

pub fn bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
