//! Vectors of texts, found by text: from safetensors, or JSON lines of `text` (or `text_sha256`) and `vector`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex;
use sha2::{Digest, Sha256};

use super::lines::{numbers_of, text_digest};
use super::tensors::Table;
use super::{RowOptions, Rows};
use qdllm_host::lines::{Lines, open_file};

/// Vectors of one width under their texts' digests.
#[derive(Debug, Default)]
pub struct Vectors {
    pub width: usize,
    values: Vec<f32>,
    places: HashMap<[u8; 32], usize>,
    pub digest: String,
}

impl Vectors {
    /// Reads vector files. Those without digests belong, in their order, to `texts`: row `i` to the `i`-th text.
    pub fn read(files: &[PathBuf], texts: &[&Path], rows: &RowOptions) -> Result<Self> {
        let mut vectors = Self::default();
        let mut hasher = Sha256::new();
        let mut unnamed = texts.iter();
        for path in files {
            let table = table(path)?;
            let texts = if table.digests.is_some() { None } else { unnamed.next() };
            let missing = "and there is no file of texts left whose order it could follow; give one such file of vectors a file of texts, in the order --data, --unlabelled, --valid";
            let digests = digests_of(path, &table, texts.copied(), missing, rows)?;
            vectors.add(&table, &digests).of_file(path)?;
        }
        vectors.values.iter().for_each(|x| hasher.update(x.to_le_bytes()));
        vectors.digest = hex::encode(hasher.finalize());
        Ok(vectors)
    }

    fn add(&mut self, table: &Table, digests: &[[u8; 32]]) -> Result<()> {
        let (before, width) = (self.width, table.width);
        ensure!(
            before == 0 || before == width,
            "holds vectors of {width} numbers, the file before it of {before}; give vectors of one model and layer"
        );
        ensure!(u16::try_from(width).is_ok(), "{width} numbers a row; a model takes 65535");
        self.width = width;
        for (i, digest) in digests.iter().enumerate() {
            let row = table.row(i);
            match self.places.get(digest) {
                None => {
                    self.places.insert(*digest, self.places.len());
                    self.values.extend_from_slice(row);
                }
                // Batches of another make-up give other last digits.
                Some(&at) if close(self.at(at), row) => {}
                Some(_) => bail!(
                    "row {}: the text of an earlier row, with another vector; keep one of the two",
                    i + 1
                ),
            }
        }
        Ok(())
    }

    pub fn place(&self, text: &str) -> Option<usize> {
        self.places.get(&text_digest(text)).copied()
    }

    pub fn at(&self, place: usize) -> &[f32] {
        &self.values[place * self.width..(place + 1) * self.width]
    }

    pub fn get(&self, text: &str) -> Option<&[f32]> {
        self.place(text).map(|place| self.at(place))
    }
}

/// The digests of a table's texts: its own, or those of a file of texts in the same order; `missing` is said where it
/// has neither.
pub fn digests_of(
    path: &Path,
    table: &Table,
    texts: Option<&Path>,
    missing: &str,
    options: &RowOptions,
) -> Result<Vec<[u8; 32]>> {
    let (name, rows) = (path.display(), table.rows());
    if let Some(digests) = &table.digests {
        return Ok(digests.clone());
    }
    let texts = texts.with_context(|| format!("{name}: has no tensor `text_sha256`, {missing}"))?;
    let digests: Result<Vec<_>> =
        Rows::unlabelled(texts, options)?.map(|row| Ok(text_digest(&row?.text))).collect();
    let (digests, texts) = (digests?, texts.display());
    ensure!(
        digests.len() == rows,
        "{name}: has {rows} rows, {texts} has {} texts; a file without `text_sha256` needs one row a text, in that order",
        digests.len()
    );
    Ok(digests)
}

fn close(a: &[f32], b: &[f32]) -> bool {
    let largest = a.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-3 * largest)
}

/// The rows of one file, in its order.
pub fn table(path: &Path) -> Result<Table> {
    let json = path.extension().is_some_and(|e| e == "jsonl" || e == "ndjson");
    if json { read_lines(path) } else { Table::read(path, "vectors") }
}

fn read_lines(path: &Path) -> Result<Table> {
    let mut lines = Lines::new(path, open_file(path, "file of vectors")?.0);
    // The most numbers that a model takes, written at length.
    lines.most = 2 << 20;
    let (mut width, mut values, mut digests) = (0, Vec::new(), Vec::new());
    while lines.next_row()? {
        let row = numbers_of(&lines.buffer, "vector");
        let (digest, vector) = row.map_err(|what| lines.error(what))?;
        if width == 0 {
            width = vector.len();
        }
        if vector.len() != width || width == 0 {
            let found = vector.len();
            let what = format!("field `vector` has {found} numbers, the first row {width}");
            return Err(lines.error(what));
        }
        values.extend(vector);
        digests.push(digest);
    }
    ensure!(!digests.is_empty(), "{}: holds no vector", path.display());
    Ok(Table { width, values, digests: Some(digests), metadata: HashMap::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_text_or_by_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("t.tsv"), "a\tone\nb\ttwo\na\tone\n").unwrap();
        let lines = "{\"text\":\"two\",\"vector\":[3,4]}\n\n{\"text\":\"one\",\"vector\":[1,2]}\n";
        std::fs::write(path("v.jsonl"), lines).unwrap();
        let values = vec![1.0, 2.0, 3.0, 4.0, 1.0, 2.0];
        let table = Table { width: 2, values, digests: None, metadata: HashMap::new() };
        table.write(&path("v.safetensors"), "vectors").unwrap();
        let texts = path("t.tsv");
        for file in ["v.jsonl", "v.safetensors"] {
            let v = Vectors::read(&[path(file)], &[&texts], &RowOptions::default()).unwrap();
            assert_eq!((v.places.len(), v.width), (2, 2));
            assert_eq!(
                (v.get("one"), v.get("two")),
                (Some(&[1.0, 2.0][..]), Some(&[3.0, 4.0][..]))
            );
            assert_eq!(v.get("three"), None);
        }
        let both = [path("v.jsonl"), path("v.safetensors")];
        assert_eq!(
            Vectors::read(&both, &[&texts], &RowOptions::default()).unwrap().places.len(),
            2
        );

        let says = |files: &[PathBuf], texts: &[&Path], needle: &str| {
            let error = Vectors::read(files, texts, &RowOptions::default()).unwrap_err();
            let message = format!("{error:#}");
            assert!(message.contains(needle), "{message}");
        };
        says(&both[1..], &[], "text_sha256");
        std::fs::write(path("u.txt"), "one\ntwo\n").unwrap();
        says(&both[1..], &[&path("u.txt")], "3 rows");
        for (line, needle) in [
            ("{\"text\":\"one\",\"vector\":[1]}", "v.jsonl:2"),
            ("{\"text\":\"one\",\"vector\":[1,NaN]}", "place 2"),
            ("{\"text\":\"one\",\"vector\":[1,null]}", "place 2"),
            ("{\"vector\":[1,2]}", "`text`"),
            ("{\"text\":\"two\",\"vector\":[9,9]}", "another vector"),
        ] {
            std::fs::write(path("v.jsonl"), format!("{}\n{line}\n", lines.lines().next().unwrap()))
                .unwrap();
            says(&both[..1], &[], needle);
        }
    }
}
