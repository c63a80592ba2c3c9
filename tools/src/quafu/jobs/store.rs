//! The store: a folder of batches, each a folder of job files with a lock.

use super::JobError;
use super::job::{Batch, Job, VERSION};
use super::json_file::{self, UNFINISHED};
use qdllm_host::files::sync_folder;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const BATCH: &str = "batch.json";
const LOCK: &str = "lock";

#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

#[derive(Debug)]
pub struct Open {
    path: PathBuf,
    pub batch: Batch,
    pub jobs: Vec<Job>,
    _lock: File,
}

impl Store {
    /// The store in `root`, which need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn has(&self, id: &str) -> bool {
        self.root.join(id).join(BATCH).is_file()
    }

    /// Makes a batch: all of it or, after any end of the program, nothing.
    ///
    /// # Errors
    /// [`JobError::File`]; also when a batch of that name exists.
    pub fn create(&self, batch: &Batch, jobs: &[Job]) -> Result<(), JobError> {
        let failed = |source| JobError::File { path: self.root.clone(), source };
        fs::create_dir_all(&self.root).map_err(failed)?;
        self.sweep();
        let aside =
            tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.root).map_err(failed)?;
        let lock = File::create(aside.path().join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|_| JobError::Locked(aside.path().into()))?;
        for job in jobs {
            json_file::write(&aside.path().join(file_name(job.number)), job)?;
        }
        json_file::write(&aside.path().join(BATCH), batch)?;
        let target = self.root.join(&batch.id);
        fs::rename(aside.path(), &target)
            .map_err(|source| JobError::File { path: target, source })?;
        // Nothing is left under the old name for the guard to remove.
        let _ = aside.keep();
        sync_folder(&self.root).map_err(failed)
    }

    /// Removes what processes that ended early left behind.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for path in entries.flatten().map(|e| e.path()) {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if !name.starts_with(UNFINISHED) {
                continue;
            }
            // Whoever still writes there holds the lock.
            let free = File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
            if free {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// All batches, the oldest first.
    ///
    /// # Errors
    /// [`JobError`] for a file that cannot be read.
    pub fn batches(&self) -> Result<Vec<Batch>, JobError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JobError::File { path: self.root.clone(), source }),
        };
        let mut all: Vec<Batch> = Vec::new();
        for path in entries.flatten().map(|e| e.path()) {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if !name.starts_with(UNFINISHED) && path.join(BATCH).is_file() {
                all.push(batch_in(&path)?);
            }
        }
        all.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        Ok(all)
    }

    /// The name of the batch that `wanted` begins, or of the newest.
    pub fn find(&self, wanted: Option<&str>) -> Result<String, JobError> {
        let mut all = self.batches()?;
        let Some(wanted) = wanted else {
            return all.pop().map(|b| b.id).ok_or_else(|| JobError::Empty(self.root.clone()));
        };
        if let Some(exact) = all.iter().find(|b| b.id == wanted) {
            return Ok(exact.id.clone());
        }
        let mut begun = all.into_iter().filter(|b| b.id.starts_with(wanted));
        match (begun.next(), begun.next()) {
            (Some(only), None) => Ok(only.id),
            _ => Err(JobError::NoBatch { wanted: wanted.into(), store: self.root.clone() }),
        }
    }

    pub fn read(&self, id: &str) -> Result<(Batch, Vec<Job>), JobError> {
        let path = self.root.join(id);
        let batch = batch_in(&path)?;
        let jobs = (1..=batch.jobs).map(|n| json_file::read(&path.join(file_name(n))));
        let jobs = jobs.collect::<Result<_, _>>()?;
        Ok((batch, jobs))
    }

    pub fn open(&self, id: &str) -> Result<Open, JobError> {
        let path = self.root.join(id);
        let lock_path = path.join(LOCK);
        let failed = |source| JobError::File { path: lock_path.clone(), source };
        let lock = File::options().append(true).create(true).open(&lock_path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JobError::Locked(path)),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // Files that a process that ended early did not get to rename.
        for entry in fs::read_dir(&path).map_err(failed)?.flatten() {
            if entry.file_name().to_str().is_some_and(|n| n.starts_with(UNFINISHED)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let (batch, jobs) = self.read(id)?;
        Ok(Open { path, batch, jobs, _lock: lock })
    }
}

impl Open {
    pub fn save(&self, index: usize) -> Result<(), JobError> {
        let job = &self.jobs[index];
        json_file::write(&self.path.join(file_name(job.number)), job)
    }
}

fn file_name(number: usize) -> String {
    format!("{number:05}.json")
}

fn batch_in(path: &Path) -> Result<Batch, JobError> {
    let path = path.join(BATCH);
    let batch: Batch = json_file::read(&path)?;
    if batch.version != VERSION {
        let what = format!("version {}; this program reads version {VERSION}", batch.version);
        return Err(JobError::Content { path, what });
    }
    Ok(batch)
}
