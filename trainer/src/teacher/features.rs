//! A model and its cache as one source of features: what is on disk is read, the rest is computed and kept. Vectors that
//! were exported earlier are such a source, too.

use crate::data::tensors::Table;
use crate::data::text_digest;
use crate::data::vectors::table;
use crate::teacher::cache::{Cache, Key};
use crate::teacher::{
    About, Cell, Description, Extractor, OnProgress, Pooled, Pooling, Teacher, Work,
};
use anyhow::{Result, bail};
use qdllm_host::hex;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// New texts run and written together. The cache keeps a chunk whole or not at all, so that a run that is taken up
/// goes on at a chunk's beginning: every batch, and with it every last bit of the features, is what an undisturbed run
/// gives.
const TEXTS_A_CHUNK: usize = 64;

pub struct Features {
    extractor: Box<dyn Extractor>,
    cache: Cache,
}

impl Features {
    pub fn open(extractor: Box<dyn Extractor>, folder: &Path) -> Result<Self> {
        let about = extractor.description();
        let cache = Cache::open(folder, &about.identity, about.cells.len(), about.width)?;
        Ok(Self { extractor, cache })
    }

    pub fn description(&self) -> &Description {
        self.extractor.description()
    }

    /// Makes sure that every text is in the cache; `progress` is told after every chunk.
    pub fn prepare(&mut self, texts: &[&str], progress: OnProgress<'_>) -> Result<Work> {
        // Sorted by length, then key: equal sets of texts make equal chunks whatever their order.
        let unique: BTreeMap<(usize, Key), &str> =
            texts.iter().map(|&text| ((text.len(), self.cache.key(text)), text)).collect();
        let new: Vec<(Key, &str)> = unique
            .iter()
            .filter(|((_, key), _)| self.cache.get(key).is_none())
            .map(|((_, key), text)| (*key, *text))
            .collect();
        let model = self.description().identity.name.clone();
        let mut work = Work { model, texts: unique.len(), ..Work::default() };
        let mut spent = Duration::ZERO;
        let held = unique.len() - new.len();
        progress(held, unique.len());
        for chunk in new.chunks(TEXTS_A_CHUNK) {
            let started = Instant::now();
            let texts: Vec<&str> = chunk.iter().map(|(_, text)| *text).collect();
            let rows = self.extractor.extract(&texts)?;
            spent += started.elapsed();
            let overflown = |(row, _): &(&Pooled, _)| row.values.iter().any(|v| !v.is_finite());
            if let Some((_, text)) = rows.iter().zip(&texts).find(overflown) {
                bail!(
                    "the model gave a number that is not finite for the text `{}`; its weights are damaged or it overflows",
                    start(text)
                );
            }
            work.computed += rows.len();
            work.tokens += rows.iter().map(|r| r.tokens).sum::<usize>();
            let rows: Vec<(Key, Pooled)> = chunk.iter().map(|(key, _)| *key).zip(rows).collect();
            self.cache.append(&rows)?;
            progress(held + work.computed, unique.len());
        }
        work.seconds = spent.as_secs_f64();
        let cut = |(_, key): &&(usize, Key)| self.cache.get(key).is_some_and(|e| e.cut);
        work.cut = unique.keys().filter(cut).count();
        Ok(work)
    }

    /// One cell's vectors of prepared texts, row-major.
    pub fn vectors(&mut self, texts: &[&str], cell: usize) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(texts.len() * self.description().width);
        for text in texts {
            let key = self.cache.key(text);
            let Some(row) = self.cache.read(&key, cell)? else {
                return self.cache.refuse(format!("has no features of `{}`", start(text)));
            };
            values.extend(row);
        }
        Ok(values)
    }
}

pub fn start(text: &str) -> String {
    text.chars().take(40).collect()
}

/// How a row of scores becomes one of logits.
type ReadScores = Box<dyn Fn(&[f32]) -> Vec<f32>>;

/// A teacher whose model answers a text with a row of scores, which are cached and read as logits.
pub struct ScoreTeacher {
    features: Features,
    about: About,
    /// Whether the scores of an empty text are taken off.
    calibrate: bool,
    read: ReadScores,
}

impl ScoreTeacher {
    /// Opens the cache of the scores in `folder`; `method` says how their description becomes that of the logits, and
    /// `read` how a row of scores becomes one of logits.
    pub fn open(
        scores: Box<dyn Extractor>,
        (folder, calibrate): (&Path, bool),
        classes: Vec<String>,
        method: impl FnOnce(&str) -> String,
        read: impl Fn(&[f32]) -> Vec<f32> + 'static,
    ) -> Result<Self> {
        let features = Features::open(scores, folder)?;
        let identity = features.description().identity.clone();
        let about = About { classes, method: method(&identity.settings), models: vec![identity] };
        Ok(Self { features, about, calibrate, read: Box::new(read) })
    }
}

impl Teacher for ScoreTeacher {
    fn about(&self) -> &About {
        &self.about
    }

    fn prepare(&mut self, texts: &[&str], progress: OnProgress<'_>) -> Result<Vec<Work>> {
        if self.calibrate {
            self.features.prepare(&[""], &mut |_, _| {})?;
        }
        Ok(vec![self.features.prepare(texts, progress)?])
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let width = self.features.description().width;
        let mut scores = self.features.vectors(texts, 0)?;
        if self.calibrate {
            let empty = self.features.vectors(&[""], 0)?;
            for row in scores.chunks_exact_mut(width) {
                row.iter_mut().zip(&empty).for_each(|(s, e)| *s -= e);
            }
        }
        Ok(scores.chunks_exact(width).map(&self.read).collect())
    }
}

pub struct VectorFile {
    path: PathBuf,
    table: Table,
    rows: HashMap<[u8; 32], usize>,
    about: Description,
}

impl VectorFile {
    /// Reads a file of vectors (.safetensors or .jsonl) that names its texts, as `teach --export-vectors` writes it.
    pub fn read(path: &Path) -> Result<Self> {
        let table = table(path)?;
        let Some(digests) = &table.digests else {
            bail!(
                "{}: does not name its texts; a file with the tensor `text_sha256` is needed",
                path.display()
            );
        };
        let rows = digests.iter().copied().zip(0..).collect();
        let mut digest = Sha256::new();
        table.values.iter().for_each(|v| digest.update(v.to_le_bytes()));
        let cell = cell(table.metadata.get("cell").map_or("", String::as_str));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = table.metadata.get("model").cloned().unwrap_or(stem);
        let about = [name, hex::encode(digest.finalize()), format!("exported vectors, {cell}")];
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

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>> {
        let row = |text: &&str| {
            let Some(&row) = self.rows.get(&text_digest(text)) else {
                bail!(
                    "{}: has no vector of the text `{}`; make vectors of every text",
                    self.path.display(),
                    start(text)
                );
            };
            Ok(Pooled { values: self.table.row(row).to_vec(), tokens: 0, cut: false })
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
