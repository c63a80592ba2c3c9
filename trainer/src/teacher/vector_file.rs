//! Vectors that were exported earlier as a source of features: no model runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Cell, Description, Extractor, Pooled, Pooling, TeacherError};
use crate::data::tensors::Table;
use crate::data::text_digest;
use crate::data::vectors::table;
use qdllm_host::hex::encode as hex;

pub struct VectorFile {
    path: PathBuf,
    table: Table,
    rows: HashMap<[u8; 32], usize>,
    about: Description,
}

impl VectorFile {
    /// Reads a file of vectors (.safetensors or .jsonl) that names its texts, as `teach --export-vectors` writes it.
    pub fn read(path: &Path) -> Result<Self, TeacherError> {
        let refuse = |what: String| TeacherError::model(path, what);
        let table = table(path).map_err(|e| TeacherError::Labels(e.to_string()))?;
        let Some(digests) = &table.digests else {
            return Err(refuse(
                "does not name its texts; a file with the tensor `text_sha256` is needed".into(),
            ));
        };
        let rows = digests.iter().copied().zip(0..).collect();
        let mut digest = Sha256::new();
        table.values.iter().for_each(|v| digest.update(v.to_le_bytes()));
        let cell = cell(table.metadata.get("cell").map_or("", String::as_str));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = table.metadata.get("model").cloned().unwrap_or(stem);
        let about = [name, hex(digest.finalize()), format!("exported vectors, {cell}")];
        let about = Description::single(about, (cell.layer, cell.pooling), table.width);
        Ok(Self { path: path.into(), rows, about, table })
    }
}

/// The layer and pooling that a file says it holds; layer 0, mean, where it says nothing.
fn cell(said: &str) -> Cell {
    let number = said.split_whitespace().find_map(|word| word.parse().ok());
    let pooling = if said.ends_with("last") { Pooling::Last } else { Pooling::Mean };
    Cell { layer: number.unwrap_or(0), pooling }
}

impl Extractor for VectorFile {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError> {
        let row = |text: &&str| match self.rows.get(&text_digest(text)) {
            Some(&row) => {
                Ok(Pooled { values: self.table.row(row).to_vec(), tokens: 0, cut: false })
            }
            None => {
                let start: String = text.chars().take(40).collect();
                Err(TeacherError::model(
                    &self.path,
                    format!("has no vector of the text `{start}`; make vectors of every text"),
                ))
            }
        };
        texts.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_given_by_text_under_the_name_of_their_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.safetensors");
        let metadata = [("model", "tiny"), ("cell", "layer 15 last")];
        let table = Table {
            width: 2,
            values: vec![1.0, 2.0, 3.0, 4.0],
            digests: Some(["one", "two"].map(text_digest).to_vec()),
            metadata: metadata.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        };
        table.write(&path, "vectors").unwrap();
        let exported = VectorFile::read(&path).unwrap();
        let rows = exported.extract(&["two", "one", "two"]).unwrap();
        assert_eq!(rows[0].values, [3.0, 4.0]);
        assert_eq!((rows[1].values.as_slice(), &rows[2]), (&[1.0, 2.0][..], &rows[0]));
        assert_eq!(exported.about.identity.name, "tiny");
        assert_eq!(exported.about.cells, [Cell { layer: 15, pooling: Pooling::Last }]);
        let missing = exported.extract(&["three"]).unwrap_err().to_string();
        assert!(missing.contains("`three`") && missing.contains("v.safetensors"), "{missing}");

        Table { digests: None, ..table }.write(&path, "vectors").unwrap();
        assert!(VectorFile::read(&path).err().unwrap().to_string().contains("text_sha256"));
    }
}
