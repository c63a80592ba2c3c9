//! A model and its cache as one source of features: what is on disk is read, the rest is computed and kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::cache::{Cache, Key};
use super::{Description, Extractor, Pooled, TeacherError, Work};

/// New texts run and written together. The cache keeps a chunk whole or not at all, so that a run that is taken up
/// goes on at a chunk's beginning: every batch, and with it every last bit of the features, is what an undisturbed run
/// gives.
const TEXTS_A_CHUNK: usize = 64;

pub struct Features {
    extractor: Box<dyn Extractor>,
    cache: Cache,
}

impl Features {
    pub fn open(extractor: Box<dyn Extractor>, folder: &Path) -> Result<Self, TeacherError> {
        let about = extractor.description();
        let cache = Cache::open(folder, &about.identity, about.cells.len(), about.width)?;
        Ok(Self { extractor, cache })
    }

    pub fn description(&self) -> &Description {
        self.extractor.description()
    }

    /// Makes sure that every text is in the cache. `progress(done, of)` is told after every chunk.
    ///
    /// # Errors
    /// When the model or the cache fails; what was computed before stays in the cache.
    pub fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Work, TeacherError> {
        // Sorted by length, then key: equal sets of texts make equal chunks whatever their order.
        let unique: BTreeMap<(usize, Key), &str> =
            texts.iter().map(|&text| ((text.len(), self.cache.key(text)), text)).collect();
        let unique: Vec<(Key, &str)> =
            unique.into_iter().map(|((_, key), text)| (key, text)).collect();
        let new: Vec<&(Key, &str)> =
            unique.iter().filter(|(key, _)| self.cache.get(key).is_none()).collect();
        let mut work = Work { texts: unique.len(), ..Work::default() };
        let mut spent = Duration::ZERO;
        let held = unique.len() - new.len();
        progress(held, unique.len());
        for chunk in new.chunks(TEXTS_A_CHUNK) {
            let started = Instant::now();
            let texts: Vec<&str> = chunk.iter().map(|(_, text)| *text).collect();
            let rows = self.extractor.extract(&texts)?;
            spent += started.elapsed();
            check_finite(&rows, &texts)?;
            work.computed += rows.len();
            work.tokens += rows.iter().map(|r| r.tokens).sum::<usize>();
            let rows: Vec<(Key, Pooled)> = chunk.iter().map(|(key, _)| *key).zip(rows).collect();
            self.cache.append(&rows)?;
            progress(held + work.computed, unique.len());
        }
        work.seconds = spent.as_secs_f64();
        work.cut =
            unique.iter().filter(|(key, _)| self.cache.get(key).is_some_and(|e| e.cut)).count();
        Ok(work)
    }

    /// One cell's vectors of prepared texts, row-major.
    pub fn vectors(&mut self, texts: &[&str], cell: usize) -> Result<Vec<f32>, TeacherError> {
        let mut values = Vec::with_capacity(texts.len() * self.description().width);
        for text in texts {
            let key = self.cache.key(text);
            match self.cache.read(&key, cell)? {
                Some(row) => values.extend(row),
                None => {
                    let (path, what) = (
                        self.cache.path().to_owned(),
                        format!("has no features of `{}`", start(text)),
                    );
                    return Err(TeacherError::Cache { path, what });
                }
            }
        }
        Ok(values)
    }
}

fn check_finite(rows: &[Pooled], texts: &[&str]) -> Result<(), TeacherError> {
    match rows.iter().zip(texts).find(|(row, _)| row.values.iter().any(|v| !v.is_finite())) {
        Some((_, text)) => Err(TeacherError::NonFinite { text: start(text) }),
        None => Ok(()),
    }
}

fn start(text: &str) -> String {
    text.chars().take(40).collect()
}
